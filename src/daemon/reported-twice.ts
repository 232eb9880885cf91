/**
 * Copilot CLI runs the hooks of VS Code's file as well as those of its own, from the same folder. Where both
 * are connected, its own are heeded alone, or each call would be two that overlap.
 */
import fs from 'node:fs';
import path from 'node:path';
import { COPILOT_FILE } from '../agent/install/installer.ts';

/** Copilot CLI tells each hook the folder of the file that the hook is in. */
const FOLDER = 'COPILOT_HOOK_DIR';

/** Shell, before the payload goes anywhere. `$1` is the harness. */
export const SKIP_REPORTED_TWICE = `if [ "$1" = vscode ] && [ -n "\${${FOLDER}:-}" ] && \\
  [ -e "$${FOLDER}/${COPILOT_FILE}" ]; then exit 0; fi`;

export function isReportedTwice(
  harness: string,
  env: Readonly<Record<string, string | undefined>>,
): boolean {
  const folder = env[FOLDER] ?? '';
  return harness === 'vscode' && folder !== '' && fs.existsSync(path.join(folder, COPILOT_FILE));
}
