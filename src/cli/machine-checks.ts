/**
 * What ghostsnap needs of a machine, checked by trying.
 *
 * Each check says what was found and, where something is missing, the one line that mends it and
 * what does not work until then. Nothing is changed.
 */
import { accessSync, constants, existsSync } from 'node:fs';
import { release } from 'node:os';
import { delimiter, join } from 'node:path';
import type { Environment } from './composition.ts';

export interface MachineCheck {
  readonly name: string;
  /** missing: ghostsnap cannot work. limited: something works slower or not at all without it. */
  readonly state: 'ok' | 'limited' | 'missing';
  readonly found: string;
  /** The line that mends it; null when there is nothing to mend. */
  readonly mend: string | null;
}

const NODE_MAJOR_MIN = 24;
/** openat2(RESOLVE_BENEATH), without which no restore is safe from symlinks. */
const KERNEL_MIN = [5, 6] as const;

export async function checkMachine(environment: Environment): Promise<readonly MachineCheck[]> {
  return [
    checkPlatform(),
    checkNode(),
    checkKernel(),
    await checkSystemCalls(),
    checkRoot(environment),
    checkTool(environment, 'mkfs.btrfs', 'btrfs-progs', 'btrfs images cannot be made'),
    checkTool(environment, 'losetup', 'util-linux mount', 'btrfs images cannot be mounted'),
    checkLoopDevices(),
  ];
}

function checkPlatform(): MachineCheck {
  const found = `${process.platform} ${process.arch}`;
  if (process.platform === 'linux') return ok('platform', found);
  const mend = 'Use Linux: nothing else was tried.';
  return { name: 'platform', state: 'missing', found, mend };
}

function checkNode(): MachineCheck {
  const isNew = Number(process.versions.node.split('.')[0]) >= NODE_MAJOR_MIN;
  if (isNew) return ok('node', process.version);
  const mend = `Install Node.js ${NODE_MAJOR_MIN}: https://nodejs.org/en/download`;
  return { name: 'node', state: 'missing', found: process.version, mend };
}

function checkKernel(): MachineCheck {
  const found = release();
  const [major = 0, minor = 0] = found.split('.').map((part) => Number.parseInt(part, 10));
  const isNew = major > KERNEL_MIN[0] || (major === KERNEL_MIN[0] && minor >= KERNEL_MIN[1]);
  if (isNew) return ok('kernel', found);
  const mend = `Boot Linux ${KERNEL_MIN.join('.')} or newer.`;
  return { name: 'kernel', state: 'missing', found, mend };
}

async function checkSystemCalls(): Promise<MachineCheck> {
  try {
    const { AT_FDCWD } = await import('../backend/syscalls-linux.ts');
    const { Statx } = await import('../backend/syscalls-statx-linux.ts');
    new Statx().read(AT_FDCWD, '/');
    return ok('koffi', 'loads and calls');
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error);
    const mend = 'npm rebuild koffi   (or install ghostsnap again with install scripts allowed)';
    return { name: 'koffi', state: 'missing', found, mend };
  }
}

function checkRoot({ uid }: Environment): MachineCheck {
  if (uid === 0) return ok('root', 'yes');
  const found = 'no: pools cannot be made or mounted, going back compares trees by stat';
  return { name: 'root', state: 'limited', found, mend: 'sudo ghostsnap pool create NAME' };
}

function checkTool(
  environment: Environment,
  tool: string,
  debianPackage: string,
  without: string,
): MachineCheck {
  const path = findTool(environment, tool);
  if (path !== null) return ok(tool, path);
  const mend = `sudo apt-get install ${debianPackage}`;
  return { name: tool, state: 'limited', found: `not there: ${without}`, mend };
}

function checkLoopDevices(): MachineCheck {
  if (existsSync('/dev/loop-control')) return ok('loop devices', '/dev/loop-control');
  const found = 'not there: btrfs images cannot be mounted';
  return { name: 'loop devices', state: 'limited', found, mend: 'sudo modprobe loop' };
}

/** In PATH, and where administrators' tools live: a plain user's PATH often lacks those. */
export function findTool(environment: Pick<Environment, 'env'>, tool: string): string | null {
  const path = `${environment.env.PATH ?? ''}${delimiter}/usr/sbin${delimiter}/sbin`;
  for (const directory of path.split(delimiter)) {
    const file = join(directory, tool);
    if (directory !== '' && isExecutable(file)) return file;
  }
  return null;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    // Not there or not for us: the next directory may have it.
    return false;
  }
}

function ok(name: string, found: string): MachineCheck {
  return { name, state: 'ok', found, mend: null };
}
