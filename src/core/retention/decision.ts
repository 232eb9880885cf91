/**
 * What retention decided about one snapshot, with the reason in words: nothing is kept or dropped
 * without saying why.
 */
import type { SnapshotId } from '../ids.ts';

export interface RetentionDecision {
  readonly id: SnapshotId;
  readonly keep: boolean;
  /** The rule that keeps or drops it, in words. */
  readonly rule: string;
}
