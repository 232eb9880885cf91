/**
 * The share of a side thread in checking subtrees: lots, until none is left.
 */
import { SubtreeChecker, type SubtreeJob } from './subtree-check.ts';

export function help(job: unknown): void {
  const checker = new SubtreeChecker(job as SubtreeJob);
  while (checker.checkLot());
}
