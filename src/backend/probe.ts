/**
 * What the filesystem at a path can do for us.
 *
 * Nothing is guessed from the filesystem's name where trying is possible: reflinks are tried on two
 * files without lasting names. The result is a plain value; init chooses a backend from it and doctor
 * prints it. The path itself is never changed.
 */
import { mkdtempSync, openSync, readFileSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { release } from 'node:os';
import { rawFromText } from '../core/raw-path.ts';
import { filesystemInfo, SUBVOLUME_ROOT_INO } from './btrfs/ioctl.ts';
import { type MountPoint, parseMountinfo } from './btrfs/mount-table.ts';
import { errnoOf, toGhostsnapError } from './syscall-failure.ts';
import { cloneFile } from './syscalls-data-linux.ts';
import {
  AT_FDCWD,
  closeFd,
  O_DIRECTORY,
  O_RDONLY,
  O_RDWR,
  O_TMPFILE,
  openAt,
} from './syscalls-linux.ts';
import { Statx } from './syscalls-statx-linux.ts';

export interface FilesystemProbe {
  /** As mount(8) names it: btrfs, xfs, ext4, tmpfs, overlay ... */
  readonly type: string;
  /** Equal for all paths of one filesystem, also for every subvolume of one btrfs. */
  readonly id: string;
  readonly mountPoint: string;
  readonly mountOptions: readonly string[];
  readonly isBtrfs: boolean;
  /** The path is the root of a subvolume. */
  readonly isSubvolume: boolean;
  /** FICLONE worked. False also where it could not be tried, see `canWrite`. */
  readonly canReflink: boolean;
  /** btrfs: snapshots may be removed by one ioctl without privilege. */
  readonly allowsUserSubvolumeRemoval: boolean;
  /** This user could make a file in the directory. */
  readonly canWrite: boolean;
  readonly isRoot: boolean;
  readonly totalBytes: number;
  /** What this user may still write. */
  readonly freeBytes: number;
  /** The kernel's release. */
  readonly kernel: string;
}

/**
 * @param path an existing directory, absolute
 * @throws GhostsnapError WORKSPACE_GONE, NOT_PERMITTED, IO
 */
export function probeFilesystem(path: string): FilesystemProbe {
  const raw = rawFromText(path);
  let fd: number;
  try {
    fd = openAt(AT_FDCWD, raw, O_RDONLY | O_DIRECTORY);
  } catch (error) {
    throw toGhostsnapError(error, { what: 'Probing', path: raw, fallback: 'WORKSPACE_GONE' });
  }
  try {
    return probeOpen(fd);
  } catch (error) {
    throw toGhostsnapError(error, { what: 'Probing', path: raw });
  } finally {
    closeFd(fd);
  }
}

function probeOpen(fd: number): FilesystemProbe {
  const stat = new Statx().read(fd, '');
  const mount = mountByDescriptor(fd);
  const superOptions = mount?.superOptions.split(',') ?? [];
  const space = statfsSync(`/proc/self/fd/${fd}`);
  const fsid = btrfsId(fd);
  const written = tryWriting(fd);
  return {
    type: mount?.type ?? 'unknown',
    id: fsid === null ? `dev-${stat.dev}` : `btrfs-${fsid}`,
    mountPoint: mount?.path ?? '/',
    mountOptions: [...(mount?.options.split(',') ?? []), ...superOptions],
    isBtrfs: fsid !== null,
    isSubvolume: fsid !== null && stat.ino === SUBVOLUME_ROOT_INO,
    canReflink: written.canReflink,
    allowsUserSubvolumeRemoval: superOptions.includes('user_subvol_rm_allowed'),
    canWrite: written.canWrite,
    isRoot: process.geteuid?.() === 0,
    totalBytes: space.blocks * space.bsize,
    freeBytes: space.bavail * space.bsize,
    kernel: release(),
  };
}

/** By mount id first: with bind mounts the longest path is not always the mount in question. */
function mountByDescriptor(fd: number): MountPoint | null {
  const table = readFileSync('/proc/self/mountinfo', 'utf8');
  const wanted = /^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1];
  const line = table.split('\n').find((candidate) => candidate.startsWith(`${wanted} `));
  return parseMountinfo(line ?? '')[0] ?? null;
}

function btrfsId(fd: number): string | null {
  try {
    return filesystemInfo(fd).fsid;
  } catch (error) {
    // Filesystems answer an unknown ioctl as they like (FUSE: ENOSYS); none of them is btrfs.
    if (errnoOf(error) !== '') return null;
    throw error;
  }
}

const PROBE_BYTES = 4096;

/** On files without a name where the filesystem has them, else in a temporary folder inside. */
function tryWriting(directoryFd: number): { canWrite: boolean; canReflink: boolean } {
  const opened: number[] = [];
  let folder: string | null = null;
  const here = `/proc/self/fd/${directoryFd}`;
  const open = (name: string): number => {
    const fd =
      folder === null
        ? openSync(here, O_TMPFILE | O_RDWR, 0o600)
        : openSync(`${folder}/${name}`, 'wx+', 0o600);
    opened.push(fd);
    return fd;
  };
  try {
    let from: number;
    try {
      from = open('from');
    } catch (error) {
      if (!['EOPNOTSUPP', 'EISDIR', 'EINVAL', 'ENOENT'].includes(errnoOf(error))) throw error;
      folder = mkdtempSync(`${here}/.ghostsnap-probe-`);
      from = open('from');
    }
    writeSync(from, Buffer.alloc(PROBE_BYTES, 1));
    return { canWrite: true, canReflink: canClone(open('to'), from) };
  } catch (error) {
    if (errnoOf(error) === '') throw error;
    return { canWrite: false, canReflink: false };
  } finally {
    for (const fd of opened) closeFd(fd);
    if (folder !== null) rmSync(folder, { recursive: true, force: true });
  }
}

function canClone(toFd: number, fromFd: number): boolean {
  try {
    cloneFile(toFd, fromFd);
    return true;
  } catch (error) {
    if (errnoOf(error) === '') throw error;
    return false;
  }
}
