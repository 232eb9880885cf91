/**
 * The search of a bisect: which state to try next, and when it is over. Pure.
 *
 * States are snapshots in the order of their ids. One is known to be good, a later one to be bad, so that
 * somewhere between two neighbours it turns; the search halves what lies between. States that cannot be
 * judged are skipped, and then the answer may be a range. The same marks give the same next state.
 *
 * Invariant: the last good state lies before the first bad one, whatever was marked.
 */
import type { SnapshotId } from './ids.ts';

export const BISECT_VERDICTS = ['good', 'bad', 'skip'] as const;
export type BisectVerdict = (typeof BISECT_VERDICTS)[number];

export interface BisectMark {
  readonly state: SnapshotId;
  readonly verdict: BisectVerdict;
}

export interface BisectSearch {
  readonly good: SnapshotId;
  readonly bad: SnapshotId;
  /** In the order in which they were made. */
  readonly marks: readonly BisectMark[];
}

/** Where the search stands: the newest state known to be good before the oldest known to be bad. */
export interface BisectBounds {
  readonly good: SnapshotId;
  readonly bad: SnapshotId;
}

export type BisectPlan = BisectBounds & {
  /** The state to try; null: the search is over, and it turns between `good` and `bad`. */
  readonly next: SnapshotId | null;
  /** States between the bounds that were not tried yet. */
  readonly untried: number;
  /** Trials that are left at most, while none is skipped. */
  readonly trialsLeft: number;
  /** States between the bounds that could not be judged. */
  readonly skipped: readonly SnapshotId[];
};

/** @param states kept snapshots in id order; those outside of the bounds are passed over */
export function planBisect(search: BisectSearch, states: readonly SnapshotId[]): BisectPlan {
  const { good, bad } = boundsOf(search);
  const skips = new Set(
    search.marks.filter(({ verdict }) => verdict === 'skip').map(({ state }) => state),
  );
  const between = states.filter((state) => state > good && state < bad);
  const skipped = between.filter((state) => skips.has(state));
  const untried = between.length - skipped.length;
  return {
    ...{ good, bad, skipped, untried },
    next: untried === 0 ? null : middleOf(between, skips),
    trialsLeft: Math.ceil(Math.log2(untried + 1)),
  };
}

/** The last state known to be good, and the first known to be bad. */
export function boundsOf({ good, bad, marks }: BisectSearch): BisectBounds {
  let bounds: BisectBounds = { good, bad };
  for (const { state, verdict } of marks) {
    // A mark outside of the bounds says nothing new, and must not turn them round.
    if (verdict === 'skip' || state <= bounds.good || state >= bounds.bad) continue;
    bounds = verdict === 'good' ? { ...bounds, good: state } : { ...bounds, bad: state };
  }
  return bounds;
}

/**
 * The middle of the longest stretch without a skipped state, the earlier of two equal ones: beside a
 * state that cannot be judged others often cannot either, so the search goes on far away from it.
 */
function middleOf(
  between: readonly SnapshotId[],
  skips: ReadonlySet<SnapshotId>,
): SnapshotId | null {
  let best = { start: 0, length: 0 };
  let start = 0;
  for (let end = 0; end <= between.length; end += 1) {
    const state = between[end];
    if (state !== undefined && !skips.has(state)) continue;
    if (end - start > best.length) best = { start, length: end - start };
    start = end + 1;
  }
  return between[best.start + Math.floor((best.length - 1) / 2)] ?? null;
}

/** Exit statuses with a meaning of their own, as git has them. */
const STATUS_SKIP = 125;
const STATUS_BAD_MAX = 127;

/**
 * What a command's exit status says of a state: 0 good, 125 that it cannot be judged, 1 to 127 bad.
 * @returns null for 128 and more: a signal ended it, or it wants the search to stop
 */
export function verdictOfStatus(status: number): BisectVerdict | null {
  if (status === 0) return 'good';
  if (status === STATUS_SKIP) return 'skip';
  return status > 0 && status <= STATUS_BAD_MAX ? 'bad' : null;
}
