/**
 * Changing the configuration of harnesses: planned first, shown, then written.
 *
 * A file is replaced whole, by rename, after what it held was kept once beside it; its mode stays, and a
 * symlink stays a symlink. Nothing is written that equals what is there.
 */
import fs from 'node:fs';
import path from 'node:path';
import { HARNESS_NAMES, type HarnessName } from '../agent/harness/harness.ts';
import { hookTrust } from '../agent/install/hook-trust.ts';
import type { HookConnection, InstallPlace, InstallScope } from '../agent/install/installer.ts';
import { INSTALLERS } from '../agent/install/installers.ts';
import type { HookTrust } from '../agent/install/trust-answer.ts';
import { isThere } from '../backend/is-there.ts';
import { sayStep } from '../backend/labelled-step.ts';
import { type Environment, requireHomeDirectory } from './home.ts';
import { atPublicEdgeSync } from './public-edge.ts';
import { removeDeadTemporaries, replaceFile } from './replace-file.ts';

const BACKUP_SUFFIX = '.before-ghostsnap';

export interface HookFileChange {
  readonly harness: HarnessName;
  readonly file: string;
  /** null: there is no file. */
  readonly before: string | null;
  /** null: the file goes. */
  readonly after: string | null;
}

/** @throws GhostsnapError BAD_CONFIG, NOT_PERMITTED, IO */
export function planConnect(
  harness: HarnessName,
  options: {
    readonly scope: InstallScope;
    readonly environment: Environment;
    readonly connection: HookConnection;
  },
): HookFileChange {
  const file = hookFile(harness, options.scope, options.environment);
  return atPublicEdgeSync(`Connecting ${harness}`, file, () => {
    const before = readText(file);
    const after = INSTALLERS[harness].connect(before, options.connection, file);
    return { harness, file, before, after };
  });
}

/** null: it is not connected there. @throws GhostsnapError BAD_CONFIG, NOT_PERMITTED, IO */
export function planDisconnect(
  harness: HarnessName,
  scope: InstallScope,
  environment: Environment,
): HookFileChange | null {
  const file = hookFile(harness, scope, environment);
  return atPublicEdgeSync(`Disconnecting ${harness}`, file, () => {
    const before = readText(file);
    if (before === null || !INSTALLERS[harness].isConnected(before)) return null;
    return { harness, file, before, after: INSTALLERS[harness].disconnect(before, file) };
  });
}

/** Doing it again changes nothing. @throws GhostsnapError NOT_PERMITTED, POOL_FULL, IO */
export function writeHookFile(change: HookFileChange): void {
  if (change.before === change.after) return;
  atPublicEdgeSync('Writing', change.file, () => writeChange(change));
}

function writeChange(change: HookFileChange): void {
  const { before, after } = change;
  const file = isThere(change.file) ? fs.realpathSync(change.file) : change.file;
  if (after === null) {
    fs.rmSync(file, { force: true });
    sayStep('hooks:removed');
    return;
  }
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const isSecret = after.includes('Bearer ');
  const mode = isSecret ? 0o600 : (fs.statSync(file, { throwIfNoEntry: false })?.mode ?? 0o644);
  const backup = `${file}${BACKUP_SUFFIX}`;
  for (const one of [backup, file]) removeDeadTemporaries(path.dirname(one), path.basename(one));
  // What is there is never written again, so it must never be there in part.
  if (before !== null && !isThere(backup)) {
    replaceFile({ file: backup, text: before, mode: mode & 0o777, step: 'hooks-kept' });
  }
  sayStep('hooks:kept');
  replaceFile({ file, text: after, mode: mode & 0o777, step: 'hooks' });
}

export interface HookState {
  readonly harness: HarnessName;
  /** Its program or its configuration is on this machine. */
  readonly found: boolean;
  readonly user: string | null;
  readonly project: string | null;
  /** Whether it will run them; null: it is not connected, or knows no such thing. */
  readonly trust: HookTrust | null;
}

/** Where each harness is connected: the files, null where it is not. */
export function hookStates(environment: Environment): readonly HookState[] {
  return HARNESS_NAMES.map((harness) => {
    const user = connectedFile(harness, 'user', environment);
    const project = connectedFile(harness, 'project', environment);
    const trust = trustOf(harness, { user, project }, environment);
    return { harness, found: isFound(harness, environment), user, project, trust };
  });
}

/** The better of the two: hooks that run from one file are enough. */
function trustOf(
  harness: HarnessName,
  files: Readonly<Record<InstallScope, string | null>>,
  environment: Environment,
): HookTrust | null {
  const place = placeOf(environment);
  const answers = (['user', 'project'] as const).flatMap((scope) => {
    const file = files[scope];
    return file === null ? [] : [hookTrust(harness, { place, scope, file, read: readText })];
  });
  return answers.find((one) => one?.state === 'enabled') ?? answers[0] ?? null;
}

export function hookFile(
  harness: HarnessName,
  scope: InstallScope,
  environment: Environment,
): string {
  return INSTALLERS[harness].file(scope, placeOf(environment));
}

function connectedFile(
  harness: HarnessName,
  scope: InstallScope,
  environment: Environment,
): string | null {
  const file = hookFile(harness, scope, environment);
  const text = readText(file);
  return text !== null && INSTALLERS[harness].isConnected(text) ? file : null;
}

function isFound(harness: HarnessName, environment: Environment): boolean {
  const { homeDir } = environment;
  const { programs, directories } = INSTALLERS[harness].signs;
  const search = (environment.env.PATH ?? '').split(path.delimiter).filter((one) => one !== '');
  return (
    (homeDir !== '' && directories.some((one) => fs.existsSync(path.join(homeDir, one)))) ||
    programs.some((program) => search.some((one) => fs.existsSync(path.join(one, program))))
  );
}

/** A project's files go to its root, wherever below it the person stands. */
function placeOf(environment: Environment): InstallPlace {
  const { cwd, env } = environment;
  const homeDir = requireHomeDirectory(environment);
  let projectDir = cwd;
  for (let at = cwd; at !== path.dirname(at) && at !== homeDir; at = path.dirname(at)) {
    if (!fs.existsSync(path.join(at, '.git'))) continue;
    projectDir = at;
    break;
  }
  return { homeDir, projectDir, env };
}

function readText(file: string): string | null {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}
