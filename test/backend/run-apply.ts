/** Turning one directory into another, and comparing two, without any evidence: by looking. */
import type { ApplyResult } from '../../src/backend/backend.ts';
import { openDirectoryTree } from '../../src/backend/directory-tree.ts';
import { type ApplyRequest, applyTree } from '../../src/backend/tree-apply.ts';
import { type CompareRequest, compareTrees } from '../../src/backend/tree-compare.ts';
import type { TreeChange } from '../../src/core/tree-change.ts';

const sameContent = (): 'unknown' => 'unknown';

export async function turn(
  live: string,
  source: string,
  extra: Partial<Omit<ApplyRequest, 'livePath' | 'source'>> = {},
): Promise<ApplyResult> {
  using tree = openDirectoryTree(source, 'live');
  return await applyTree({ livePath: live, source: tree, sameContent, ...extra });
}

/** What turns the directory `fromPath` into `toPath`. */
export async function changesFrom(
  fromPath: string,
  toPath: string,
  extra: Partial<Omit<CompareRequest, 'from' | 'to'>> = {},
): Promise<TreeChange[]> {
  using from = openDirectoryTree(fromPath, 'live');
  using to = openDirectoryTree(toPath, 'live');
  const found: TreeChange[] = [];
  for await (const change of compareTrees({ from, to, sameContent, ...extra })) found.push(change);
  return found;
}
