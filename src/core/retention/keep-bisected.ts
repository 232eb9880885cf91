/**
 * What a bisect under way may still want to try or to name: its states from the last good to the first bad
 * one, the good one that it began with, and the state that the live tree comes back to.
 *
 * A bisect ends when somebody resets it. One that nobody has taken a step of for `BISECT_KEPT_MS` was
 * forgotten, or its process died: it keeps nothing any more, and its next step keeps what is left.
 */
import { type BisectSearch, boundsOf } from '../bisect.ts';
import type { SnapshotId } from '../ids.ts';
import { BISECT_KEPT_MS } from '../limits.ts';
import type { RetentionRule } from './rule.ts';

export interface BisectUnderWay extends BisectSearch {
  /** The state that the live tree comes back to; null: it was not turned. */
  readonly origin: SnapshotId | null;
  /** When its last step was, milliseconds since the epoch. */
  readonly steppedAtMs: number;
}

/** @param bisect null: none is under way */
export function keepBisected(bisect: BisectUnderWay | null): RetentionRule {
  return (candidates, nowMs) => {
    const isNeeded = bisectNeeds(bisect, nowMs);
    const needed = candidates.filter(({ id }) => isNeeded(id));
    return new Map(needed.map(({ id }) => [id, 'needed by the bisect under way']));
  };
}

/** Whether a snapshot is one that it needs. */
export function bisectNeeds(
  bisect: BisectUnderWay | null,
  nowMs: number,
): (id: SnapshotId) => boolean {
  if (bisect === null || nowMs - bisect.steppedAtMs > BISECT_KEPT_MS) return () => false;
  const { good, bad } = boundsOf(bisect);
  return (id) => (id >= good && id <= bad) || id === bisect.good || id === bisect.origin;
}
