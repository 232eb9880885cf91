/**
 * Linux system calls through koffi: the one place that declares them.
 *
 * Arguments are numbers and Buffers; paths are RawName/RawPath strings (one unit a byte) or text.
 * Every function throws `SyscallError` with the errno's name, or returns a value; none retries but on
 * EINTR, and to learn its errno (failed-call.ts). Buffers for struct arguments are pooled by the
 * caller that owns the hot path.
 *
 * Descriptors are plain numbers. Who opens closes; `closeFd` never throws for EINTR (Linux has closed).
 */
import koffi from 'koffi';
import { settled, settledFailure, type ThreadedResult } from './failed-call.ts';
import { pauseForLease } from './leased-file.ts';
import { libc } from './libc-linux.ts';
import { SyscallError } from './syscall-error.ts';
import { beginThreaded, endThreaded } from './threaded-calls.ts';

export const AT_FDCWD = -100;
export const AT_SYMLINK_NOFOLLOW = 0x100;
export const AT_REMOVEDIR = 0x200;
export const AT_EMPTY_PATH = 0x1000;

export const O_RDONLY = 0;
export const O_WRONLY = 1;
export const O_RDWR = 2;
export const O_CREAT = 0o100;
export const O_EXCL = 0o200;
export const O_NONBLOCK = 0o4000;
export const O_DIRECTORY = 0o200000;
export const O_NOFOLLOW = 0o400000;
export const O_CLOEXEC = 0o2000000;
export const O_PATH = 0o10000000;
export const O_TMPFILE = 0o20200000;

export const RESOLVE_NO_XDEV = 0x01;
export const RESOLVE_NO_MAGICLINKS = 0x02;
export const RESOLVE_NO_SYMLINKS = 0x04;
export const RESOLVE_BENEATH = 0x08;

const ENOENT = 2;
const ENOTDIR = 20;

export const RENAME_NOREPLACE = 1;
export const RENAME_EXCHANGE = 2;

/** openat2(2) has this number on every architecture that came after Linux 5.1's unification. */
const SYS_OPENAT2 = 437;

const c = {
  openat: libc.func('int openat(int dirfd, const void *path, int flags, unsigned int mode)'),
  openat2: libc.func(
    'long syscall(long number, int dirfd, const void *path, const void *how, size_t size)',
  ),
  close: libc.func('int close(int fd)'),
  dup: libc.func('int fcntl(int fd, int cmd, int arg)'),
  pipe2: libc.func('int pipe2(void *fds, int flags)'),
  ioctl: libc.func('int ioctl(int fd, unsigned long request, void *arg)'),
  ioctlNumber: libc.func('int ioctl(int fd, unsigned long request, long arg)'),
  statx: libc.func(
    'int statx(int dirfd, const void *path, int flags, unsigned int mask, void *buf)',
  ),
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
  flock: libc.func('int flock(int fd, int operation)'),
  syncfs: libc.func('int syncfs(int fd)'),
  fsync: libc.func('int fsync(int fd)'),
  lseek: libc.func('int64_t lseek(int fd, int64_t offset, int whence)'),
  ftruncate: libc.func('int ftruncate(int fd, int64_t length)'),
  syncFileRange: libc.func(
    'int sync_file_range(int fd, int64_t offset, int64_t bytes, unsigned int flags)',
  ),
  mount: libc.func(
    'int mount(const void *source, const void *target, const void *type, unsigned long flags, const void *data)',
  ),
  umount2: libc.func('int umount2(const void *target, int flags)'),
  inotifyInit1: libc.func('int inotify_init1(int flags)'),
  inotifyAddWatch: libc.func('int inotify_add_watch(int fd, const void *path, unsigned int mask)'),
  inotifyRmWatch: libc.func('int inotify_rm_watch(int fd, int watch)'),
};

const EINTR = koffi.os.errno.EINTR as number;
const EAGAIN = koffi.os.errno.EAGAIN as number;

/**
 * Paths become NUL-terminated bytes in these two buffers: a synchronous call is over before the next
 * one writes them, so nothing is allocated.
 */
const PATH_SCRATCH_BYTES = 70_000;
const pathScratchA = Buffer.alloc(PATH_SCRATCH_BYTES);
const pathScratchB = Buffer.alloc(PATH_SCRATCH_BYTES);

function writePath(scratch: Buffer, raw: string): Buffer {
  if (raw.length >= PATH_SCRATCH_BYTES || raw.includes('\0')) {
    throw new SyscallError('path', koffi.os.errno.ENAMETOOLONG as number, '');
  }
  const length = scratch.write(raw, 0, 'latin1');
  scratch[length] = 0;
  return scratch;
}

