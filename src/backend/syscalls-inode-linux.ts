/**
 * System calls on open inodes: attributes by descriptor, inode flags, extents, raw statx.
 *
 * The rules of syscalls-linux.ts: arguments are numbers and Buffers, failures are
 * `SyscallError`. The raw statx takes addresses instead of Buffers, because a walk makes hundreds
 * of thousands of calls and may not allocate for each; whoever passes an address keeps its Buffer
 * alive.
 */
import koffi from 'koffi';
import { assert } from '../core/errors.ts';
import { settled, settledFailure } from './failed-call.ts';
import { libc } from './libc-linux.ts';
import { SyscallError } from './syscall-error.ts';
import { AT_FDCWD } from './syscalls-linux.ts';
import { makedev } from './syscalls-statx-linux.ts';

const c = {
  statx: libc.func(
    'int statx(int dirfd, uintptr_t path, int flags, unsigned int mask, uintptr_t buf)',
  ),
  statfs: libc.func('int fstatfs(int fd, void *buf)'),
  flistxattr: libc.func('long flistxattr(int fd, void *list, size_t size)'),
  fgetxattr: libc.func('long fgetxattr(int fd, const void *name, void *value, size_t size)'),
  fsetxattr: libc.func(
    'int fsetxattr(int fd, const void *name, const void *value, size_t size, int flags)',
  ),
  fremovexattr: libc.func('int fremovexattr(int fd, const void *name)'),
  fchown: libc.func('int fchown(int fd, unsigned int uid, unsigned int gid)'),
  futimens: libc.func('int futimens(int fd, const void *times)'),
  lseek: libc.func('int64_t lseek(int fd, int64_t offset, int whence)'),
  ioctl: libc.func('int ioctl(int fd, unsigned long request, void *arg)'),
};

function errno(name: string): number {
  return koffi.os.errno[name as keyof typeof koffi.os.errno] as number;
}

const EINTR = errno('EINTR');
const EOPNOTSUPP = errno('EOPNOTSUPP');
const ENODATA = errno('ENODATA');

function check(call: () => number, syscall: string, fd: number): void {
  const result = settled(call);
  if (result < 0) throw new SyscallError(syscall, -result, `descriptor ${fd}`);
}

/**
 * V8 keeps typed arrays up to this size inside its heap, where the garbage collector moves them.
 */
const MOVING_BYTES_MAX = 64;

/**
 * The address of a Buffer's first byte, valid while the Buffer is alive. More than 64 bytes only.
 */
export function addressOf(buffer: Buffer): number {
  assert(buffer.length > MOVING_BYTES_MAX, 'a buffer whose address is kept lies outside the heap');
  return Number(koffi.address(buffer));
}

/** AT_SYMLINK_NOFOLLOW and AT_NO_AUTOMOUNT: looking must never mount anything. */
const STATX_LOOK_ONLY = 0x100 | 0x800;
const STATX_BASIC_AND_MNT_ID = 0x17ff;

/** statx(2) of a name, never followed, into `bufferAddress` (256 bytes). 0, or the errno. */
export function statxRaw(dirFd: number, nameAddress: number, bufferAddress: number): number {
  return statxAt(dirFd, nameAddress, STATX_LOOK_ONLY, bufferAddress);
}

const emptyNameBuffer = Buffer.alloc(256);
/** The Buffer is a member so that it lives as long as its address: a lone constant is collected. */
const emptyName = { buffer: emptyNameBuffer, address: addressOf(emptyNameBuffer) };
const AT_EMPTY_PATH = 0x1000;

/** statx(2) of what a descriptor is open on, into `bufferAddress` (256 bytes). 0, or the errno. */
export function statxRawFd(fd: number, bufferAddress: number): number {
  return statxAt(fd, emptyName.address, AT_EMPTY_PATH, bufferAddress);
}

function statxAt(dirFd: number, nameAddress: number, flags: number, bufferAddress: number): number {
  const result = c.statx(dirFd, nameAddress, flags, STATX_BASIC_AND_MNT_ID, bufferAddress);
  return result >= 0 ? 0 : failedStatx(dirFd, nameAddress, flags, bufferAddress);
}

