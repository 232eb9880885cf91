/**
 * Gemini CLI: `hooks` in settings.json.
 *
 * Source: https://geminicli.com/docs/hooks/reference. A call has no id: tool and input name it, so two
 * equal calls at once are told apart by order alone. Standard output must be JSON and nothing else.
 */
import { z } from 'zod';
import type { HookAction, HookOutcome, HookReply } from '../hook-action.ts';
import { json, probeClaudeShape, replyClaudeShape } from './claude-shape.ts';
import { actionOf, type EventMeaning, meaningOf } from './event-meaning.ts';
import type { Harness } from './harness.ts';
import {
  derivedCall,
  directoryField,
  idField,
  parseFields,
  sharedFields,
} from './payload-fields.ts';

const SCHEMA = z.looseObject({ ...sharedFields, session_id: idField, cwd: directoryField });

const readOnlyTools: ReadonlySet<string> = new Set([
  ...['read_file', 'read_many_files', 'list_directory', 'glob', 'grep_search'],
  ...['search_file_content', 'google_web_search', 'web_fetch', 'get_internal_docs'],
  ...['write_todos', 'ask_user', 'enter_plan_mode', 'exit_plan_mode', 'complete_task'],
]);

const title = 'Gemini CLI';

export const geminiCli: Harness = {
  name: 'gemini-cli',
  title,
  beforeTool: 'BeforeTool',
  afterTool: 'AfterTool',
  canAsk: true,
  readOnlyTools,
  parse,
  reply,
  probe: probeClaudeShape,
};

const EVENTS: Readonly<Record<string, EventMeaning>> = {
  BeforeTool: 'begin-call',
  AfterTool: 'end-call',
  BeforeAgent: 'prompt',
  SessionStart: 'start-session',
  SessionEnd: 'end-session',
};

function parse(payload: unknown): HookAction {
  const fields = parseFields(SCHEMA, payload, title);
  return actionOf(meaningOf(EVENTS, fields.hook_event_name), {
    place: { session: fields.session_id, parentSession: null, directory: fields.cwd },
    call: () => derivedCall(fields.tool_name, fields.tool_input ?? null, title),
    outcome: () => (isFailure(fields.tool_response) ? 'failed' : 'ok'),
    prompt: fields.prompt,
    readOnlyTools,
  });
}

function reply(event: string, outcome: HookOutcome): HookReply {
  switch (outcome.type) {
    case 'advice':
      // Before a tool nothing but the person is reached, and nobody asked for it there.
      return json({});
    case 'ask':
      return json({ decision: 'ask', reason: outcome.reason, systemMessage: outcome.reason });
    case 'block':
      return json({ decision: 'deny', reason: outcome.reason });
    default:
      // Feedback is appended to the tool's result.
      return replyClaudeShape(event === '' ? 'AfterTool' : event, outcome);
  }
}

/** A shell command that ends with a status other than 0 says so in its text alone. */
function isFailure(response: unknown): boolean {
  if (typeof response !== 'object' || response === null) return false;
  const { error, llmContent } = response as Record<string, unknown>;
  if (error !== undefined && error !== null) return true;
  return typeof llmContent === 'string' && /^Exit Code: (?!0\b)/m.test(llmContent);
}
