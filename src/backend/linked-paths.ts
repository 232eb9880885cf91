/**
 * The other names of candidate files.
 *
 * A write through one name of a hard-linked file changes what every name shows, but whoever lists
 * candidates names only one. Before a walk by candidates the names that share an inode with one of
 * them are looked for, on both sides, by a pass over the directories' own records that looks at no
 * entry.
 */
import { joinRaw, type RawPath, ROOT_PATH } from '../core/raw-path.ts';
import type { TreeEntry } from '../core/tree-entry.ts';
import type { TreeReader } from './backend.ts';
import {
  type CandidateNode,
  type Candidates,
  isCandidate,
  membersOf,
  unionOf,
} from './candidates.ts';
import { DirectoryTree } from './directory-tree.ts';
import { InodeTable } from './inode-table.ts';
import { PathSet } from './path-set.ts';
import { errnoOf } from './syscall-failure.ts';

export interface LinkedPathsRequest {
  readonly from: TreeReader;
  readonly to: TreeReader;
  readonly candidates: Candidates;
  readonly isKnownSame: (from: TreeEntry, to: TreeEntry) => boolean;
}

/** `candidates` itself when no candidate has a name that is not among them. */
export function withLinkedPaths(request: LinkedPathsRequest): Candidates {
  const { from, to, candidates } = request;
  const fromLinks = new SeenLinks();
  const toLinks = new SeenLinks();
  for (const { path, node } of membersOf(candidates)) {
    const a = from.lookup(path);
    const b = to.lookup(path);
    if (a !== null && b !== null && request.isKnownSame(a, b)) continue;
    fromLinks.see(a);
    toLinks.see(b);
    // The walk looks at everything below a directory that is another one on each side: those files are
    // candidates as well. One that only goes away takes no other name with it.
    if (path === ROOT_PATH || b?.type !== 'dir' || (a?.type === 'dir' && a.ino === b.ino)) continue;
    seeBelow(to, { path, node }, toLinks);
    if (a?.type === 'dir') seeBelow(from, { path, node }, fromLinks);
  }
  if (fromLinks.isComplete && toLinks.isComplete) return candidates;
  const others = new PathSet();
  const all = unionOf(candidates, others);
  // A name found on one side leads to that name's inode on the other, which may have names of its
  // own: repeated until nothing new turns up, which is at once in practice.
  for (let before = -1; before !== others.size; ) {
    before = others.size;
    for (const [tree, links] of [[from, fromLinks] as const, [to, toLinks] as const]) {
      for (const path of findNames(tree, links)) {
        if (isCandidate(all, path)) continue;
        others.add(path);
        fromLinks.see(from.lookup(path));
        toLinks.see(to.lookup(path));
      }
    }
  }
  return all;
}

/** Files with several names, and how many of the names have not been seen. */
export class SeenLinks {
  readonly #missing = new InodeTable();

  see(entry: TreeEntry | null): void {
    if (entry === null || entry.nlink < 2 || entry.type === 'dir') return;
    this.#missing.set(entry.ino, (this.#missing.get(entry.ino) ?? entry.nlink) - 1);
  }

  get isEmpty(): boolean {
    return this.#missing.size === 0;
  }

  /** Names outside of the tree count as missing: then the tree is searched in vain, once. */
  get isComplete(): boolean {
    for (const missing of this.#missing.values()) if (missing > 0) return false;
    return true;
  }

  has(ino: number): boolean {
    return this.#missing.has(ino);
  }
}

/** Files below `top` that are not candidates by name: those are seen anyway. */
export function seeBelow(
  tree: TreeReader,
  top: { readonly path: RawPath; readonly node?: CandidateNode },
  links: SeenLinks,
): void {
  const stack: { path: RawPath; node?: CandidateNode | undefined }[] = [top];
  for (let above = stack.pop(); above !== undefined; above = stack.pop()) {
    for (const { name, isDirectory } of recordsOf(tree, above.path)) {
      const path = joinRaw(above.path, name);
      const node = above.node?.child(name);
      if (isDirectory) stack.push({ path, node });
      else if (node?.isMember !== true) links.see(tree.lookup(path));
    }
  }
}

/** Every name in the tree of the files that were seen, or are while this goes on. */
export function* findNames(tree: TreeReader, inodes: SeenLinks): Generator<RawPath> {
  if (inodes.isEmpty) return;
  const stack: RawPath[] = [ROOT_PATH];
  for (let path = stack.pop(); path !== undefined; path = stack.pop()) {
    for (const { name, ino, isDirectory } of recordsOf(tree, path)) {
      const child = joinRaw(path, name);
      if (isDirectory) stack.push(child);
      else if (inodes.has(ino)) yield child;
    }
  }
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
