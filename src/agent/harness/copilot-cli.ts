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

function parse(payload: unknown, event: string): HookAction {
  const fields = parseFields(SCHEMA, payload, title);
  const { cwd: directory } = fields;
  const session = fields.sessionId ?? `copilot-${derivedKey('session', directory).slice(8)}`;
  const place = { session, parentSession: null, directory };
  switch (event) {
    case 'preToolUse': {
      const { tool, input, key } = callOf(fields);
      const readOnly = readOnlyTools.has(tool) ? 'yes' : 'no';
      return { type: 'begin-call', ...place, tool, input, key, keyKind: 'derived', readOnly };
    }
    case 'postToolUse': {
      const isOk = (fields.toolResult?.resultType ?? 'success') === 'success';
      return {
        type: 'end-call',
        ...place,
        key: callOf(fields).key,
        outcome: isOk ? 'ok' : 'failed',
      };
    }
    case 'userPromptSubmitted':
      return { type: 'prompt', ...place, text: fields.prompt ?? '' };
    case 'sessionStart':
      return { type: 'start-session', ...place };
    case 'sessionEnd':
      return { type: 'end-session', ...place };
    default:
      return { type: 'ignore' };
  }
}

function callOf(fields: z.infer<typeof SCHEMA>): { tool: string; input: unknown; key: string } {
  const { toolName: tool } = parseFields(z.looseObject({ toolName: toolField }), fields, title);
  const input = parsedArgs(fields.toolArgs);
  return { tool, input, key: derivedKey(tool, input) };
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
