/**
 * Codex CLI: `hooks.json` or `[hooks]` in config.toml, in Claude Code's shape.
 *
 * Hooks are passed over in silence until the person has trusted them in `/hooks`; a change of the
 * command asks again. Shell commands are `Bash` whatever the model calls them, and their response does not
 * say how they ended. Tools that failed otherwise are reported by no PostToolUse. In code mode the tools
 * that a script calls have hooks, the script itself has none.
 */
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
  parse: (payload) => parseClaudeShape(payload, { title, readOnlyTools }),
  reply: replyClaudeShape,
  probe: probeClaudeShape,
};
