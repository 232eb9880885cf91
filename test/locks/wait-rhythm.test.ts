import { describe, expect, it } from 'vitest';
import { frontPauseMs, queuePauseMs } from '../../src/locks/wait-rhythm.ts';
import { SimRandom } from '../sim/sim-random.ts';

interface Waiter {
  /** When it wanted the lock, and when it asks next. */
  since: number;
  atFrontSince: number;
  asks: number;
}

/**
 * A crowd on a clock of its own: each wants the lock again right after it gave it back.
 * @returns the longest that anyone waited, and how long the lock was free between two, in milliseconds
 */
function crowdAround(crowd: { processes: number; holdMs: number; rounds: number }): {
  longestMs: number;
  freeMs: number;
} {
  const random = new SimRandom(11);
  const uneven = (pauseMs: number): number => pauseMs * (0.5 + random.next() / 2 ** 32);
  const waiters: Waiter[] = [];
  for (let i = 0; i < crowd.processes; i += 1)
    waiters.push({ since: 0, atFrontSince: 0, asks: uneven(1) });
  let front: Waiter | null = null;
  let heldUntil = 0;
  let longestMs = 0;
  let freeMs = 0;
  for (let left = crowd.processes * crowd.rounds; left > 0; ) {
    const next = waiters.reduce((a, b) => (b.asks < a.asks ? b : a));
    const now = next.asks;
    const waited = now - next.since;
    if (front === null) {
      front = next;
      next.atFrontSince = now;
    }
    if (front === next && heldUntil <= now) {
      longestMs = Math.max(longestMs, waited);
      freeMs += (now - heldUntil) / (crowd.processes * crowd.rounds);
      left -= 1;
      front = null;
      heldUntil = now + crowd.holdMs;
      next.since = heldUntil;
      next.asks = heldUntil;
    } else {
      const isAtFront = front === next;
      const pauseMs = isAtFront ? frontPauseMs(now - next.atFrontSince) : queuePauseMs(waited);
      next.asks = now + uneven(pauseMs);
    }
  }
  return { longestMs, freeMs };
}

describe('waiting for a lock', () => {
  it.each([
    { processes: 3, holdMs: 5, rounds: 2000 },
    { processes: 32, holdMs: 26, rounds: 60 },
    { processes: 64, holdMs: 100, rounds: 60 },
  ])('passes nobody over: $processes processes that hold it for $holdMs ms', (crowd) => {
    // In the order they came, each would wait for all the others once.
    const inOrderMs = crowd.processes * crowd.holdMs;
    expect(crowdAround(crowd).longestMs).toBeLessThan(7 * inOrderMs + 100);
  });

  it('takes a lock that is given back soon, however long it has waited for its turn', () => {
    expect(crowdAround({ processes: 32, holdMs: 26, rounds: 60 }).freeMs).toBeLessThan(2);
  });
});
