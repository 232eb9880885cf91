/**
 * ioctl(2) on threads of libuv's pool, as it throws: what may be made again to learn its errno
 * (failed-call.ts), and what may not. It must not know what the structures mean.
 */
import { settledThreaded } from './failed-call.ts';
import { SyscallError } from './syscall-error.ts';
import { ioctlOnThread } from './syscalls-linux.ts';

export interface ThreadedIoctl {
  readonly fd: number;
  readonly request: number;
  /** The call's until the promise settles. */
  readonly arg: Buffer;
  /** For the error. */
  readonly name: string;
}

/** One that changes nothing when it fails. Returns what the kernel returned (>= 0). */
export async function ioctlAsync({ fd, request, arg, name }: ThreadedIoctl): Promise<number> {
  const result = await settledThreaded(() => ioctlOnThread(fd, request, arg));
  if (result < 0) throw new SyscallError(name, -result, '');
  return result;
}

/** One that can't be made again: its errno is read once. */
export async function ioctlAsyncOnce({ fd, request, arg, name }: ThreadedIoctl): Promise<number> {
  const { result, errno } = await ioctlOnThread(fd, request, arg);
  if (result < 0) throw new SyscallError(name, errno, '');
  return result;
}
