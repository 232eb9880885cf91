/**
 * Copilot CLI: `.github/hooks/*.json` with `"version": 1`.
 *
 * Source: https://docs.github.com/en/copilot/reference/copilot-cli-reference/cli-hooks-reference. The
 * payload names neither event nor call, in some versions no session either: the event comes from the
 * hook's command, the call's name from its input, and all calls below one directory are one session.
 */
import { z } from 'zod';
import type { HookAction, HookOutcome, HookReply } from '../hook-action.ts';
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
  toolName: toolField.optional(),
  toolArgs: z.unknown().optional(),
  toolResult: z.looseObject({ resultType: z.string().optional() }).optional(),
  prompt: promptField.optional(),
});

const readOnlyTools: ReadonlySet<string> = new Set([
  ...['view', 'glob', 'grep', 'rg', 'show_file', 'read_bash', 'list_bash', 'web_fetch'],
  ...['web_search', 'report_intent', 'update_todo', 'ask_user', 'fetch_copilot_cli_documentation'],
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
  userPromptSubmitted: 'prompt',
  sessionStart: 'start-session',
  sessionEnd: 'end-session',
};

function parse(payload: unknown, event: string): HookAction {
  const fields = parseFields(SCHEMA, payload, title);
  const { cwd: directory } = fields;
  const session = fields.sessionId ?? `copilot-${derivedKey('session', directory).slice(8)}`;
  const isOk = (fields.toolResult?.resultType ?? 'success') === 'success';
  return actionOf(meaningOf(EVENTS, event), {
    place: { session, parentSession: null, directory },
    call: () => derivedCall(fields.toolName, parsedArgs(fields.toolArgs), title),
    outcome: () => (isOk ? 'ok' : 'failed'),
    prompt: fields.prompt,
    readOnlyTools,
  });
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
