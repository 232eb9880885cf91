/**
 * How a system call is made and judged: its paths as bytes, its failure as a `SyscallError`.
 *
 * Paths are RawName/RawPath strings (one unit a byte) or text that is ASCII. Nothing retries but on EINTR,
 * where that is what the call means, and to learn its errno (failed-call.ts).
 */
import koffi from 'koffi';
import { settled } from './failed-call.ts';
import { SyscallError } from './syscall-error.ts';

export const EINTR = koffi.os.errno.EINTR as number;
export const EAGAIN = koffi.os.errno.EAGAIN as number;

/**
 * Paths become NUL-terminated bytes in these two buffers: a synchronous call is over before the next
 * one writes them, so nothing is allocated.
 */
const PATH_SCRATCH_BYTES = 70_000;
export const pathScratchA = Buffer.alloc(PATH_SCRATCH_BYTES);
export const pathScratchB = Buffer.alloc(PATH_SCRATCH_BYTES);

export function writePath(scratch: Buffer, raw: string): Buffer {
  if (raw.length >= PATH_SCRATCH_BYTES || raw.includes('\0')) {
    throw new SyscallError('path', koffi.os.errno.ENAMETOOLONG as number, '');
  }
  const length = scratch.write(raw, 0, 'latin1');
  scratch[length] = 0;
  return scratch;
}

export function check(call: () => number, syscall: string, subject: string): number {
  const result = settled(call);
  if (result >= 0) return result;
  throw new SyscallError(syscall, -result, displaySubject(subject));
}

/** For calls whose failure is told once: making them again would make it look like success. */
export function checkOnce(result: number, syscall: string, fd: number): void {
  if (result < 0) throw new SyscallError(syscall, koffi.errno(), `descriptor ${fd}`);
}

export function displaySubject(raw: string): string {
  return Buffer.from(raw, 'latin1').toString('utf8');
}

export function retrying(call: () => number, syscall: string, subject: string): number {
  for (;;) {
    const result = settled(call);
    if (result >= 0) return result;
    if (result !== -EINTR) throw new SyscallError(syscall, -result, displaySubject(subject));
  }
}
