/**
 * A pool in a btrfs image of our own: made, mounted, taken down whole.
 *
 * The image is a sparse file with 4 KiB nodes and single metadata, so that the first write after a
 * snapshot copies little; the loop device reads and writes it directly, past the host's page cache,
 * where the host's filesystem can. The order of every step is such that a crash leaves either nothing
 * that is used or something that the same call finishes. Records of pools are kept by the caller.
 * Starts processes (mkfs.btrfs, losetup); nothing here is on a hot path. Root only.
 */
import { execFile } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statfsSync,
  statSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { namesIfThere } from '../backend/if-there.ts';
import { isThere } from '../backend/is-there.ts';
import { sayStep } from '../backend/labelled-step.ts';
import { errnoOf, toGhostsnapError } from '../backend/syscall-failure.ts';
import { MS_NOATIME, mountFs, unmountFs } from '../backend/syscalls-mount-linux.ts';
import { type ErrorCode, GhostsnapError } from '../core/errors.ts';
import { rawFromText } from '../core/raw-path.ts';
import { GHOST_DIRECTORY } from './pool.ts';

const execute = promisify(execFile);

export interface ImagePoolPaths {
  readonly imagePath: string;
  readonly mountPath: string;
}

export interface ImagePoolMount {
  /** '/dev/loopN'. */
  readonly device: string;
  /** buffered: the host's filesystem has no direct I/O (tmpfs); snapshots cost about twice as much. */
  readonly io: 'direct' | 'buffered';
}

export interface ImagePoolStatus {
  readonly mounted: boolean;
  readonly device: string | null;
  readonly io: 'direct' | 'buffered' | null;
  /** Of the image's filesystem; 0 while not mounted. */
  readonly totalBytes: number;
  readonly freeBytes: number;
  /** What the sparse image takes on the host. */
  readonly hostBytes: number;
  /** What the host's filesystem has left for the image to grow into. */
  readonly hostFreeBytes: number;
}

/** btrfs refuses less: 109 MiB with single metadata. */
export const IMAGE_BYTES_MIN = 109 * 2 ** 20;

/** Snapshots, and the trees that moved into the pool. */
const SHARED_DIRECTORIES = [GHOST_DIRECTORY, 'work'] as const;

/**
 * What mkfs.btrfs is given for a pool.
 *
 * `-n 4096`: what the first writes after a snapshot copy is a fourth of what the default's 16 KiB nodes
 * take. `^no-holes`: with that feature the kernel may put a size into a snapshot that a writer reached
 * after the snapshot's flush: the end of a file that is being appended to reads as zeros there.
 */
export const IMAGE_FORMAT = ['-n', '4096', '-m', 'single', '-O', '^no-holes'] as const;

const MOUNT_DATA = 'user_subvol_rm_allowed,discard=async';

export interface CreateOptions extends ImagePoolPaths {
  readonly sizeBytes: number;
  /** Where mkfs.btrfs is looked for, as in PATH. Default: PATH and the system's own folders. */
  readonly toolPath?: string;
}

/**
 * Makes the image and mounts it. A call that failed or was killed leaves no image under its name, or a
 * whole one.
 * @throws GhostsnapError NEEDS_ROOT, MISSING_TOOL, POOL_EXISTS, BAD_ARGUMENT, POOL_FULL, IO
 */
export async function createImagePool(options: CreateOptions): Promise<ImagePoolMount> {
  assertRoot('Making a pool image');
  const { imagePath, sizeBytes } = options;
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes < IMAGE_BYTES_MIN) {
    throw new GhostsnapError('BAD_ARGUMENT', `A pool image of ${sizeBytes} bytes is too small.`, {
      data: { sizeBytes, sizeBytesMin: IMAGE_BYTES_MIN },
      hint: `Ask for ${IMAGE_BYTES_MIN} bytes or more; the image is sparse.`,
    });
  }
  if (isThere(imagePath)) {
    throw new GhostsnapError('POOL_EXISTS', `There is a pool image already: ${imagePath}`, {
      data: { path: imagePath },
      hint: 'Mount it, or name another path.',
    });
  }
  await makeImage(options);
  try {
    return await mountImagePool(options);
  } catch (error) {
    await unmountImagePool(options);
    rmSync(imagePath, { force: true });
    throw error;
  }
}

