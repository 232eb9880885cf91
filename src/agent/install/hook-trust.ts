/**
 * Whether a harness will run the hooks that are in its files: some have a switch for all hooks, some run a
 * folder's or a changed hook only once a person has trusted it.
 *
 * Pure but for `read`. It reads what harnesses write for themselves and changes none of it. What it does not
 * find or understand is no reason to doubt: only what is known to stand in the way is said.
 */
import path from 'node:path';
import { parse } from 'jsonc-parser';
import type { HarnessName } from '../harness/harness.ts';
import type { InstallPlace, InstallScope } from './installer.ts';

export interface HookTrust {
  readonly state: 'enabled' | 'disabled' | 'untrusted';
  /** What stands in the way and what to do, one sentence; null when nothing does. */
  readonly why: string | null;
}

export interface TrustQuestion {
  readonly place: InstallPlace;
  readonly scope: InstallScope;
  /** The file that holds our hooks. */
  readonly file: string;
  /** The text of a file; null: there is none. */
  readonly read: (file: string) => string | null;
}

const ENABLED: HookTrust = { state: 'enabled', why: null };

/** null: the harness has no such notion. */
export function hookTrust(harness: HarnessName, question: TrustQuestion): HookTrust | null {
  switch (harness) {
    case 'claude-code':
      return claudeTrust(question);
    case 'codex':
      return codexTrust(question);
    case 'gemini-cli':
      return geminiTrust(question);
    default:
      return null;
  }
}

/** `disableAllHooks` in any settings file; a project's own hooks wait for the folder's trust dialog. */
function claudeTrust({ place, scope, read }: TrustQuestion): HookTrust {
  const { homeDir, projectDir } = place;
  const settings = [
    path.join(homeDir, '.claude/settings.json'),
    path.join(projectDir, '.claude/settings.json'),
    path.join(projectDir, '.claude/settings.local.json'),
  ];
  const off = settings.find((file) => valueAt(read(file), ['disableAllHooks']) === true);
  if (off !== undefined) return disabled(`"disableAllHooks" is set in ${off}`);
  if (scope === 'user') return ENABLED;
  const own = path.join(homeDir, '.claude.json');
  const accepted = valueAt(read(own), ['projects', projectDir, 'hasTrustDialogAccepted']);
  return accepted === true
    ? ENABLED
    : untrusted('Claude Code has not been told to trust this folder: start it there once.');
}

/** A hook runs once its hash is in `[hooks.state."FILE:event:group:hook"]` of config.toml. */
function codexTrust({ place, file, read }: TrustQuestion): HookTrust {
  const home = place.env.CODEX_HOME;
  const base = home !== undefined && path.isAbsolute(home) ? home : `${place.homeDir}/.codex`;
  const config = path.join(base, 'config.toml');
  const text = read(config) ?? '';
  if (/^\s*(codex_)?hooks\s*=\s*false\b/m.test(text)) {
    return disabled(`the feature "hooks" is off in ${config}`);
  }
  const isTrusted = text
    .split(/^\s*\[/m)
    .some(
      (table) =>
        table.startsWith(`hooks.state."${file}:pre_tool_use:`) && /trusted_hash/.test(table),
    );
  return isTrusted
    ? ENABLED
    : untrusted('Codex passes over a hook until you trust it: type /hooks in a session.');
}

/** `hooksConfig`, and trusted folders where that is switched on: the nearest one decides. */
function geminiTrust({ place, scope, read }: TrustQuestion): HookTrust {
  const { homeDir, projectDir } = place;
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

function isTrustedFolder(directory: string, folders: unknown): boolean {
  let longest = -1;
  let isTrusted = false;
  for (const [folder, level] of Object.entries(isFields(folders) ? folders : {})) {
    const root = level === 'TRUST_PARENT' ? path.dirname(folder) : folder;
    const isAround = directory === root || directory.startsWith(root === '/' ? '/' : `${root}/`);
    if (!isAround || root.length <= longest) continue;
    longest = root.length;
    isTrusted = level === 'TRUST_FOLDER' || level === 'TRUST_PARENT';
  }
  return isTrusted;
}

/** undefined: it is not there, or the text is no JSON. */
function valueAt(text: string | null, keys: readonly string[]): unknown {
  let value: unknown = text === null ? undefined : parse(text);
  for (const key of keys) {
    value = isFields(value) && Object.hasOwn(value, key) ? value[key] : undefined;
  }
  return value;
}

function isFields(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function disabled(what: string): HookTrust {
  return { state: 'disabled', why: `It runs no hooks: ${what}.` };
}

function untrusted(why: string): HookTrust {
  return { state: 'untrusted', why };
}
