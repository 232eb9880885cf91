/**
 * Copilot CLI: `.github/hooks/*.json` with `"version": 1`.
 *
 * Source: https://docs.github.com/en/copilot/reference/copilot-cli-reference/cli-hooks-reference. The
 * payload names neither event nor call, in some versions no session either: the event comes from the
 * hook's command, the call's name from its input, and all calls below one directory are one session. A
 * subagent is a session of its own; its start and end are told in the name of the one that started it.
 */
import { z } from 'zod';
import type { AgentPlace, HookAction, HookOutcome, HookReply } from '../hook-action.ts';
import { json } from './claude-shape.ts';
import { actionOf, type EventMeaning, meaningOf } from './event-meaning.ts';
import type { Harness } from './harness.ts';
import {
  derivedCall,
  derivedKey,
  directoryField,
  idField,
  parseFields,
  promptField,
  toolField,
} from './payload-fields.ts';

const SCHEMA = z.looseObject({
  cwd: directoryField,
  sessionId: idField.optional(),
  agentId: idField.optional(),
  parentAgentId: idField.optional(),
  toolName: toolField.optional(),
  toolArgs: z.unknown().optional(),
  toolResult: z
    .looseObject({ resultType: z.string().optional(), textResultForLlm: z.unknown().optional() })
    .optional(),
  prompt: promptField.optional(),
});

type Fields = z.infer<typeof SCHEMA>;

const readOnlyTools: ReadonlySet<string> = new Set([
  ...['view', 'glob', 'grep', 'rg', 'show_file', 'read_bash', 'list_bash', 'web_fetch'],
  ...['web_search', 'report_intent', 'update_todo', 'ask_user', 'fetch_copilot_cli_documentation'],
  ...['read_agent', 'list_agents', 'session_store_sql'],
]);

const title = 'Copilot CLI';

export const copilotCli: Harness = {
  name: 'copilot-cli',
  title,
  beforeTool: 'preToolUse',
  afterTool: 'postToolUse',
  canAsk: true,
  readOnlyTools,
  parse,
  reply,
  probe: (_event, { session, directory, tool }) => ({
    ...{ timestamp: 0, cwd: directory, sessionId: session, toolName: tool },
    toolArgs: '{"command":"true"}',
  }),
};

const EVENTS: Readonly<Record<string, EventMeaning>> = {
  preToolUse: 'begin-call',
  postToolUse: 'end-call',
  postToolUseFailure: 'end-call',
  userPromptSubmitted: 'prompt',
  sessionStart: 'start-session',
  sessionEnd: 'end-session',
  subagentStop: 'end-session',
};

function parse(payload: unknown, event: string): HookAction {
  const fields = parseFields(SCHEMA, payload, title);
  const place = { ...sessionOf(fields), directory: fields.cwd };
  // A stop that names no agent says nothing about the session, which goes on.
  if (event === 'subagentStop' && place.parentSession === null) return { type: 'ignore' };
  const isFailed = event === 'postToolUseFailure' || isFailure(fields.toolResult);
  return actionOf(meaningOf(EVENTS, event), {
    ...{ place, readOnlyTools },
    call: () => derivedCall(fields.toolName, parsedArgs(fields.toolArgs), title),
    outcome: () => (isFailed ? 'failed' : 'ok'),
    prompt: fields.prompt,
  });
}

function sessionOf(fields: Fields): Pick<AgentPlace, 'session' | 'parentSession'> {
  const { sessionId, agentId, parentAgentId, cwd } = fields;
  if (agentId !== undefined && parentAgentId !== undefined) {
    return { session: agentId, parentSession: parentAgentId };
  }
  const session = sessionId ?? `copilot-${derivedKey('session', cwd).slice(8)}`;
  return { session, parentSession: null };
}

/** A shell command that ended with another status than 0 is a success that says so in its text. */
function isFailure(result: Fields['toolResult']): boolean {
  const { resultType = 'success', textResultForLlm: text } = result ?? {};
  if (resultType !== 'success') return true;
  return typeof text === 'string' && /<shellId: .* completed with exit code (?!0\b)/.test(text);
}

/** Arguments come as JSON in a string; what is not JSON is kept as the text it is. */
function parsedArgs(args: unknown): unknown {
  if (typeof args !== 'string') return args ?? null;
  try {
    return JSON.parse(args);
  } catch {
    // Only its text is kept, redacted: nothing is decided by what the arguments are.
    return args;
  }
}

function reply(_event: string, outcome: HookOutcome): HookReply {
  if (outcome.type === 'feedback' || outcome.type === 'advice') {
    return json({ additionalContext: outcome.message });
  }
  if (outcome.type !== 'block' && outcome.type !== 'ask') return json({});
  const permissionDecision = outcome.type === 'ask' ? 'ask' : 'deny';
  return json({ permissionDecision, permissionDecisionReason: outcome.reason });
}
