/**
 * What a retention rule is.
 *
 * A rule looks at all snapshots and says which it keeps, and why; it never drops. Rules do not see each
 * other's choices, so a rule more, or a wider one, never costs a snapshot that was kept before.
 */
import type { SnapshotRole } from '../event.ts';
import type { SnapshotId } from '../ids.ts';

/** What retention needs to know of a snapshot; a catalog's row will do. */
export interface RetentionSnapshot {
  readonly id: SnapshotId;
  readonly createdAtMs: number;
  readonly pinned: boolean;
  readonly role: SnapshotRole;
}

export interface RetentionCandidate {
  readonly id: SnapshotId;
  readonly pinned: boolean;
  /** When it was taken, milliseconds since the epoch. */
  readonly takenAtMs: number;
}

/**
 * @param candidates newest first, no id twice
 * @returns the ids that are kept, each with the reason in words
 */
export type RetentionRule = (
  candidates: readonly RetentionCandidate[],
  nowMs: number,
) => ReadonlyMap<SnapshotId, string>;
