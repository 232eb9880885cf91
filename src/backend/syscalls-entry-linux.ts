/**
 * System calls on names in a directory: making, linking, renaming and removing them, and the attributes
 * of what they name. Rules as in syscalls-linux.ts. Nothing here follows a symlink in the last component.
 */
import koffi from 'koffi';
import {
  check,
  displaySubject,
  pathScratchA,
  pathScratchB,
  retrying,
  writePath,
} from './checked-call.ts';
import { settled } from './failed-call.ts';
import { libc } from './libc-linux.ts';
import { SyscallError } from './syscall-error.ts';
import { AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW } from './syscalls-linux.ts';

const c = {
  getdents64: libc.func('long getdents64(int fd, void *buf, size_t length)'),
  mkdirat: libc.func('int mkdirat(int dirfd, const void *path, unsigned int mode)'),
  unlinkat: libc.func('int unlinkat(int dirfd, const void *path, int flags)'),
  renameat2: libc.func(
    'int renameat2(int olddir, const void *oldpath, int newdir, const void *newpath, unsigned int flags)',
  ),
  linkat: libc.func(
    'int linkat(int olddir, const void *oldpath, int newdir, const void *newpath, int flags)',
  ),
  symlinkat: libc.func('int symlinkat(const void *target, int dirfd, const void *path)'),
  readlinkat: libc.func('long readlinkat(int dirfd, const void *path, void *buf, size_t size)'),
  mknodat: libc.func(
    'int mknodat(int dirfd, const void *path, unsigned int mode, unsigned long dev)',
  ),
  fchownat: libc.func(
    'int fchownat(int dirfd, const void *path, unsigned int uid, unsigned int gid, int flags)',
  ),
  fchmod: libc.func('int fchmod(int fd, unsigned int mode)'),
  chmod: libc.func('int chmod(const void *path, unsigned int mode)'),
  utimensat: libc.func('int utimensat(int dirfd, const void *path, const void *times, int flags)'),
  llistxattr: libc.func('long llistxattr(const void *path, void *list, size_t size)'),
  lgetxattr: libc.func(
    'long lgetxattr(const void *path, const void *name, void *value, size_t size)',
  ),
  lsetxattr: libc.func(
    'int lsetxattr(const void *path, const void *name, const void *value, size_t size, int flags)',
  ),
  lremovexattr: libc.func('int lremovexattr(const void *path, const void *name)'),
};

export const RENAME_NOREPLACE = 1;
export const RENAME_EXCHANGE = 2;

/** Reads raw directory entries into `buffer`; the bytes read, 0 at the end. See `forEachDirent`. */
export function getdents(fd: number, buffer: Buffer): number {
  return retrying(() => Number(c.getdents64(fd, buffer, buffer.length)), 'getdents64', '');
}

export function makeDirectoryAt(dirFd: number, raw: string, mode: number): void {
  const path = writePath(pathScratchA, raw);
  check(() => c.mkdirat(dirFd, path, mode), 'mkdirat', raw);
}

export function unlinkAt(dirFd: number, raw: string, flags = 0): void {
  const path = writePath(pathScratchA, raw);
  check(() => c.unlinkat(dirFd, path, flags), 'unlinkat', raw);
}

export function renameAt(fromFd: number, from: string, toFd: number, to: string, flags = 0): void {
  const a = writePath(pathScratchA, from);
  const b = writePath(pathScratchB, to);
  check(() => c.renameat2(fromFd, a, toFd, b, flags), 'renameat2', from);
}

export function linkAt(fromFd: number, from: string, toFd: number, to: string, flags = 0): void {
  const a = writePath(pathScratchA, from);
  const b = writePath(pathScratchB, to);
  check(() => c.linkat(fromFd, a, toFd, b, flags), 'linkat', to);
}

export function symlinkAt(target: string, dirFd: number, raw: string): void {
  const a = writePath(pathScratchA, target);
  const b = writePath(pathScratchB, raw);
  check(() => c.symlinkat(a, dirFd, b), 'symlinkat', raw);
}

const linkScratch = Buffer.alloc(8192);

