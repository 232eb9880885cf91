/**
 * VS Code's agent: `.github/hooks/*.json`, in Claude Code's shape with names of its own.
 *
 * The session is `sessionId` and the event `hookEventName`. Matchers are ignored, so every tool comes
 * here. Copilot CLI reads the same folder under other keys: its events are its own file's.
 */
import { z } from 'zod';
import { parseClaudeShape, probeClaudeShape, replyClaudeShape } from './claude-shape.ts';
import type { Harness } from './harness.ts';
import { parseFields } from './payload-fields.ts';

const SCHEMA = z.looseObject({
  sessionId: z.unknown().optional(),
  session_id: z.unknown().optional(),
  hookEventName: z.unknown().optional(),
  hook_event_name: z.unknown().optional(),
});

const readOnlyTools: ReadonlySet<string> = new Set([
  ...['read_file', 'list_dir', 'grep_search', 'file_search', 'semantic_search', 'get_errors'],
  ...['fetch_webpage', 'get_changed_files', 'list_code_usages', 'test_search', 'github_repo'],
  ...['get_search_view_results', 'read_project_structure', 'manage_todo_list', 'think'],
  ...['copilot_getNotebookSummary', 'get_vscode_api', 'get_terminal_output', 'terminal_selection'],
]);

const title = 'VS Code';

export const vscode: Harness = {
  name: 'vscode',
  title,
  beforeTool: 'PreToolUse',
  afterTool: 'PostToolUse',
  canAsk: true,
  readOnlyTools,
  parse: (payload) => {
    const fields = parseFields(SCHEMA, payload, title);
    const named = {
      ...fields,
      session_id: fields.session_id ?? fields.sessionId,
      hook_event_name: fields.hook_event_name ?? fields.hookEventName,
    };
    return parseClaudeShape(named, { title, readOnlyTools });
  },
  reply: replyClaudeShape,
  probe: probeClaudeShape,
};
