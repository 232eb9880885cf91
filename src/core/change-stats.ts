/**
 * Counting changes by kind. Pure and incremental, so that a stream of any length is counted in
 * constant memory.
 */
import type { ChangeKind, ChangeStats, TreeChange } from './tree-change.ts';

/** Every kind, in the order in which summaries name them. */
export const CHANGE_KINDS = [
  'added',
  'deleted',
  'modified',
  'renamed',
  'type',
  'metadata',
  'uncovered',
] as const satisfies readonly ChangeKind[];

/** Counts what it is shown; `stats()` is a copy. */
export interface ChangeCounter {
  count(change: TreeChange): void;
  stats(): ChangeStats;
}

export function createChangeCounter(): ChangeCounter {
  const counts: Record<ChangeKind, number> = {
    added: 0,
    deleted: 0,
    modified: 0,
    metadata: 0,
    type: 0,
    renamed: 0,
    uncovered: 0,
  };
  return {
    count: (change) => {
      counts[change.kind] += 1;
    },
    stats: () => ({ ...counts }),
  };
}

export function changeStats(changes: Iterable<TreeChange>): ChangeStats {
  const counter = createChangeCounter();
  for (const change of changes) counter.count(change);
  return counter.stats();
}

/** How many paths differ: everything but `uncovered`, which says nothing about a difference. */
export function changedPaths(stats: ChangeStats): number {
  return CHANGE_KINDS.reduce((sum, kind) => (kind === 'uncovered' ? sum : sum + stats[kind]), 0);
}