/** The target as bytes-as-latin1. */
export function readLinkAt(dirFd: number, raw: string): string {
  const path = writePath(pathScratchA, raw);
  const length = check(
    () => Number(c.readlinkat(dirFd, path, linkScratch, linkScratch.length)),
    'readlinkat',
    raw,
  );
  return linkScratch.toString('latin1', 0, length);
}

export function makeNodeAt(dirFd: number, raw: string, mode: number, rdev: number): void {
  const path = writePath(pathScratchA, raw);
  check(() => c.mknodat(dirFd, path, mode, rdev), 'mknodat', raw);
}

/** Never follows a symlink. */
export function chownAt(dirFd: number, raw: string, uid: number, gid: number): void {
  const path = writePath(pathScratchA, raw);
  check(() => c.fchownat(dirFd, path, uid, gid, AT_SYMLINK_NOFOLLOW), 'fchownat', raw);
}

export function chmodFd(fd: number, mode: number): void {
  check(() => c.fchmod(fd, mode), 'fchmod', `descriptor ${fd}`);
}

/** chmod through an O_PATH descriptor: what it was opened on, whatever the name leads to by now. */
export function chmodPathFd(fd: number, mode: number): void {
  const path = writePath(pathScratchA, `/proc/self/fd/${fd}`);
  check(() => c.chmod(path, mode), 'chmod', `descriptor ${fd}`);
}

const timesScratch = Buffer.alloc(32);
const UTIME_OMIT = 0x3ffffffe;

/** Sets mtime (and leaves atime). Never follows a symlink. */
export function setMtimeAt(dirFd: number, raw: string, mtimeNs: bigint): void {
  let seconds = mtimeNs / 1_000_000_000n;
  let rest = mtimeNs % 1_000_000_000n;
  if (rest < 0n) {
    rest += 1_000_000_000n;
    seconds -= 1n;
  }
  timesScratch.writeBigInt64LE(0n, 0);
  timesScratch.writeBigInt64LE(BigInt(UTIME_OMIT), 8);
  timesScratch.writeBigInt64LE(seconds, 16);
  timesScratch.writeBigInt64LE(rest, 24);
  const flags = AT_SYMLINK_NOFOLLOW | (raw === '' ? AT_EMPTY_PATH : 0);
  const path = writePath(pathScratchA, raw);
  check(() => c.utimensat(dirFd, path, timesScratch, flags), 'utimensat', raw);
}

const XATTR_BYTES_MAX = 65_536;
const xattrScratch = Buffer.alloc(XATTR_BYTES_MAX);

/** Names of extended attributes. `path` absolute or /proc/self/fd/N/name; symlinks are not followed. */
export function listXattrs(path: string): string[] {
  const a = writePath(pathScratchA, path);
  const length = settled(() => Number(c.llistxattr(a, xattrScratch, XATTR_BYTES_MAX)));
  if (length === 0 || length === -(koffi.os.errno.EOPNOTSUPP as number)) return [];
  if (length < 0) throw new SyscallError('llistxattr', -length, displaySubject(path));
  return xattrScratch.toString('latin1', 0, length - 1).split('\0');
}

/** null: no such attribute. */
export function getXattr(path: string, name: string): Buffer | null {
  const a = writePath(pathScratchA, path);
  const b = writePath(pathScratchB, name);
  const length = settled(() => Number(c.lgetxattr(a, b, xattrScratch, XATTR_BYTES_MAX)));
  if (length >= 0) return Buffer.from(xattrScratch.subarray(0, length));
  if (length === -(koffi.os.errno.ENODATA as number)) return null;
  throw new SyscallError('lgetxattr', -length, displaySubject(path));
}

export function setXattr(path: string, name: string, value: Uint8Array): void {
  const a = writePath(pathScratchA, path);
  const b = writePath(pathScratchB, name);
  check(() => c.lsetxattr(a, b, value, value.length, 0), `lsetxattr ${name}`, path);
}

export function removeXattr(path: string, name: string): void {
  const a = writePath(pathScratchA, path);
  const b = writePath(pathScratchB, name);
  check(() => c.lremovexattr(a, b), `lremovexattr ${name}`, path);
}
