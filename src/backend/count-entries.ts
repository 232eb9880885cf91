/**
 * How many entries a tree has, by its directories' own records: for a progress bar's total.
 *
 * An estimate by intention: boundaries and what can't be read count as one entry each.
 */
import { joinRaw, type RawPath } from '../core/raw-path.ts';
import type { DirectoryTree } from './directory-tree.ts';
import { errnoOf } from './syscall-failure.ts';

/** Entries at and below `top`, `top` included. */
export function countEntries(tree: DirectoryTree, top: RawPath): number {
  let count = 1;
  const stack: RawPath[] = [top];
  for (let path = stack.pop(); path !== undefined; path = stack.pop()) {
    for (const { name, isDirectory } of recordsOrNone(tree, path)) {
      count += 1;
      if (isDirectory) stack.push(joinRaw(path, name));
    }
  }
  return count;
}

function recordsOrNone(
  tree: DirectoryTree,
  path: RawPath,
): ReturnType<DirectoryTree['readRecords']> {
  try {
    return tree.readRecords(path);
  } catch (error) {
    // Whoever walks the tree for real meets it again and says so.
    if (errnoOf(error) === '') throw error;
    return [];
  }
}
