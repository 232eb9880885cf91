/**
 * The C library of this process, loaded once.
 *
 * koffi takes its settings only before it loads anything, whichever module comes first: so nothing else
 * loads a library.
 */
import koffi from 'koffi';
import { GhostsnapError } from '../core/errors.ts';
import { configureThreadedCalls } from './threaded-calls.ts';

/** glibc 2.28 (x86-64, arm64): where a wrapper is missing, syscall(2) with the generic number is used. */
export const libc = loadLibc();

function loadLibc(): ReturnType<typeof koffi.load> {
  if (process.platform !== 'linux') {
    throw new GhostsnapError(
      'UNSUPPORTED_PLATFORM',
      `ghostsnap needs Linux; this is ${process.platform}.`,
      { data: { platform: process.platform } },
    );
  }
  configureThreadedCalls();
  return koffi.load(null);
}
