/**
 * Whether a harness will run the hooks that are in its files: some have a switch for all hooks, some run a
 * folder's or a changed hook only once a person has trusted it.
 *
 * Pure but for `read`. It reads what harnesses write for themselves and changes none of it. What it does not
 * find or understand is no reason to doubt: only what is known to stand in the way is said.
 */
import path from 'node:path';
import type { HarnessName } from '../harness/harness.ts';
import { codexTrust } from './codex-trust.ts';
import { isFields, listOf, valueAt } from './settings-value.ts';
import {
  disabled,
  ENABLED,
  type HookTrust,
  type TrustQuestion,
  untrusted,
} from './trust-answer.ts';

/** null: the harness has no such notion. */
export function hookTrust(harness: HarnessName, question: TrustQuestion): HookTrust | null {
  switch (harness) {
    case 'claude-code':
      return claudeTrust(question);
    case 'codex':
      return codexTrust(question);
    case 'gemini-cli':
      return geminiTrust(question);
    case 'copilot-cli':
      return copilotTrust(question);
    default:
      return null;
  }
}

/** `disableAllHooks` in any settings file; a project's own hooks wait for the folder's trust dialog. */
function claudeTrust({ place, scope, read }: TrustQuestion): HookTrust {
  const { homeDir, projectDir, env } = place;
  const moved = env.CLAUDE_CONFIG_DIR;
  const isMoved = moved !== undefined && path.isAbsolute(moved);
  const settings = [
    path.join(isMoved ? moved : path.join(homeDir, '.claude'), 'settings.json'),
    path.join(projectDir, '.claude/settings.json'),
    path.join(projectDir, '.claude/settings.local.json'),
  ];
  const off = settings.find((file) => valueAt(read(file), ['disableAllHooks']) === true);
  if (off !== undefined) return disabled(`"disableAllHooks" is set in ${off}`);
  if (scope === 'user') return ENABLED;
  const own = path.join(isMoved ? moved : homeDir, '.claude.json');
  const accepted = valueAt(read(own), ['projects', projectDir, 'hasTrustDialogAccepted']);
  return accepted === true
    ? ENABLED
    : untrusted('Claude Code has not been told to trust this folder: start it there once.');
}

/** `hooksConfig`, and trusted folders where that is switched on: the nearest one decides. */
function geminiTrust({ place, scope, read }: TrustQuestion): HookTrust {
  const { projectDir, env } = place;
  const moved = env.GEMINI_CLI_HOME;
  const homeDir = moved !== undefined && path.isAbsolute(moved) ? moved : place.homeDir;
  const user = path.join(homeDir, '.gemini/settings.json');
  const project = path.join(projectDir, '.gemini/settings.json');
  for (const file of [user, project]) {
    const text = read(file);
    if (valueAt(text, ['hooksConfig', 'enabled']) === false) {
      return disabled(`"hooksConfig.enabled" is false in ${file}`);
    }
    const names = valueAt(text, ['hooksConfig', 'disabled']);
    if (Array.isArray(names) && names.includes('ghostsnap')) {
      return disabled(`"ghostsnap" is in "hooksConfig.disabled" of ${file}`);
    }
  }
  const hasTrust = valueAt(read(user), ['security', 'folderTrust', 'enabled']) === true;
  if (scope === 'user' || !hasTrust) return ENABLED;
  const folders = valueAt(read(path.join(homeDir, '.gemini/trustedFolders.json')), []);
  return isTrustedFolder(projectDir, folders)
    ? ENABLED
    : untrusted(
        'Gemini CLI runs hooks of a folder only when it is trusted: type /permissions there.',
      );
}

/** `disableAllHooks` in the file itself; a project's own hooks wait for the folder's trust. */
function copilotTrust({ place, scope, file, read }: TrustQuestion): HookTrust {
  if (valueAt(read(file), ['disableAllHooks']) === true) {
    return disabled(`"disableAllHooks" is set in ${file}`);
  }
  if (scope === 'user') return ENABLED;
  const home = place.env.COPILOT_HOME;
  const base = home !== undefined && path.isAbsolute(home) ? home : `${place.homeDir}/.copilot`;
  const config = read(path.join(base, 'config.json'));
  const folders = ['trustedFolders', 'trusted_folders'].flatMap((name) =>
    listOf(valueAt(config, [name])),
  );
  const isTrusted = folders.some(
    (folder) => typeof folder === 'string' && isWithin(place.projectDir, folder),
  );
  return isTrusted
    ? ENABLED
    : untrusted('Copilot CLI runs hooks of a folder only when it is trusted: start it there once.');
}

function isTrustedFolder(directory: string, folders: unknown): boolean {
  let longest = -1;
  let isTrusted = false;
  for (const [folder, level] of Object.entries(isFields(folders) ? folders : {})) {
    const root = level === 'TRUST_PARENT' ? path.dirname(folder) : folder;
    if (!isWithin(directory, root) || root.length <= longest) continue;
    longest = root.length;
    isTrusted = level === 'TRUST_FOLDER' || level === 'TRUST_PARENT';
  }
  return isTrusted;
}

function isWithin(directory: string, root: string): boolean {
  return directory === root || directory.startsWith(root === '/' ? '/' : `${root}/`);
}
