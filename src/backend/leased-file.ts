/**
 * Waiting for a lease on a file (fcntl F_SETLEASE: a file server, or anybody who owns the file).
 *
 * A non-blocking open of a leased file fails with EAGAIN, and the kernel asks the holder to give way. One
 * that does so needs a millisecond or two. One that does not keeps the file for the kernel's
 * lease-break-time, 45 s by default, file by file: nobody waits that long for a snapshot, least of all
 * a service that holds the workspaces of others.
 */

/**
 * Together a tenth of a second. The first file that stays leased ends a capture; a comparison or a
 * rollback reports it and goes on, so there each such file costs as much.
 */
const PAUSES_MAX = 20;
const PAUSE_MS = 5;

let cell: Int32Array | null = null;

/** Blocks the thread for a moment; false: it has been waited long enough, and nothing was done. */
export function pauseForLease(pausesSoFar: number): boolean {
  if (pausesSoFar >= PAUSES_MAX) return false;
  cell ??= new Int32Array(new SharedArrayBuffer(4));
  Atomics.wait(cell, 0, 0, PAUSE_MS);
  return true;
}
