/**
 * The other names of candidate files.
 *
 * A write through one name of a hard-linked file changes what every name shows, but whoever lists
 * candidates names only one. Before a walk by candidates the names that share an inode with one of them
 * are looked for, on both sides, by a pass over the directories' own records that looks at no entry.
 */
import { joinRaw, type RawPath, ROOT_PATH } from '../core/raw-path.ts';
import type { TreeEntry } from '../core/tree-entry.ts';
import type { TreeReader } from './backend.ts';
import { DirectoryTree } from './directory-tree.ts';
import { PathSet } from './path-set.ts';
import { errnoOf } from './syscall-failure.ts';

export interface LinkedPathsRequest {
  readonly from: TreeReader;
  readonly to: TreeReader;
  readonly candidates: PathSet;
  readonly isKnownSame: (from: TreeEntry, to: TreeEntry) => boolean;
}

/** `candidates` itself when no candidate has another name. */
export function withLinkedPaths(request: LinkedPathsRequest): PathSet {
  const { from, to, candidates } = request;
  const fromInodes = new Set<number>();
  const toInodes = new Set<number>();
  for (const path of candidates) {
    const a = from.lookup(path);
    const b = to.lookup(path);
    if (a !== null && b !== null && request.isKnownSame(a, b)) continue;
    if (isLinked(a)) fromInodes.add(a.ino);
    if (isLinked(b)) toInodes.add(b.ino);
  }
  if (fromInodes.size === 0 && toInodes.size === 0) return candidates;
  const all = new PathSet(candidates);
  // A name found on one side leads to that name's inode on the other, which may have names of its own:
  // repeated until nothing new turns up, which is at once in practice.
  for (let before = -1; before !== all.size; ) {
    before = all.size;
    const found = [...findNames(from, fromInodes), ...findNames(to, toInodes)];
    for (const path of found) {
      all.add(path);
      const a = from.lookup(path);
      const b = to.lookup(path);
      if (isLinked(a)) fromInodes.add(a.ino);
      if (isLinked(b)) toInodes.add(b.ino);
    }
  }
  return all;
}

function isLinked(entry: TreeEntry | null): entry is TreeEntry {
  return entry !== null && entry.nlink > 1 && entry.type !== 'dir';
}

function findNames(tree: TreeReader, inodes: ReadonlySet<number>): RawPath[] {
  if (inodes.size === 0) return [];
  const found: RawPath[] = [];
  const stack: RawPath[] = [ROOT_PATH];
  for (let path = stack.pop(); path !== undefined; path = stack.pop()) {
    for (const { name, ino, isDirectory } of recordsOf(tree, path)) {
      const child = joinRaw(path, name);
      if (isDirectory) stack.push(child);
      else if (inodes.has(ino)) found.push(child);
    }
  }
  return found;
}

function recordsOf(tree: TreeReader, path: RawPath): ReturnType<DirectoryTree['readRecords']> {
  if (!(tree instanceof DirectoryTree)) {
    const entries = tree.readDirectory(path);
    return entries.map(({ name, ino, type }) => ({ name, ino, isDirectory: type === 'dir' }));
  }
  try {
    return tree.readRecords(path);
  } catch (error) {
    // What can't be entered holds no name that anybody could compare or turn: mounts, nested
    // subvolumes, directories of others, what vanished.
    const passing = ['EACCES', 'EXDEV', 'ENOENT', 'ENOTDIR', 'ELOOP'];
    if (passing.includes(errnoOf(error))) return [];
    throw error;
  }
}
