/**
 * Gemini CLI: `hooks` in settings.json.
 *
 * Source: https://geminicli.com/docs/hooks/reference. A call has no id: tool and input name it, so two
 * equal calls at once are told apart by order alone. Standard output must be JSON and nothing else.
 */
import { z } from 'zod';
import type { HookAction, HookOutcome, HookReply } from '../hook-action.ts';
import { json, probeClaudeShape } from './claude-shape.ts';
import type { Harness } from './harness.ts';
import {
  derivedKey,
  directoryField,
  idField,
  parseFields,
  promptField,
  toolField,
} from './payload-fields.ts';

const SCHEMA = z.looseObject({
  session_id: idField,
  cwd: directoryField,
  hook_event_name: z.string().max(64),
  tool_name: toolField.optional(),
  tool_input: z.unknown().optional(),
  tool_response: z.unknown().optional(),
  prompt: promptField.optional(),
});

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

function parse(payload: unknown): HookAction {
  const fields = parseFields(SCHEMA, payload, title);
  const place = { session: fields.session_id, parentSession: null, directory: fields.cwd };
  switch (fields.hook_event_name) {
    case 'BeforeTool':
    case 'AfterTool': {
      const { tool_name: tool } = parseFields(
        z.looseObject({ tool_name: toolField }),
        fields,
        title,
      );
      const input = fields.tool_input ?? null;
      const key = derivedKey(tool, input);
      if (fields.hook_event_name === 'AfterTool') {
        const outcome = isFailure(fields.tool_response) ? 'failed' : 'ok';
        return { type: 'end-call', ...place, key, outcome };
      }
      const readOnly = readOnlyTools.has(tool) ? 'yes' : 'no';
      return { type: 'begin-call', ...place, tool, input, key, keyKind: 'derived', readOnly };
    }
    case 'BeforeAgent':
      return { type: 'prompt', ...place, text: fields.prompt ?? '' };
    case 'SessionStart':
      return { type: 'start-session', ...place };
    case 'SessionEnd':
      return { type: 'end-session', ...place };
    default:
      return { type: 'ignore' };
  }
}

function reply(event: string, outcome: HookOutcome): HookReply {
  switch (outcome.type) {
    case 'ok':
    // Before a tool nothing but the person is reached, and nobody asked for it there.
    case 'advice':
      return json({});
    case 'notice':
      return json({ systemMessage: outcome.message });
    case 'feedback':
      // Appended to the tool's result.
      return json({
        systemMessage: outcome.message,
        hookSpecificOutput: {
          hookEventName: event === '' ? 'AfterTool' : event,
          additionalContext: outcome.message,
        },
      });
    case 'ask':
      return json({ decision: 'ask', reason: outcome.reason, systemMessage: outcome.reason });
    case 'block':
      return json({ decision: 'deny', reason: outcome.reason });
    case 'error':
      return json({ systemMessage: outcome.reason });
  }
}

/** A shell command that ends with a status other than 0 says so in its text alone. */
function isFailure(response: unknown): boolean {
  if (typeof response !== 'object' || response === null) return false;
  const { error, llmContent } = response as Record<string, unknown>;
  if (error !== undefined && error !== null) return true;
  return typeof llmContent === 'string' && /^Exit Code: (?!0\b)/m.test(llmContent);
}
