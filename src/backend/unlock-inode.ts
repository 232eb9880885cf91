/**
 * Taking away what keeps an inode from being changed: immutable and append-only flags, and
 * permissions that the owner withheld from themselves.
 *
 * Whoever unlocks an inode gives it its final mode and flags afterwards, or removes it. All on
 * descriptors: an inode is unlocked, never a name.
 */
import type { RawName } from '../core/raw-path.ts';
import { RESOLVE_INSIDE } from './directory-fds.ts';
import { RawStat } from './directory-listing.ts';
import { SyscallError } from './syscall-error.ts';
import { errnoOf } from './syscall-failure.ts';
import { chmodPathFd } from './syscalls-entry-linux.ts';
import {
  FS_APPEND_FL,
  FS_IMMUTABLE_FL,
  getInodeFlags,
  setInodeFlags,
} from './syscalls-inode-linux.ts';
import {
  closeFd,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  openBeneath,
} from './syscalls-linux.ts';

export const LOCKING_FLAGS = FS_IMMUTABLE_FL | FS_APPEND_FL;
const OWNER_ALL = 0o700;
const stat = new RawStat();

/**
 * Makes a directory one that its owner can read, enter and write. Returns true when something was
 * changed; a descriptor opened with O_PATH for lack of permission has to be opened again then.
 * @throws SyscallError EPERM: somebody else's, or a flag that only root may clear
 */
export function unlockDirectory(parentFd: number, name: RawName): boolean {
  const fd = openBeneath(parentFd, name, O_PATH | O_DIRECTORY, RESOLVE_INSIDE);
  try {
    return unlockOpenDirectory(fd, () => clearFlagsAt(parentFd, name));
  } finally {
    closeFd(fd);
  }
}

/** The same for the root of a tree, which has no parent that is open. */
export function unlockRoot(rootFd: number): boolean {
  return unlockOpenDirectory(rootFd, () => clearFlags(rootFd));
}

function unlockOpenDirectory(fd: number, clear: () => void): boolean {
  const failed = stat.readFd(fd);
  if (failed !== 0) throw new SyscallError('statx', failed, `descriptor ${fd}`);
  const mode = stat.word(7) & 0o7777;
  const uid = stat.word(5);
  const isFlagged = (stat.word(2) & LOCKING_FLAGS) !== 0;
  if (isFlagged) clear();
  const user = process.geteuid?.() ?? 0;
  // Root passes without; a directory of somebody else's fails later, at what is done in it.
  if (user === 0 || uid !== user || (mode & OWNER_ALL) === OWNER_ALL) return isFlagged;
  chmodPathFd(fd, mode | OWNER_ALL);
  return true;
}

/** Clears immutable and append-only. @throws SyscallError EPERM without CAP_LINUX_IMMUTABLE */
export function clearFlagsAt(parentFd: number, name: RawName): void {
  withOpen(parentFd, name, clearFlags);
}

/** Sets the locking flags of `flags`, keeps the others. @throws SyscallError EPERM */
export function setFlagsAt(parentFd: number, name: RawName, flags: number): void {
  withOpen(parentFd, name, (fd) => {
    setInodeFlags(fd, (getInodeFlags(fd) & ~LOCKING_FLAGS) | (flags & LOCKING_FLAGS));
  });
}

function clearFlags(fd: number): void {
  const flags = getInodeFlags(fd);
  if ((flags & LOCKING_FLAGS) !== 0) setInodeFlags(fd, flags & ~LOCKING_FLAGS);
}

function withOpen(parentFd: number, name: RawName, action: (fd: number) => void): void {
  const fd = openBeneath(parentFd, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW, RESOLVE_INSIDE);
  try {
    action(fd);
  } finally {
    closeFd(fd);
  }
}

/** chmod of an entry that is not a symlink, without read permission and without following. */
export function chmodAt(parentFd: number, name: RawName | '', mode: number): void {
  if (name === '') {
    chmodPathFd(parentFd, mode);
    return;
  }
  const fd = openBeneath(parentFd, name, O_PATH | O_NOFOLLOW, RESOLVE_INSIDE);
  try {
    chmodPathFd(fd, mode);
  } finally {
    closeFd(fd);
  }
}

/** True for errnos that mean "this user may not". */
export function isDenied(error: unknown): boolean {
  const errno = errnoOf(error);
  return errno === 'EPERM' || errno === 'EACCES';
}
