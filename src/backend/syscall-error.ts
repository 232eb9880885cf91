/** A failed system call as the callers of syscalls-linux.ts see it. */
import koffi from 'koffi';

const ERRNO_NAMES = new Map<number, string>(
  Object.entries(koffi.os.errno).map(([name, value]) => [value as number, name]),
);
// Two names have one number: the one that Node uses as well.
ERRNO_NAMES.set(koffi.os.errno.EAGAIN as number, 'EAGAIN');

/** What was called, on what, and the errno's name. Adapters turn it into a GhostsnapError. */
export class SyscallError extends Error {
  override readonly name = 'SyscallError';
  readonly syscall: string;
  readonly errno: number;
  readonly code: string;
  /** A path, one unit a byte; or words for what has none; '' for nothing. */
  readonly subject: string;

  constructor(syscall: string, errno: number, subject: string) {
    const code = ERRNO_NAMES.get(errno) ?? `errno ${errno}`;
    super(`${syscall} failed with ${code}${subject === '' ? '' : ` on ${subject}`}`);
    this.syscall = syscall;
    this.errno = errno;
    this.code = code;
    this.subject = subject;
  }
}