/**
 * Root makes the pool, everybody may use it: as in /tmp, each user makes directories of their own
 * there, which nobody else can rename or remove. Durable on return; a kill before is made good by the
 * next mount.
 */
function makeSharedDirectories(mountPath: string): void {
  const missing = SHARED_DIRECTORIES.filter((name) => !isThere(`${mountPath}/${name}`));
  for (const name of missing) {
    mkdirSync(`${mountPath}/${name}`);
    chmodSync(`${mountPath}/${name}`, 0o1777);
    syncDirectory(`${mountPath}/${name}`);
  }
  // Without them a pool counts as not mounted: a power loss right after its making took them away.
  if (missing.length > 0) syncDirectory(mountPath);
}

/** The image gets its name only when the filesystem in it is whole. */
async function makeImage({ imagePath, sizeBytes, toolPath }: CreateOptions): Promise<void> {
  const unfinished = `${imagePath}.unfinished`;
  try {
    mkdirSync(dirname(imagePath), { recursive: true });
    rmSync(unfinished, { force: true });
    const fd = openSync(unfinished, 'wx', 0o600);
    try {
      ftruncateSync(fd, sizeBytes);
      await run('mkfs.btrfs', ['-q', ...IMAGE_FORMAT, unfinished], toolPath);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    sayStep('pool:image-formatted');
    renameSync(unfinished, imagePath);
    sayStep('pool:image-named');
    syncDirectory(dirname(imagePath));
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw toGhostsnapError(error, { what: 'Making the image', path: rawFromText(imagePath) });
  }
}

/**
 * Attaches and mounts the image; one that is mounted already stays as it is.
 * @throws GhostsnapError NEEDS_ROOT, MISSING_TOOL, POOL_NOT_FOUND, POOL_IN_USE, IO
 */
export async function mountImagePool(paths: ImagePoolPaths): Promise<ImagePoolMount> {
  const { imagePath, mountPath } = paths;
  if (isImagePoolMounted(mountPath)) return mountedAt(paths);
  assertRoot('Mounting a pool image');
  if (!isThere(imagePath)) {
    throw new GhostsnapError('POOL_NOT_FOUND', `There is no pool image at ${imagePath}`, {
      data: { path: imagePath },
      hint: 'Bring the file back, or create the pool again.',
    });
  }
  mkdirSync(mountPath, { recursive: true });
  if (readdirSync(mountPath).length > 0) {
    throw new GhostsnapError('POOL_IN_USE', `The mount point is not empty: ${mountPath}`, {
      data: { path: mountPath },
      hint: 'Move what is in it away: mounting would hide it.',
    });
  }
  const inUse = await deviceInUse(imagePath);
  const { device, io } = inUse ?? (await attach(imagePath));
  sayStep('pool:attached');
  try {
    mountFs({
      source: device,
      target: mountPath,
      type: 'btrfs',
      flags: MS_NOATIME,
      data: MOUNT_DATA,
    });
    sayStep('pool:mounted');
    chmodSync(mountPath, 0o755);
    makeSharedDirectories(mountPath);
    sayStep('pool:directories-made');
  } catch (error) {
    if (isImagePoolMounted(mountPath)) unmountFs(mountPath);
    if (inUse === null) await run('losetup', ['-d', device]);
    throw toGhostsnapError(error, { what: 'Mounting the pool', path: rawFromText(mountPath) });
  }
  return { device, io };
}

/**
 * The device of an image that is mounted somewhere: a workspace still shown at its path keeps it after
 * the pool's own mount has gone. It is mounted once more; two devices on one image would destroy it, so
 * one that a killed run attached and did not mount is detached.
 */
async function deviceInUse(imagePath: string): Promise<ImagePoolMount | null> {
  const mounted = readFileSync('/proc/self/mountinfo', 'utf8');
  let inUse: ImagePoolMount | null = null;
  for (const device of await devicesOf(imagePath)) {
    if (mounted.includes(` ${device} `)) inUse = { device, io: ioOf(device) };
    else await run('losetup', ['-d', device]);
  }
  return inUse;
}

async function attach(imagePath: string): Promise<ImagePoolMount> {
  const attached = await run('losetup', ['--find', '--show', imagePath]);
  const device = attached.trim();
  // Asked for afterwards, because together with --find a refusal detaches the device again.
  try {
    await run('losetup', ['--direct-io=on', device]);
  } catch (error) {
    if (error instanceof GhostsnapError && error.code === 'MISSING_TOOL') throw error;
  }
  return { device, io: ioOf(device) };
}

/** @throws GhostsnapError NEEDS_ROOT, POOL_IN_USE when something in it is open */
export async function unmountImagePool(paths: ImagePoolPaths): Promise<void> {
  assertRoot('Unmounting a pool image');
  const { imagePath, mountPath } = paths;
  try {
    if (isImagePoolMounted(mountPath)) unmountFs(mountPath);
  } catch (error) {
    if (errnoOf(error) !== 'EBUSY') {
      throw toGhostsnapError(error, { what: 'Unmounting', path: rawFromText(mountPath) });
    }
    throw new GhostsnapError('POOL_IN_USE', `The pool is in use: ${mountPath}`, {
      data: { path: mountPath },
      hint: `Find who holds it with "fuser -vm ${mountPath}", end that, then try again.`,
      cause: error,
    });
  }
  sayStep('pool:unmounted');
  for (const device of await devicesOf(imagePath)) await run('losetup', ['-d', device]);
  sayStep('pool:detached');
}

/**
 * Unmounts and removes the image, with everything in it. Without `force` it refuses while workspaces
 * have snapshots there; an image that is not mounted is mounted to find out, and one that can't be
 * mounted is not ours to remove. Finished by calling it again.
 * @throws GhostsnapError NEEDS_ROOT, POOL_IN_USE, IO
 */
export async function destroyImagePool(
  options: ImagePoolPaths & { readonly force?: 'yes' | 'no' },
): Promise<void> {
  assertRoot('Removing a pool image');
  const { imagePath, mountPath } = options;
  if (options.force !== 'yes') await assertUnused(options);
  await unmountImagePool(options);
  // The mount point first: were the image gone before it, nothing would name the directory again.
  if (isThere(mountPath)) rmdirSync(mountPath);
  sayStep('pool:mount-point-removed');
  rmSync(imagePath, { force: true });
  sayStep('pool:image-removed');
  rmSync(`${imagePath}.unfinished`, { force: true });
  if (isThere(dirname(imagePath))) syncDirectory(dirname(imagePath));
}

async function assertUnused(paths: ImagePoolPaths): Promise<void> {
  if (!isThere(paths.imagePath)) return;
  const wasMounted = isImagePoolMounted(paths.mountPath);
  if (!wasMounted) await mountImagePool(paths);
  const held = workspacesIn(paths.mountPath);
  if (held.length === 0) return;
  if (!wasMounted) await unmountImagePool(paths);
  throw new GhostsnapError('POOL_IN_USE', `The pool holds snapshots of ${held.join(', ')}.`, {
    data: { workspaces: held },
    hint: 'Destroy these workspaces first, or pass --force to lose their snapshots.',
  });
}

function workspacesIn(mountPath: string): string[] {
  return SHARED_DIRECTORIES.flatMap((name) => namesIfThere(`${mountPath}/${name}`)).filter((name) =>
    name.startsWith('ws_'),
  );
}

export async function imagePoolStatus(paths: ImagePoolPaths): Promise<ImagePoolStatus> {
  const { imagePath, mountPath } = paths;
  const mounted = isImagePoolMounted(mountPath);
  const image = statSync(imagePath, { throwIfNoEntry: false });
  const space = mounted ? statfsSync(mountPath) : null;
  const host = isThere(dirname(imagePath)) ? statfsSync(dirname(imagePath)) : null;
  const at = mounted ? await mountedAt(paths) : null;
  return {
    mounted,
    device: at?.device ?? null,
    io: at?.io ?? null,
    totalBytes: space === null ? 0 : space.blocks * space.bsize,
    freeBytes: space === null ? 0 : space.bavail * space.bsize,
    hostBytes: (image?.blocks ?? 0) * 512,
    hostFreeBytes: host === null ? 0 : host.bavail * host.bsize,
  };
}

/** Reads /proc/self/mountinfo; needs no privilege. */
export function isImagePoolMounted(mountPath: string): boolean {
  return mountLine(mountPath) !== undefined;
}

function mountLine(mountPath: string): string | undefined {
  const escaped = mountPath.replace(
    /[ \t\n\\]/g,
    (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`,
  );
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .find((line) => line.split(' ')[4] === escaped);
}

async function mountedAt({ mountPath }: ImagePoolPaths): Promise<ImagePoolMount> {
  const device = mountLine(mountPath)?.split(' - ')[1]?.split(' ')[1] ?? '';
  return { device, io: ioOf(device) };
}

/** sysfs says what the kernel does, which may be less than what was asked for. */
function ioOf(device: string): 'direct' | 'buffered' {
  const file = `/sys/block/${device.replace('/dev/', '')}/loop/dio`;
  return existsSync(file) && readFileSync(file, 'utf8').trim() === '1' ? 'direct' : 'buffered';
}

async function devicesOf(imagePath: string): Promise<string[]> {
  if (!isThere(imagePath)) return [];
  const listed = await run('losetup', ['--noheadings', '--output', 'NAME', '-j', imagePath]);
  return listed.split('\n').flatMap((line) => (line.trim() === '' ? [] : [line.trim()]));
}

const PACKAGES: Readonly<Record<string, string>> = {
  'mkfs.btrfs': 'btrfs-progs',
  losetup: 'mount util-linux',
};

/** Standard output of a tool. @throws GhostsnapError MISSING_TOOL, IO */
async function run(
  tool: string,
  toolArguments: readonly string[],
  toolPath = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`,
): Promise<string> {
  try {
    const env = { ...process.env, LC_ALL: 'C', PATH: toolPath };
    return (await execute(tool, [...toolArguments], { env })).stdout;
  } catch (error) {
    throw toolFailure(tool, error);
  }
}

function toolFailure(tool: string, error: unknown): GhostsnapError {
  if (errnoOf(error) === 'ENOENT') {
    return new GhostsnapError('MISSING_TOOL', `The program ${tool} is not installed.`, {
      data: { tool },
      hint: `Run "apt-get install ${PACKAGES[tool] ?? tool}".`,
      cause: error,
    });
  }
  const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
  const code: ErrorCode = /no space left/i.test(said) ? 'POOL_FULL' : 'IO';
  return new GhostsnapError(code, `${tool} failed: ${said === '' ? String(error) : said}`, {
    data: { tool },
    hint: 'Look at the message above and at the kernel log ("dmesg").',
    cause: error,
  });
}

function assertRoot(what: string): void {
  if (process.geteuid?.() === 0) return;
  throw new GhostsnapError('NEEDS_ROOT', `${what} needs root.`, {
    hint: 'Run it once with sudo; using the pool afterwards needs no privilege.',
  });
}

function syncDirectory(directory: string): void {
  const fd = openSync(directory, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
