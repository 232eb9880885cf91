/**
 * Claude Code: `hooks` in settings.json.
 *
 * Source: https://code.claude.com/docs/en/hooks. Subagents report with the session of the agent that
 * started them and an `agent_id`; a Bash command in the background ends its call when it is started.
 */
import { parseClaudeShape, probeClaudeShape, replyClaudeShape } from './claude-shape.ts';
import type { Harness } from './harness.ts';

const readOnlyTools: ReadonlySet<string> = new Set([
  ...['Read', 'Glob', 'Grep', 'LS', 'NotebookRead', 'BashOutput', 'TaskOutput', 'LSP'],
  ...['WebFetch', 'WebSearch', 'ListMcpResourcesTool', 'ReadMcpResourceTool', 'ToolSearch'],
  // These keep lists and questions of the agent's own, outside the workspace.
  ...['TodoRead', 'TodoWrite', 'TaskCreate', 'TaskGet', 'TaskList', 'TaskUpdate'],
  ...['AskUserQuestion', 'EnterPlanMode', 'ExitPlanMode'],
]);

const title = 'Claude Code';

export const claudeCode: Harness = {
  name: 'claude-code',
  title,
  beforeTool: 'PreToolUse',
  afterTool: 'PostToolUse',
  canAsk: true,
  readOnlyTools,
  parse: (payload) => parseClaudeShape(payload, { title, readOnlyTools }),
  reply: replyClaudeShape,
  probe: probeClaudeShape,
};
