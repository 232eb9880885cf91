/**
 * VS Code's agent: `.github/hooks/*.json`, in Claude Code's shape with names of its own.
 *
 * The session is `sessionId` and the event `hookEventName`. Matchers are ignored, so every tool comes
 * here. Copilot CLI reads the same folder under other keys: its events are its own file's.
 *
 * Source: `chatHookService.ts` of microsoft/vscode-copilot-chat, `hookSchema.ts` of microsoft/vscode. `cwd` is the
 * folder that is open, and there is none in an empty window; a request outside of a session names none.
 */
import { z } from 'zod';
import { parseClaudeShape, probeClaudeShape, replyClaudeShape } from './claude-shape.ts';
import type { Harness } from './harness.ts';
import { derivedKey, directoryField, parseFields } from './payload-fields.ts';

const SCHEMA = z.looseObject({
  sessionId: z.unknown().optional(),
  session_id: z.unknown().optional(),
  hookEventName: z.unknown().optional(),
  hook_event_name: z.unknown().optional(),
  cwd: directoryField.optional(),
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
    // No folder is open: there is no workspace either.
    if (fields.cwd === undefined) return { type: 'ignore' };
    const nameless = `vscode-${derivedKey('session', fields.cwd)}`;
    const named = {
      ...fields,
      session_id: fields.session_id ?? fields.sessionId ?? nameless,
      hook_event_name: fields.hook_event_name ?? fields.hookEventName,
    };
    return parseClaudeShape(named, { title, readOnlyTools });
  },
  reply: replyClaudeShape,
  probe: probeClaudeShape,
};
