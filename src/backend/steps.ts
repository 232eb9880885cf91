/**
 * Work that is as long as somebody's file, in steps: done at once where nobody else waits, or with the event
 * loop's turn after each step where others do. Between two steps nothing is held that somebody else may use.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { interrupted } from './syscall-failure.ts';

/** Each step takes about a millisecond at most. */
export type Steps<T> = Generator<void, T, void>;

export function done<T>(steps: Steps<T>): T {
  for (;;) {
    const { done: isDone, value } = steps.next();
    if (isDone === true) return value;
  }
}

/** @throws GhostsnapError INTERRUPTED between two steps */
export async function doneBeside<T>(steps: Steps<T>, signal: AbortSignal | undefined): Promise<T> {
  // Given up in the middle it closes what it has open.
  using rest = steps;
  for (;;) {
    const { done: isDone, value } = rest.next();
    if (isDone === true) return value;
    await nextTurn();
    if (signal?.aborted === true) throw interrupted('Work on a long file');
  }
}