/** Bytes-as-latin1 of a text path (see core/raw-path.ts); quick where it is plain ASCII. */
export function rawPathOf(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

function check(call: () => number, syscall: string, subject: string): number {
  const result = settled(call);
  if (result >= 0) return result;
  throw new SyscallError(syscall, -result, displaySubject(subject));
}

/** For calls whose failure is told once: making them again would make it look like success. */
function checkOnce(result: number, syscall: string, fd: number): void {
  if (result < 0) throw new SyscallError(syscall, koffi.errno(), `descriptor ${fd}`);
}

function displaySubject(raw: string): string {
  return Buffer.from(raw, 'latin1').toString('utf8');
}

function retrying(call: () => number, syscall: string, subject: string): number {
  for (;;) {
    const result = settled(call);
    if (result >= 0) return result;
    if (result !== -EINTR) throw new SyscallError(syscall, -result, displaySubject(subject));
  }
}

export function openAt(dirFd: number, raw: string, flags: number, mode = 0): number {
  const path = writePath(pathScratchA, raw);
  return retrying(() => c.openat(dirFd, path, flags | O_CLOEXEC, mode), 'openat', raw);
}

const openHow = Buffer.alloc(24);

/**
 * openat2(2): `resolve` bounds every component. Modes only with O_CREAT. With O_NONBLOCK it waits a
 * moment for a leased file and then fails with EAGAIN.
 */
export function openBeneath(
  dirFd: number,
  raw: string,
  flags: number,
  resolve: number,
  mode = 0,
): number {
  openHow.writeBigUInt64LE(BigInt(flags | O_CLOEXEC), 0);
  openHow.writeBigUInt64LE(BigInt(mode), 8);
  openHow.writeBigUInt64LE(BigInt(resolve), 16);
  const path = writePath(pathScratchA, raw === '' ? '.' : raw);
  for (let pauses = 0; ; ) {
    const fd = settled(() => Number(c.openat2(SYS_OPENAT2, dirFd, path, openHow, 24)));
    if (fd >= 0) return fd;
    if (fd === -EINTR) continue;
    if (fd !== -EAGAIN || !pauseForLease(pauses)) {
      throw new SyscallError('openat2', -fd, displaySubject(raw));
    }
    pauses += 1;
  }
}

export function closeFd(fd: number): void {
  if (c.close(fd) < 0 && koffi.errno() !== EINTR) {
    throw new SyscallError('close', koffi.errno(), `descriptor ${fd}`);
  }
}

const F_DUPFD_CLOEXEC = 1030;

export function dupFd(fd: number): number {
  return check(() => c.dup(fd, F_DUPFD_CLOEXEC, 0), 'fcntl', `descriptor ${fd}`);
}

const F_SETPIPE_SZ = 1031;
const pipeFds = Buffer.alloc(8);

/**
 * A pipe that never blocks: a reader gets EAGAIN while it is empty, a writer when it is full. It holds
 * `sizeBytes` where this user may have as much, else the largest half of a half that is allowed.
 */
export function openPipe(sizeBytes: number): { readonly readFd: number; readonly writeFd: number } {
  check(() => c.pipe2(pipeFds, O_CLOEXEC | O_NONBLOCK), 'pipe2', '');
  const pair = { readFd: pipeFds.readInt32LE(0), writeFd: pipeFds.readInt32LE(4) };
  for (let bytes = sizeBytes; bytes > 65_536; bytes /= 2) {
    if (c.dup(pair.writeFd, F_SETPIPE_SZ, bytes) >= 0) break;
  }
  return pair;
}

/** ioctl(2) with a struct. Returns what the kernel returned (>= 0). */
export function ioctlSync(fd: number, request: number, arg: Buffer, name: string): number {
  return retrying(() => c.ioctl(fd, request, arg), name, '');
}

/** ioctl(2) with an integer argument (FICLONE, SETFLAGS by value...). */
export function ioctlNumber(fd: number, request: number, arg: number, name: string): number {
  return retrying(() => c.ioctlNumber(fd, request, arg), name, '');
}

/** ioctl(2) on a thread of libuv's pool, made once. `arg` belongs to the call until the promise settles. */
export function ioctlOnThread(fd: number, request: number, arg: Buffer): Promise<ThreadedResult> {
  return new Promise((resolve, reject) => {
    beginThreaded(() => {
      c.ioctl.async(fd, request, arg, (error: Error | null, result: number) => {
        // koffi has put the thread's errno into this one's.
        const errno = koffi.errno();
        endThreaded();
        if (error !== null) reject(error);
        else resolve({ result, errno });
      });
    });
  });
}

/** Everything basic, the time of birth, the mount's id. */
const STATX_ALL = 0xfff | 0x1000;
const STATX_ATTR_MOUNT_ROOT = 0x2000;

/**
 * One statx(2) result, read out of a buffer of its own. Reused: take what is needed before the next
 * call on the same object. Offsets: struct statx in include/uapi/linux/stat.h.
 */
export class Statx {
  readonly #b = Buffer.alloc(256);
  /** Reading through it makes no number object on the way, as the buffer's own methods do. */
  readonly #fields = new DataView(this.#b.buffer, this.#b.byteOffset, this.#b.byteLength);

  /** Never follows a symlink in the last component. `raw` may be '' with an O_PATH or open descriptor. */
  read(dirFd: number, raw: string): this {
    const failed = this.tryRead(dirFd, raw);
    if (failed !== 0) throw new SyscallError('statx', failed, displaySubject(raw));
    return this;
  }

  /** 0, or the errno. For paths that may be missing: no exception is made. */
  tryRead(dirFd: number, raw: string): number {
    const flags = AT_SYMLINK_NOFOLLOW | (raw === '' ? AT_EMPTY_PATH : 0);
    const path = writePath(pathScratchA, raw);
    const result = c.statx(dirFd, path, flags, STATX_ALL, this.#b);
    return result >= 0 ? 0 : this.#failed(dirFd, path, flags);
  }

  /** Apart, so that a call that succeeds makes no function. */
  #failed(dirFd: number, path: Buffer, flags: number): number {
    return 0 - settledFailure(() => c.statx(dirFd, path, flags, STATX_ALL, this.#b));
  }

  /** False: there is nothing of that name. Whatever else keeps it from being seen is thrown: it may be there. */
  isThere(dirFd: number, raw: string): boolean {
    const failed = this.tryRead(dirFd, raw);
    if (failed === ENOENT || failed === ENOTDIR) return false;
    if (failed !== 0) throw new SyscallError('statx', failed, displaySubject(raw));
    return true;
  }

  get isMountRoot(): boolean {
    return (this.#fields.getUint32(8, true) & STATX_ATTR_MOUNT_ROOT) !== 0;
  }
  get nlink(): number {
    return this.#fields.getUint32(16, true);
  }
  get uid(): number {
    return this.#fields.getUint32(20, true);
  }
  get gid(): number {
    return this.#fields.getUint32(24, true);
  }
  /** Type and permission bits. */
  get mode(): number {
    return this.#fields.getUint16(28, true);
  }
  get ino(): number {
    return this.#fields.getUint32(32, true) + this.#fields.getUint32(36, true) * 2 ** 32;
  }
  get sizeBytes(): number {
    return this.#fields.getUint32(40, true) + this.#fields.getUint32(44, true) * 2 ** 32;
  }
  /** 512-byte units. */
  get blocks(): number {
    return this.#fields.getUint32(48, true) + this.#fields.getUint32(52, true) * 2 ** 32;
  }
  get btimeNs(): bigint {
    return (
      this.#fields.getBigInt64(80, true) * 1_000_000_000n + BigInt(this.#fields.getUint32(88, true))
    );
  }
  get ctimeNs(): bigint {
    return (
      this.#fields.getBigInt64(96, true) * 1_000_000_000n +
      BigInt(this.#fields.getUint32(104, true))
    );
  }
  get mtimeNs(): bigint {
    return (
      this.#fields.getBigInt64(112, true) * 1_000_000_000n +
      BigInt(this.#fields.getUint32(120, true))
    );
  }
  get mtimeSec(): bigint {
    return this.#fields.getBigInt64(112, true);
  }
  get mtimeNsec(): number {
    return this.#fields.getUint32(120, true);
  }
  /** As makedev(3) gives it. */
  get rdev(): number {
    return makedev(this.#fields.getUint32(128, true), this.#fields.getUint32(132, true));
  }
  get dev(): number {
    return makedev(this.#fields.getUint32(136, true), this.#fields.getUint32(140, true));
  }
  get mountId(): number {
    return this.#fields.getUint32(144, true) + this.#fields.getUint32(148, true) * 2 ** 32;
  }
}

/** Linux's makedev for majors and minors below 2^20, as a number. */
export function makedev(major: number, minor: number): number {
  return (minor & 0xff) + (major & 0xfff) * 2 ** 8 + Math.floor(minor / 256) * 2 ** 20;
}

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

const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const LOCK_UN = 8;

/** flock(2) without waiting: false when somebody else holds it. */
export function tryFlock(fd: number, mode: 'shared' | 'exclusive'): boolean {
  const operation = (mode === 'shared' ? LOCK_SH : LOCK_EX) | LOCK_NB;
  const result = settled(() => c.flock(fd, operation));
  if (result === 0) return true;
  if (result === -EAGAIN || result === -EINTR) return false;
  throw new SyscallError('flock', -result, `descriptor ${fd}`);
}

export function unlockFlock(fd: number): void {
  check(() => c.flock(fd, LOCK_UN), 'flock', `descriptor ${fd}`);
}

/** Flushes the whole filesystem that holds the descriptor. */
export function syncFs(fd: number): void {
  checkOnce(c.syncfs(fd), 'syncfs', fd);
}

export function syncFsAsync(fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    c.syncfs.async(fd, (error: Error | null, result: number) => {
      if (error !== null) reject(error);
      else if (result < 0) reject(new SyscallError('syncfs', koffi.errno(), `descriptor ${fd}`));
      else resolve();
    });
  });
}

export function fsyncFd(fd: number): void {
  checkOnce(c.fsync(fd), 'fsync', fd);
}

const SEEK_DATA = 3;
const SEEK_HOLE = 4;

/** Offset of the next data at or after `offset`; -1 when only a hole follows. */
export function seekData(fd: number, offset: number): number {
  return seek(fd, offset, SEEK_DATA);
}

/**
 * Offset of the next hole at or after `offset`; the end of the file counts as one, and -1 says that the
 * file ends before `offset` by now.
 */
export function seekHole(fd: number, offset: number): number {
  return seek(fd, offset, SEEK_HOLE);
}

function seek(fd: number, offset: number, whence: number): number {
  const at = settled(() => Number(c.lseek(fd, offset, whence)));
  if (at >= 0) return at;
  if (at === -(koffi.os.errno.ENXIO as number)) return -1;
  throw new SyscallError('lseek', -at, `descriptor ${fd}`);
}

export function truncateFd(fd: number, sizeBytes: number): void {
  retrying(() => c.ftruncate(fd, sizeBytes), 'ftruncate', `descriptor ${fd}`);
}

const SYNC_FILE_RANGE_ALL = 7;

/**
 * Writes dirty pages and waits. Afterwards the pages are write-protected, so that a later store
 * through an existing mapping faults and moves ctime: without it such a store is invisible to stat.
 */
export function flushFileData(fd: number): void {
  checkOnce(c.syncFileRange(fd, 0, 0, SYNC_FILE_RANGE_ALL), 'sync_file_range', fd);
}

export const MS_BIND = 4096;
export const MS_NOATIME = 1024;
export const MNT_DETACH = 2;

export interface MountRequest {
  readonly source: string;
  readonly target: string;
  /** '' for a bind mount. */
  readonly type: string;
  readonly flags: number;
  readonly data: string;
}

export function mountFs(request: MountRequest): void {
  const source = Buffer.from(`${request.source}\0`);
  const target = Buffer.from(`${request.target}\0`);
  const type = Buffer.from(`${request.type}\0`);
  const data = Buffer.from(`${request.data}\0`);
  const call = () => c.mount(source, target, type, request.flags, data);
  check(call, 'mount', rawPathOf(request.target));
}

export function unmountFs(target: string, flags = 0): void {
  const path = Buffer.from(`${target}\0`);
  check(() => c.umount2(path, flags), 'umount2', rawPathOf(target));
}

const IN_NONBLOCK = 0o4000;
const IN_CLOEXEC = 0o2000000;

/** A non-blocking inotify descriptor; read it with fs.readSync until EAGAIN. */
export function inotifyOpen(): number {
  return check(() => c.inotifyInit1(IN_NONBLOCK | IN_CLOEXEC), 'inotify_init1', '');
}

export function inotifyWatch(fd: number, path: string, mask: number): number {
  const raw = writePath(pathScratchA, path);
  return check(() => c.inotifyAddWatch(fd, raw, mask), 'inotify_add_watch', path);
}

export function inotifyUnwatch(fd: number, watch: number): void {
  check(() => c.inotifyRmWatch(fd, watch), 'inotify_rm_watch', `watch ${watch}`);
}

/** `_IOW(0x94, 9, int)`: makes the file behind `toFd` share all blocks of `fromFd`. */
const FICLONE = 0x40049409;

export function cloneFile(toFd: number, fromFd: number): void {
  ioctlNumber(toFd, FICLONE, fromFd, 'FICLONE');
}
