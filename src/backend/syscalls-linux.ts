/**
 * Linux system calls through koffi: opening what a name leads to, and what any descriptor can do.
 *
 * The first of the files called `syscalls-*-linux.ts`, which declare every system call of the program: on
 * names in a directory (entry), on open inodes (inode), on bytes of a file and their way to the disk
 * (data), statx(2), mount(2), inotify(7). In all of them arguments are numbers and Buffers, paths are
 * RawName/RawPath strings (one unit a byte), and a function throws `SyscallError` with the errno's name, or
 * returns a value. Buffers for struct arguments are pooled by the caller that owns the hot path.
 *
 * Descriptors are plain numbers. Who opens closes; `closeFd` never throws for EINTR (Linux has closed).
 */
import koffi from 'koffi';
import {
  check,
  displaySubject,
  EAGAIN,
  EINTR,
  pathScratchA,
  retrying,
  writePath,
} from './checked-call.ts';
import { settled, type ThreadedResult } from './failed-call.ts';
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
  flock: libc.func('int flock(int fd, int operation)'),
};

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
