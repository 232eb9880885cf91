import { expect, it } from 'vitest';
import { nextUlid, type SnapshotId, snapshotId } from '../../../src/core/ids.ts';
import { BISECT_KEPT_MS } from '../../../src/core/limits.ts';
import { type BisectUnderWay, keepBisected } from '../../../src/core/retention/keep-bisected.ts';

const NOW_MS = 1_750_000_000_000;
const STATES = Array.from({ length: 10 }, (_, n) =>
  snapshotId(nextUlid('', NOW_MS - 10_000 + n, new Uint8Array(10))),
);
const state = (n: number): SnapshotId => STATES[n]!;

function kept(more: Partial<BisectUnderWay>): readonly number[] {
  const bisect: BisectUnderWay = {
    ...{ good: state(2), bad: state(7), marks: [], origin: null, steppedAtMs: NOW_MS },
    ...more,
  };
  const candidates = STATES.map((id) => ({ id, pinned: false, takenAtMs: 0 })).reverse();
  const ids = [...keepBisected(bisect)(candidates, NOW_MS).keys()];
  return ids.map((id) => STATES.indexOf(id)).sort();
}

it('keeps its states from good to bad, with both', () => {
  expect(kept({})).toEqual([2, 3, 4, 5, 6, 7]);
});

it('lets go what the marks have ruled out, but not the state it began with', () => {
  const marks = [
    { state: state(4), verdict: 'good' },
    { state: state(6), verdict: 'bad' },
    { state: state(5), verdict: 'skip' },
  ] as const;
  expect(kept({ marks })).toEqual([2, 4, 5, 6]);
});

it('keeps the state that the live tree comes back to', () => {
  expect(kept({ origin: state(9) })).toEqual([2, 3, 4, 5, 6, 7, 9]);
});

it('keeps nothing for one that nobody has taken a step of for a week', () => {
  expect(kept({ steppedAtMs: NOW_MS - BISECT_KEPT_MS })).toHaveLength(6);
  expect(kept({ steppedAtMs: NOW_MS - BISECT_KEPT_MS - 1 })).toEqual([]);
});

it('keeps nothing without one', () => {
  const candidates = [{ id: state(0), pinned: false, takenAtMs: 0 }];
  expect(keepBisected(null)(candidates, NOW_MS).size).toBe(0);
});
