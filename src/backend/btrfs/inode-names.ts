/**
 * Every name of the files among some paths, and no name that neither tree holds.
 *
 * `btrfs send` names a changed file by one of its hard links only. The others differ as well, so they
 * have to be looked at too: INO_PATHS (root only) gives all names of an inode. Its own names for what
 * is on its way are four of five in a stream of replaced files; each that stays would be looked up
 * six times more. Directories are opened one by one, never through a symlink.
 */
import type { RawName, RawPath } from '../../core/raw-path.ts';
import type { PathNode, PathSet } from '../path-set.ts';
import { errnoOf } from '../syscall-failure.ts';
import { addressOf } from '../syscalls-inode-linux.ts';
import {
  closeFd,
  ioctlSync,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  openAt,
} from '../syscalls-linux.ts';
import { Statx } from '../syscalls-statx-linux.ts';

/** struct btrfs_ioctl_ino_path_args: u64 inum, size, reserved[4], fspath (pointer). */
const IOC_INO_PATHS = 0xc0389423;
const ARGS_BYTES = 56;
/** struct btrfs_data_container: u32 bytes_left, bytes_missing, elem_cnt, elem_missed, u64 val[]. */
const HEAD_BYTES = 16;
/** The kernel gives no more at a time. */
const NAMES_BYTES = 4096;

/** Deeper candidates are left to the lockstep comparison: each level here holds a descriptor. */
const LEVELS_MAX = 200;

const ABSENT: ReadonlySet<number> = new Set([2, 20]);

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;

export interface TwoTrees {
  readonly fromFd: number;
  readonly toFd: number;
  readonly paths: PathSet;
}

/**
 * `paths` as far as they are in one of the trees, and all other names of the files there, in both.
 * null: too many to name, too deep, or something can't be looked at.
 */
export function allNamesOf({ fromFd, toFd, paths }: TwoTrees): PathSet | null {
  // The set is not changed while it is walked.
  const linked: { fd: number; inodes: Set<number> }[] = [];
  const present = new Set<PathNode>();
  for (const fd of [fromFd, toFd]) {
    const found = { inodes: new Set<number>(), present };
    if (!lookAt(fd, paths.root, found, 0)) return null;
    linked.push({ fd, inodes: found.inodes });
  }
  // What neither tree holds differs in neither.
  paths.retain((node) => present.has(node));
  for (const { fd, inodes } of linked) {
    for (const inode of inodes) {
      const names = namesOf(fd, inode);
      if (names === null) return null;
      for (const name of names) paths.add(name);
    }
  }
  return paths;
}

const statx = new Statx();

interface Found {
  /** Inode numbers of files with more than one name. */
  readonly inodes: Set<number>;
  readonly present: Set<PathNode>;
}

/** False: too deep, or something other than its absence keeps a path from being looked at. */
function lookAt(fd: number, node: PathNode, found: Found, level: number): boolean {
  if (level > LEVELS_MAX) return false;
  for (const [name, child] of node.children) {
    const failed = statx.tryRead(fd, name);
    if (failed !== 0) {
      if (!ABSENT.has(failed)) return false;
      continue;
    }
    found.present.add(child);
    if ((statx.mode & S_IFMT) !== S_IFDIR) {
      if (statx.nlink > 1 && child.isMember) found.inodes.add(statx.ino);
    } else if (child.hasChildren) {
      const childFd = openAt(fd, name as RawName, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      try {
        if (!lookAt(childFd, child, found, level + 1)) return false;
      } finally {
        closeFd(childFd);
      }
    }
  }
  return true;
}

const inoPathArgs = Buffer.alloc(ARGS_BYTES);
const inoPathNames = Buffer.alloc(NAMES_BYTES);

/** null: the kernel could not name them all. */
function namesOf(fd: number, inode: number): readonly RawPath[] | null {
  inoPathArgs.fill(0);
  inoPathNames.fill(0, 0, HEAD_BYTES);
  inoPathArgs.writeBigUInt64LE(BigInt(inode), 0);
  inoPathArgs.writeBigUInt64LE(BigInt(NAMES_BYTES), 8);
  inoPathArgs.writeBigUInt64LE(BigInt(addressOf(inoPathNames)), 48);
  try {
    ioctlSync(fd, IOC_INO_PATHS, inoPathArgs, 'BTRFS_IOC_INO_PATHS');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null;
    throw error;
  }
  if (inoPathNames.readUInt32LE(12) > 0 || inoPathNames.readUInt32LE(4) > 0) return null;
  const count = inoPathNames.readUInt32LE(8);
  return Array.from({ length: count }, (_, i) => {
    // Offsets count from the start of `val`.
    const start = HEAD_BYTES + Number(inoPathNames.readBigUInt64LE(HEAD_BYTES + i * 8));
    return inoPathNames.toString('latin1', start, inoPathNames.indexOf(0, start)) as RawPath;
  });
}
