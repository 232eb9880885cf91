/** The changes between two trees, as an agent reads them: some of them listed, all of them counted. */
import { createChangeCounter } from '../../core/change-stats.ts';
import { displayPath } from '../../core/raw-path.ts';
import type { ChangeStats, TreeChange } from '../../core/tree-change.ts';

export interface ListedChange {
  readonly path: string;
  readonly kind: TreeChange['kind'];
  readonly fields: string[];
  readonly sizeBefore: number | null;
  readonly sizeAfter: number | null;
}

export interface ListedChanges {
  readonly changes: ListedChange[];
  readonly stats: ChangeStats;
  readonly truncated: boolean;
}

/** Memory is bounded by `limit`, whatever the trees are. */
export async function listChanges(
  found: AsyncIterable<TreeChange>,
  limit: number,
): Promise<ListedChanges> {
  const counter = createChangeCounter();
  const changes: ListedChange[] = [];
  let seen = 0;
  for await (const change of found) {
    counter.count(change);
    seen += 1;
    if (changes.length < limit) changes.push(listed(change));
  }
  return { changes, stats: counter.stats(), truncated: seen > changes.length };
}

function listed({ path, kind, fields, from, to }: TreeChange): ListedChange {
  return {
    path: path === '' ? '.' : displayPath(path),
    kind,
    fields: [...fields],
    sizeBefore: from?.sizeBytes ?? null,
    sizeAfter: to?.sizeBytes ?? null,
  };
}
