/**
 * The share of a helper thread in checking an index: lots, until none is left.
 */
import { type CheckJob, IndexChecker } from './index-check.ts';

export function help(job: unknown): void {
  const checker = new IndexChecker(job as CheckJob);
  while (checker.checkLot());
}
