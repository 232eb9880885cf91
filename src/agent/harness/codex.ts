/**
 * Codex CLI: `hooks.json` or `[hooks]` in config.toml, in Claude Code's shape.
 *
 * Hooks are passed over in silence until the person has trusted them in `/hooks`; a change of the
 * command asks again. A call that failed may be reported by no PostToolUse: it ends with the next prompt.
 */
import { parseClaudeShape, probeClaudeShape, replyClaudeShape } from './claude-shape.ts';
import type { Harness } from './harness.ts';

const readOnlyTools: ReadonlySet<string> = new Set([
  ...['update_plan', 'view_image', 'web_search', 'list_mcp_resources', 'read_mcp_resource'],
  ...['list_mcp_resource_templates', 'read_file', 'list_dir', 'grep_files', 'request_user_input'],
]);

const title = 'Codex CLI';

export const codex: Harness = {
  name: 'codex',
  title,
  beforeTool: 'PreToolUse',
  afterTool: 'PostToolUse',
  canAsk: false,
  readOnlyTools,
  parse: (payload) => parseClaudeShape(payload, { title, readOnlyTools }),
  reply: replyClaudeShape,
  probe: probeClaudeShape,
};