/** Apart, so that a call that succeeds makes no function. */
function failedStatx(
  dirFd: number,
  nameAddress: number,
  flags: number,
  bufferAddress: number,
): number {
  const mask = STATX_BASIC_AND_MNT_ID;
  return 0 - settledFailure(() => c.statx(dirFd, nameAddress, flags, mask, bufferAddress));
}

/** AT_NO_AUTOMOUNT and AT_STATX_DONT_SYNC. */
const STATX_ASK_NOBODY = 0x800 | 0x4000;
const pathScratch = Buffer.alloc(4096);
const statxScratch = Buffer.alloc(256);

/**
 * The device (`st_dev`) of what a path leads to, as this machine knows it: nobody else is asked, so that a
 * network filesystem whose server does not answer holds nobody up. null: it can't be seen.
 * @param path without a zero byte, at most 4095 bytes
 */
export function knownDevice(path: string): number | null {
  pathScratch[pathScratch.write(path)] = 0;
  const from = addressOf(pathScratch);
  if (statxAt(AT_FDCWD, from, STATX_ASK_NOBODY, addressOf(statxScratch)) !== 0) return null;
  return makedev(statxScratch.readUInt32LE(136), statxScratch.readUInt32LE(140));
}

/** Back to the first entry of an open directory. */
export function rewindDirectory(fd: number): void {
  check(() => Number(c.lseek(fd, 0, 0)), 'lseek', fd);
}

const statfsScratch = Buffer.alloc(256);

/** The magic number of the filesystem behind a descriptor. */
export function filesystemMagic(fd: number): number {
  check(() => c.statfs(fd, statfsScratch), 'fstatfs', fd);
  return statfsScratch.readUInt32LE(0);
}

export const BTRFS_MAGIC = 0x9123683e;

/** `_IOR(0x94, 31, struct btrfs_ioctl_fs_info_args)`: the filesystem's id is at offset 16. */
const BTRFS_IOC_FS_INFO = 0x8400941f;
const fsInfoScratch = Buffer.alloc(1024);

/** The btrfs filesystem id behind a descriptor, in hex. */
export function btrfsFilesystemId(fd: number): string {
  check(() => c.ioctl(fd, BTRFS_IOC_FS_INFO, fsInfoScratch), 'FS_INFO', fd);
  return fsInfoScratch.toString('hex', 16, 32);
}

/** `_IOWR(0x94, 18, struct btrfs_ioctl_ino_lookup_args)`: treeid, objectid, then a name. */
const BTRFS_IOC_INO_LOOKUP = 0xd0009412;
const BTRFS_FIRST_FREE_OBJECTID = 256n;
const inoLookupScratch = Buffer.alloc(4096);

/** The id of the subvolume that a descriptor is in. Needs no privilege. */
export function btrfsSubvolumeId(fd: number): bigint {
  inoLookupScratch.fill(0, 0, 16);
  inoLookupScratch.writeBigUInt64LE(BTRFS_FIRST_FREE_OBJECTID, 8);
  check(() => c.ioctl(fd, BTRFS_IOC_INO_LOOKUP, inoLookupScratch), 'INO_LOOKUP', fd);
  return inoLookupScratch.readBigUInt64LE(0);
}

const XATTR_BYTES_MAX = 65_536;
const listScratch = Buffer.alloc(XATTR_BYTES_MAX);
const valueScratch = Buffer.alloc(XATTR_BYTES_MAX);
const nameScratch = Buffer.alloc(512);

function writeName(name: string): Buffer {
  const length = nameScratch.write(name, 0, 255, 'latin1');
  nameScratch[length] = 0;
  return nameScratch;
}

const NO_NAMES: readonly string[] = [];

/** Names of the extended attributes of an open inode, as the kernel orders them. */
export function listXattrsFd(fd: number): readonly string[] {
  const length = settled(() => Number(c.flistxattr(fd, listScratch, XATTR_BYTES_MAX)));
  if (length === 0 || length === -EOPNOTSUPP) return NO_NAMES;
  if (length > 0) return listScratch.toString('latin1', 0, length - 1).split('\0');
  throw new SyscallError('flistxattr', -length, `descriptor ${fd}`);
}

