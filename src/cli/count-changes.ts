/** Counting a stream of changes without keeping it. */
import { createChangeCounter } from '../core/change-stats.ts';
import type { ChangeStats, TreeChange } from '../core/tree-change.ts';

export async function countChanges(changes: AsyncIterable<TreeChange>): Promise<ChangeStats> {
  const counter = createChangeCounter();
  for await (const change of changes) counter.count(change);
  return counter.stats();
}
