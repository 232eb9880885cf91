/**
 * How often somebody who waits for a lock asks again: pure, in milliseconds.
 *
 * Of several who wait for the place at the front (lock-attempt.ts), who asks most often gets it. So the
 * pauses of the queue become shorter the longer one waits: with pauses that grow, as is usual, a crowd
 * passes its oldest over until its time is up.
 */

/** One alone waits at the front, a part of the time spent there: short holders are met at once. */
const FRONT = { growth: 1 / 16, minMs: 0.5, maxMs: 25 } as const;
const QUEUE = { newestMs: 20, oldestMs: 1, oldAfterMs: 10_000 } as const;

/** @param atFrontMs since the place at the front was won: what went before says nothing of the holder */
export function frontPauseMs(atFrontMs: number): number {
  return Math.min(FRONT.maxMs, Math.max(FRONT.minMs, atFrontMs * FRONT.growth));
}

/** @param waitedMs since the lock was asked for */
export function queuePauseMs(waitedMs: number): number {
  const { newestMs, oldestMs, oldAfterMs } = QUEUE;
  const age = Math.min(1, waitedMs / oldAfterMs);
  return newestMs - (newestMs - oldestMs) * age;
}