/** null: no such attribute. */
export function getXattrFd(fd: number, name: string): Buffer | null {
  const raw = writeName(name);
  const length = settled(() => Number(c.fgetxattr(fd, raw, valueScratch, XATTR_BYTES_MAX)));
  if (length >= 0) return Buffer.from(valueScratch.subarray(0, length));
  if (length === -ENODATA) return null;
  throw new SyscallError('fgetxattr', -length, `descriptor ${fd}`);
}

export function setXattrFd(fd: number, name: string, value: Uint8Array): void {
  const raw = writeName(name);
  check(() => c.fsetxattr(fd, raw, value, value.length, 0), `fsetxattr ${name}`, fd);
}

export function removeXattrFd(fd: number, name: string): void {
  const raw = writeName(name);
  check(() => c.fremovexattr(fd, raw), `fremovexattr ${name}`, fd);
}

export function chownFd(fd: number, uid: number, gid: number): void {
  check(() => c.fchown(fd, uid, gid), 'fchown', fd);
}

const timesScratch = Buffer.alloc(32);
const UTIME_OMIT = 0x3ffffffen;

/** Sets mtime (nanoseconds, may be negative) and leaves atime. */
export function setMtimeFd(fd: number, mtimeNs: bigint): void {
  let seconds = mtimeNs / 1_000_000_000n;
  let rest = mtimeNs % 1_000_000_000n;
  if (rest < 0n) {
    rest += 1_000_000_000n;
    seconds -= 1n;
  }
  timesScratch.writeBigInt64LE(UTIME_OMIT, 8);
  timesScratch.writeBigInt64LE(seconds, 16);
  timesScratch.writeBigInt64LE(rest, 24);
  check(() => c.futimens(fd, timesScratch), 'futimens', fd);
}

/** `_IOR('f', 1, long)` and `_IOW('f', 2, long)`; the kernel reads and writes an int. */
const FS_IOC_GETFLAGS = 0x80086601;
const FS_IOC_SETFLAGS = 0x40086602;

export const FS_IMMUTABLE_FL = 0x10;
export const FS_APPEND_FL = 0x20;
export const FS_NOCOW_FL = 0x800000;

const flagsScratch = Buffer.alloc(8);

/** Inode flags (chattr); 0 where the filesystem has none. */
export function getInodeFlags(fd: number): number {
  const result = settled(() => c.ioctl(fd, FS_IOC_GETFLAGS, flagsScratch));
  if (result >= 0) return flagsScratch.readUInt32LE(0);
  if (result === -EOPNOTSUPP || result === -errno('ENOTTY')) return 0;
  throw new SyscallError('FS_IOC_GETFLAGS', -result, `descriptor ${fd}`);
}

export function setInodeFlags(fd: number, flags: number): void {
  flagsScratch.writeBigUInt64LE(BigInt(flags));
  check(() => c.ioctl(fd, FS_IOC_SETFLAGS, flagsScratch), 'FS_IOC_SETFLAGS', fd);
}

/** `_IOWR('f', 11, struct fiemap)`: a head of 32 bytes, then extents of 56 bytes. */
const FS_IOC_FIEMAP = 0xc020660b;
const FIEMAP_FLAG_SYNC = 1;
export const FIEMAP_HEAD_BYTES = 32;
export const FIEMAP_EXTENT_BYTES = 56;

/**
 * Fills `buffer` with the extents of an open file from `start` to its end, dirty data flushed
 * first. Returns the number of extents that were mapped, -1 where the filesystem has no FIEMAP.
 */
export function readExtents(fd: number, start: number, buffer: Buffer): number {
  const count = Math.floor((buffer.length - FIEMAP_HEAD_BYTES) / FIEMAP_EXTENT_BYTES);
  buffer.fill(0, 0, FIEMAP_HEAD_BYTES);
  buffer.writeBigUInt64LE(BigInt(start), 0);
  buffer.writeBigUInt64LE(0xffff_ffff_ffff_ffffn - BigInt(start), 8);
  buffer.writeUInt32LE(FIEMAP_FLAG_SYNC, 16);
  buffer.writeUInt32LE(count, 24);
  for (;;) {
    if (c.ioctl(fd, FS_IOC_FIEMAP, buffer) >= 0) return buffer.readUInt32LE(20);
    // Not made again for its errno: the flush that is part of it tells of a failed write once.
    if (koffi.errno() !== EINTR) return -1;
  }
}
