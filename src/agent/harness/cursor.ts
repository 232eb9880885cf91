/**
 * Cursor: `.cursor/hooks.json`.
 *
 * One call may be reported twice, by `preToolUse` and by the older `beforeShellExecution` or
 * `beforeMCPExecution`, and once more by Claude Code's hooks, which Cursor loads as well. Only
 * `preToolUse` is installed; the older events are understood for those who have them, and reports of
 * one generation with equal tool and input are one call while it runs.
 *
 * It takes "ask" for an answer of `preToolUse` and runs the tool; at `beforeShellExecution` it refuses without a
 * dialog. A shell command that failed is a success that says so in its output. Where a shell stands is in
 * its input, `cwd` is mostly empty.
 */
import { z } from 'zod';
import type { HookAction, HookOutcome, HookReply } from '../hook-action.ts';
import { json } from './claude-shape.ts';
import { actionOf, type EventMeaning, meaningOf, type NamedCall } from './event-meaning.ts';
import type { Harness } from './harness.ts';
import {
  derivedKey,
  directoryField,
  idField,
  parseFields,
  sharedFields,
  toolNamed,
} from './payload-fields.ts';

const SCHEMA = z.looseObject({
  ...sharedFields,
  conversation_id: idField,
  workspace_roots: z.array(directoryField).max(64).optional(),
  cwd: z.union([directoryField, z.literal('')]).optional(),
  tool_use_id: idField.optional(),
  command: z.string().optional(),
  tool_output: z.unknown().optional(),
});

type Fields = z.infer<typeof SCHEMA>;

const readOnlyTools: ReadonlySet<string> = new Set([
  ...['Read', 'Grep', 'Glob', 'List', 'LS', 'Search', 'SemanticSearch', 'CodebaseSearch'],
  ...['WebSearch', 'WebFetch', 'Fetch', 'ReadLints', 'TodoWrite', 'AskQuestion'],
]);

const title = 'Cursor';

export const cursor: Harness = {
  name: 'cursor',
  title,
  beforeTool: 'preToolUse',
  afterTool: 'postToolUse',
  canAsk: false,
  readOnlyTools,
  parse,
  reply,
  probe: (event, { session, call, directory, tool }) => ({
    ...{ conversation_id: session, generation_id: call, hook_event_name: event },
    ...{ workspace_roots: [directory], cwd: directory, tool_use_id: call, tool_name: tool },
    tool_input: { command: 'true' },
  }),
};

const EVENTS: Readonly<Record<string, EventMeaning>> = {
  preToolUse: 'begin-call',
  beforeShellExecution: 'begin-call',
  beforeMCPExecution: 'begin-call',
  postToolUse: 'end-call',
  postToolUseFailure: 'end-call',
  afterShellExecution: 'end-call',
  afterMCPExecution: 'end-call',
  beforeSubmitPrompt: 'prompt',
  sessionStart: 'start-session',
  sessionEnd: 'end-session',
};

function parse(payload: unknown): HookAction {
  const fields = parseFields(SCHEMA, payload, title);
  const directory = directoryOf(fields);
  if (directory === null) return { type: 'ignore' };
  const { conversation_id: session, hook_event_name: event } = fields;
  return actionOf(meaningOf(EVENTS, event), {
    place: { session, parentSession: null, directory },
    call: () => callOf(fields),
    outcome: () => (isFailure(event, fields.tool_output) ? 'failed' : 'ok'),
    prompt: fields.prompt,
    readOnlyTools,
  });
}

/** Of several roots that are open at once the first one is only a guess; what the agent may change is in one. */
function directoryOf({
  cwd,
  workspace_roots: roots = [],
  tool_input: input,
}: Fields): string | null {
  if (cwd !== undefined && cwd !== '') return cwd;
  const inside = SHELL_INPUT.safeParse(input).data?.cwd;
  const isInRoot = roots.some((root) => inside === root || inside?.startsWith(`${root}/`) === true);
  return (isInRoot ? inside : roots[0]) ?? null;
}

const SHELL_INPUT = z.looseObject({ cwd: directoryField });

/** The output of a shell is JSON in a string. */
function isFailure(event: string, output: unknown): boolean {
  if (event === 'postToolUseFailure') return true;
  return typeof output === 'string' && /"exitCode":(?!0\b)-?\d/.test(output.slice(-EXIT_CODE_AT));
}

/** Characters of an output in whose end the exit code is looked for: it follows what the command printed. */
const EXIT_CODE_AT = 64;

function callOf(fields: Fields): NamedCall {
  const isShell = fields.command !== undefined && fields.tool_name === undefined;
  const tool = toolNamed(isShell ? 'Shell' : fields.tool_name, title);
  const input = isShell ? { command: fields.command } : (fields.tool_input ?? null);
  const key = fields.tool_use_id ?? derivedKey(tool, input);
  return { tool, input, key, keyKind: 'unique' };
}

/** Both spellings that versions of Cursor read. */
function reply(_event: string, outcome: HookOutcome): HookReply {
  if (outcome.type === 'feedback') return json({ additional_context: outcome.message });
  if (outcome.type !== 'block' && outcome.type !== 'ask') return json({});
  const { reason } = outcome;
  return json({
    ...{ permission: 'deny', decision: 'deny', reason },
    ...{ user_message: reason, agent_message: reason },
  });
}
