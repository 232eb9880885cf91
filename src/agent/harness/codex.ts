/**
 * Codex CLI: `hooks.json` or `[hooks]` in config.toml, in Claude Code's shape.
 *
 * Hooks are passed over in silence until the person has trusted them in `/hooks`; a change of the
 * command asks again. Shell commands are `Bash` whatever the model calls them, and their response does not
 * say how they ended: the session's own record does, written before the report. Tools that failed otherwise
 * are reported by no PostToolUse. In code mode the tools that a script calls have hooks, the script itself
 * has none.
 */
import { z } from 'zod';
import type { CallOutcome } from '../../core/event.ts';
import type { HookAction } from '../hook-action.ts';
import { parseClaudeShape, probeClaudeShape, replyClaudeShape } from './claude-shape.ts';
import type { Harness } from './harness.ts';

const readOnlyTools: ReadonlySet<string> = new Set([
  ...['update_plan', 'view_image', 'web_search', 'list_mcp_resources', 'read_mcp_resource'],
  ...['list_mcp_resource_templates', 'read_file', 'list_dir', 'grep_files', 'request_user_input'],
  // Goals and messages between agents are Codex's own; what an agent does has hooks of its own.
  ...['get_goal', 'create_goal', 'update_goal', 'wait_agent', 'send_input'],
  ...['collaborationwait_agent', 'collaborationlist_agents', 'collaborationsend_message'],
]);

/** Codex runs it beside no other tool of the same agent, and does not report one that failed. */
const runsAlone: ReadonlySet<string> = new Set(['apply_patch']);

const title = 'Codex CLI';

export const codex: Harness = {
  name: 'codex',
  title,
  beforeTool: 'PreToolUse',
  afterTool: 'PostToolUse',
  // "ask" is no decision that it knows: it lets the tool run.
  canAsk: false,
  readOnlyTools,
  runsAlone,
  parse,
  reply: replyClaudeShape,
  probe: probeClaudeShape,
};

function parse(payload: unknown): HookAction {
  const action = parseClaudeShape(payload, { title, readOnlyTools });
  const { tool_name: tool, transcript_path: file } = payload as Readonly<Record<string, unknown>>;
  if (action.type !== 'end-call' || tool !== 'Bash' || typeof file !== 'string') return action;
  if (!/^\/[^\0]*\/rollout-[^/\0]*\.jsonl$/.test(file)) return action;
  return { ...action, evidence: { file, outcomeIn: (end) => outcomeOfCommand(end, action.key) } };
}

/** The record has a line for each command that ended, with the call's id and the command's status. */
function outcomeOfCommand(end: string, call: string): CallOutcome | null {
  const lines = end.split('\n').filter((text) => text.includes(JSON.stringify(call)));
  for (const line of lines.toReversed()) {
    const item = RECORDED.safeParse(parsedLine(line)).data?.payload.item;
    if (item?.id === call) return item.status === 'completed' ? 'ok' : 'failed';
  }
  return null;
}

const RECORDED = z.looseObject({
  payload: z.looseObject({
    type: z.literal('item_completed'),
    item: z.looseObject({
      type: z.literal('CommandExecution'),
      id: z.string(),
      status: z.enum(['completed', 'failed', 'declined']),
    }),
  }),
});

/** The first line of the end is mostly the end of a line. */
function parsedLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    // Not whole: it tells nothing.
    return null;
  }
}
