/**
 * What a system call that failed failed with.
 *
 * koffi returns -1 and errno is read by a second call. In between the thread belongs to V8, which makes
 * system calls of its own there (locks, memory, the garbage collector), and errno may by then tell of
 * those: captures with workers failed with the EAGAIN of a futex about once in 100,000 failures that are
 * expected of them, while the kernel had answered EAGAIN to no call of ours. An errno that decides what
 * happens next is therefore believed when the call fails with it twice in a row. Made again are only
 * calls that change nothing when they fail. Not among them: `close`, what tells of a lost write once and
 * then succeeds (fsync, syncfs, BTRFS_IOC_SYNC, sync_file_range, FIEMAP with its flush), and what has
 * written to somebody when it fails (BTRFS_IOC_SEND); there every failure is final, and errno only names it.
 *
 * A call on a thread of libuv's pool is no better off: koffi keeps the errno of that thread, but puts it
 * into the main thread's, where it is read by a callback.
 */
import koffi from 'koffi';

/** The result of a call that gives -1 and sets errno, or minus the errno that it fails with. */
export function settled(call: () => number): number {
  const result = call();
  return result < 0 ? settledFailure(call) : result;
}

/** As `settled`, after `call` has failed just now: where the first try makes no function. */
export function settledFailure(call: () => number): number {
  let errno = koffi.errno();
  for (;;) {
    const result = call();
    if (result >= 0) return result;
    const again = koffi.errno();
    if (again === errno) return -errno;
    errno = again;
  }
}

/** How a call on a thread ended: `errno` says something where `result` is below 0. */
export interface ThreadedResult {
  readonly result: number;
  readonly errno: number;
}

/** As `settled`, of a call on a thread. */
export async function settledThreaded(call: () => Promise<ThreadedResult>): Promise<number> {
  let errno: number | null = null;
  for (;;) {
    const ended = await call();
    if (ended.result >= 0) return ended.result;
    if (ended.errno === errno) return -errno;
    errno = ended.errno;
  }
}
