/**
 * The demo's own place: a temporary directory with a copy of the project, a reference copy, a home
 * of its own, and a way to take all of it down whatever happened.
 *
 * Nothing is deleted while something is still mounted below it.
 */
import {
  appendFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { isAtOrBelow, parseMountinfo } from '../../backend/btrfs/mount-table.ts';
import { GhostsnapError } from '../../core/errors.ts';
import type { Environment } from '../composition.ts';
import { findTool } from '../machine-checks.ts';
import { preciousFiles, type Victims } from './demo-damages.ts';
import { runShell, runShellOrThrow, type ShellOptions } from './demo-shell.ts';

export interface DemoPlace {
  /** Absolute, without symlinks; everything of the demo is below it. */
  readonly base: string;
  /** The process's environment with ghostsnap's own files below `base`. */
  readonly environment: Environment;
}

export function makeDemoPlace(environment: Environment): DemoPlace {
  const base = mkdtempSync(join(realpathSync(tmpdir()), 'ghostsnap-demo-'));
  const env = { ...environment.env, GHOSTSNAP_HOME: join(base, 'home') };
  return { base, environment: { ...environment, env, cwd: base } };
}

/** Copies the project with `cp -a`: the original is only ever read. */
export async function copyProject(options: {
  readonly from: string;
  readonly to: string;
  readonly place: DemoPlace;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { from, to, place, signal } = options;
  mkdirSync(to);
  await runShellOrThrow({
    command: ['cp', '-a', '--', `${from}/.`, to],
    cwd: place.base,
    env: place.environment.env,
    signal,
  });
}

/**
 * Whether git commands may run in the copy: its .git is a directory of its own, not a link
 * elsewhere.
 */
export function hasOwnGit(root: string): boolean {
  const path = join(root, '.git');
  return existsSync(path) && lstatSync(path).isDirectory();
}

/** Adds what git does not have: precious untracked files, and an edit that was not committed. */
export function addUncommittedWork(root: string, victims: Victims): void {
  for (const [path, content] of preciousFiles()) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    if (!existsSync(join(root, path))) writeFileSync(join(root, path), content);
  }
  appendFileSync(join(root, victims.file), '\n');
}

/**
 * Removes everything, mounts and loop devices first. Never interrupted: it runs after Ctrl-C, too.
 * @throws GhostsnapError IO when something is still mounted; nothing is deleted then
 */
export async function removeDemoPlace(place: DemoPlace): Promise<void> {
  const { base, environment } = place;
  const shell = { cwd: '/', env: environment.env, signal: new AbortController().signal };
  for (const path of mountsBelow(base)) await runShell({ ...shell, command: ['umount', path] });
  const mounted = mountsBelow(base);
  if (mounted.length > 0) {
    throw new GhostsnapError('IO', `The demo could not unmount ${mounted.join(', ')}`, {
      hint: `Unmount it, then delete ${base}`,
    });
  }
  await detachLoopDevices(base, shell);
  // The demo may have been stopped while a directory was closed to everybody, its owner included.
  await runShell({ ...shell, command: ['chmod', '-R', 'u+rwX', '--', base] });
  rmSync(base, { recursive: true, force: true });
}

/**
 * Detaches devices whose image file is below `base`; where losetup is missing none was attached.
 */
async function detachLoopDevices(
  base: string,
  shell: Omit<ShellOptions, 'command'>,
): Promise<void> {
  const losetup = findTool({ env: shell.env }, 'losetup');
  if (losetup === null) return;
  const list = [losetup, '--list', '--noheadings', '--raw', '-O', 'NAME,BACK-FILE'];
  const { stdout } = await runShell({ ...shell, command: list });
  for (const line of stdout.split('\n')) {
    const [device = '', file = ''] = line.split(' ');
    if (!isAtOrBelow(file, base)) continue;
    await runShell({ ...shell, command: [losetup, '-d', device] });
  }
}

/** Innermost first. */
function mountsBelow(base: string): readonly string[] {
  return parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8'))
    .map((mount) => mount.path)
    .filter((path) => isAtOrBelow(path, base))
    .toReversed();
}
