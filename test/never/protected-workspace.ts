/**
 * A workspace as a user has it: a directory, a GHOSTSNAP_HOME of its own, and either backend.
 *
 * Everything is made in a temporary folder (and, for btrfs, on an image) and taken down on disposal.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Workspace } from '../../src/index.ts';
import { type Environment, initWorkspace, openWorkspace } from '../../src/index.ts';
import { digestTree, type TreeDigest } from '../checker/tree-digest.ts';
import { type LoopImage, makeLoopImage } from '../platform/loop-image.ts';

export type Kind = 'btrfs' | 'store';

export interface Protected extends AsyncDisposable {
  readonly kind: Kind;
  readonly path: string;
  /** A directory on the same filesystem, outside of the workspace. */
  readonly beside: string;
  readonly environment: Environment;
  /** Runs a shell command in the workspace, as a tool of an agent would. */
  sh(script: string): void;
  digest(): TreeDigest;
  open(): Promise<Workspace>;
  /** Runs the command line from its sources. */
  cli(args: readonly string[], options?: CliOptions): CliResult;
}

export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly uid?: number;
}

export interface CliResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ProtectOptions {
  readonly kind: Kind;
  /** Run in the directory before it becomes a workspace. */
  readonly before?: string;
  readonly mountOptions?: string;
  /** Who owns and initialises it; root when left out. */
  readonly uid?: number;
}

const START = join(import.meta.dirname, '..', 'cli', 'start-from-source.ts');
const IMAGE_MIB = 400;

export async function protect(options: ProtectOptions): Promise<Protected> {
  const folder = mkdtempSync(join(tmpdir(), 'ghostsnap-never-'));
  chmodSync(folder, 0o755);
  const image = options.kind === 'btrfs' ? await makeImage(options, folder) : null;
  const takeDown = async (): Promise<void> => {
    await image?.dispose();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    return await build(options, {
      base: join(image?.mountPath ?? folder, 'base'),
      folder,
      takeDown,
    });
  } catch (error) {
    await takeDown();
    throw error;
  }
}

interface Ground {
  readonly base: string;
  readonly folder: string;
  readonly takeDown: () => Promise<void>;
}

async function build(options: ProtectOptions, ground: Ground): Promise<Protected> {
  const path = join(ground.base, 'work');
  const beside = join(ground.base, 'beside');
  const home = join(ground.folder, 'home');
  for (const directory of [ground.base, path, beside, home]) {
    mkdirSync(directory);
    if (options.uid !== undefined) chownSync(directory, options.uid, options.uid);
  }
  const env = { ...process.env, GHOSTSNAP_HOME: home, HOME: ground.folder, LC_ALL: 'C.UTF-8' };
  const environment: Environment = {
    env,
    cwd: path,
    homeDir: ground.folder,
    uid: process.getuid?.() ?? 0,
  };
  const as = options.uid === undefined ? {} : { uid: options.uid, gid: options.uid };
  const sh = (script: string): void => {
    execFileSync('bash', ['-euc', script], {
      cwd: path,
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
      ...as,
    });
  };
  if (options.before !== undefined) sh(options.before);
  const workspace: Protected = {
    kind: options.kind,
    path,
    beside,
    environment,
    sh,
    digest: () => digestTree(path),
    open: () => openWorkspace({ workspace: path, environment }),
    cli: (args, given = {}) => runCli(args, { ...given, env: { ...env, ...given.env } }, path),
    [Symbol.asyncDispose]: ground.takeDown,
  };
  if (options.uid === undefined) {
    await initWorkspace({ path, backend: options.kind, environment });
  } else {
    const { status, stderr } = workspace.cli(['init', path], { uid: options.uid });
    if (status !== 0) throw new Error(`init as ${options.uid} ended with ${status}: ${stderr}`);
  }
  return workspace;
}

function runCli(args: readonly string[], options: CliOptions, cwd: string): CliResult {
  return spawnSync(process.execPath, [START, ...args], {
    cwd: options.cwd ?? cwd,
    env: options.env,
    encoding: 'utf8',
    ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
  });
}

function makeImage(options: ProtectOptions, under: string): Promise<LoopImage> {
  return makeLoopImage({
    fs: 'btrfs',
    sizeMiB: IMAGE_MIB,
    mountOptions: options.mountOptions ?? 'noatime,user_subvol_rm_allowed',
    under,
  });
}
