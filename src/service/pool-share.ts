/**
 * Shares of pools that are served together.
 *
 * A system call on a disk that hangs keeps its thread, and so does whoever has a place beside it. Places are
 * therefore shared so that all pools but one may hang at once, in every lane, and the threads that are left
 * serve the last: half of what there is, divided by all others. The default bounds with the default 64 threads
 * hold to that for up to 8 pools; one place is the least that a pool has.
 */

/** Of what may be at work at once. One pool alone has all of it. */
export function shareAtWork(bound: number, poolCount: number): number {
  if (poolCount === 1) return bound;
  return Math.max(1, Math.floor(bound / (2 * (poolCount - 1))));
}

/** Of what may wait: that holds no thread. */
export function shareWaiting(bound: number, poolCount: number): number {
  return Math.ceil(bound / poolCount);
}
