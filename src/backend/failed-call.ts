/**
 * What a system call that failed failed with.
 *
 * koffi returns -1 and errno is read by a second call. In between the thread belongs to V8, which makes
 * system calls of its own there (locks, memory, the garbage collector), and errno may by then tell of
 * those: an EEXIST was read as the EAGAIN of a futex about once in 100,000 failures of a capture with
 * workers, while the kernel had answered EAGAIN to no call of ours. An errno that decides what happens next is
 * therefore believed when the call fails with it twice in a row. Made again are only calls that change
 * nothing when they fail and say the same when asked again. Not among them: `close`, and what reports
 * a lost write once (fsync, syncfs, sync_file_range) and then succeeds; there every failure is final, and
 * errno only names it.
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
