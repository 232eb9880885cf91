/**
 * System calls on the bytes of an open file: where it has holes, its length, sharing its blocks, and the
 * way to the disk. Rules as in syscalls-linux.ts.
 */
import koffi from 'koffi';
import { checkOnce, retrying } from './checked-call.ts';
import { settled } from './failed-call.ts';
import { libc } from './libc-linux.ts';
import { SyscallError } from './syscall-error.ts';
import { ioctlNumber } from './syscalls-linux.ts';

const c = {
  lseek: libc.func('int64_t lseek(int fd, int64_t offset, int whence)'),
  ftruncate: libc.func('int ftruncate(int fd, int64_t length)'),
  syncFileRange: libc.func(
    'int sync_file_range(int fd, int64_t offset, int64_t bytes, unsigned int flags)',
  ),
  fsync: libc.func('int fsync(int fd)'),
  syncfs: libc.func('int syncfs(int fd)'),
};

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

/** `_IOW(0x94, 9, int)`: makes the file behind `toFd` share all blocks of `fromFd`. */
const FICLONE = 0x40049409;

export function cloneFile(toFd: number, fromFd: number): void {
  ioctlNumber(toFd, FICLONE, fromFd, 'FICLONE');
}

const SYNC_FILE_RANGE_ALL = 7;

/**
 * Writes dirty pages and waits. Afterwards the pages are write-protected, so that a later store
 * through an existing mapping faults and moves ctime: without it such a store is invisible to stat.
 */
export function flushFileData(fd: number): void {
  checkOnce(c.syncFileRange(fd, 0, 0, SYNC_FILE_RANGE_ALL), 'sync_file_range', fd);
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
