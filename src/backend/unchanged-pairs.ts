/**
 * Reading one directory in two trees that share inodes, and leaving out what is proven unchanged.
 *
 * The hot loop of an unprivileged comparison: where both directories hold the same records, each
 * entry costs two statx calls and a comparison of a few words, and nothing is allocated for it.
 * Directories are always returned, because what lies below them is not settled by their own inode.
 */
import type { RawPath } from '../core/raw-path.ts';
import type { TreeEntry } from '../core/tree-entry.ts';
import { DirectoryListing, isSameStat, RawStat } from './directory-listing.ts';
import type { DirectoryTree } from './directory-tree.ts';

export interface EntryPair {
  readonly from: TreeEntry | null;
  readonly to: TreeEntry | null;
  /** Proven: the inode is untouched. For directories, of the directory itself. */
  readonly isUnchanged: boolean;
}

const fromListing = new DirectoryListing();
const toListing = new DirectoryListing();
const fromStat = new RawStat();
const toStat = new RawStat();

export interface TreePair {
  readonly from: DirectoryTree;
  readonly to: DirectoryTree;
  readonly trustedBeforeMs: number;
}

/**
 * Pairs of the directory at `path` in byte order, without the unchanged entries that are no
 * directories. null: the two directories do not hold the same records, or something raced; read
 * them in full.
 */
export function readChangedPairs(trees: TreePair, path: RawPath): EntryPair[] | null {
  const fromFd = trees.from.listInto(fromListing, path);
  const toFd = trees.to.listInto(toListing, path);
  const lengthBytes = fromListing.lengthBytes;
  if (lengthBytes !== toListing.lengthBytes) return null;
  const order = fromListing.buffer.compare(toListing.buffer, 0, lengthBytes, 0, lengthBytes);
  if (order !== 0) return null;
  const pairs: EntryPair[] = [];
  for (let at = 0; at < lengthBytes; at = fromListing.next(at)) {
    if (fromListing.isDotOrDotDot(at)) continue;
    if (fromStat.read(fromFd, fromListing.nameAddress(at)) !== 0) return null;
    if (toStat.read(toFd, toListing.nameAddress(at)) !== 0) return null;
    const isUnchanged = isSameStat(fromStat, toStat) && fromStat.ctimeMs < trees.trustedBeforeMs;
    if (isUnchanged && !fromStat.isDirectory && isCovered(trees)) continue;
    const name = fromListing.name(at);
    pairs.push({
      from: fromStat.toEntry(name, trees.from.identity),
      to: toStat.toEntry(name, trees.to.identity),
      isUnchanged,
    });
  }
  return pairs.sort(byName);
}

/** A file that is a mount point shows the mounted inode: its mount id tells. */
function isCovered(trees: TreePair): boolean {
  return (
    fromStat.entryType(trees.from.identity) !== 'mount' &&
    toStat.entryType(trees.to.identity) !== 'mount'
  );
}

function byName(a: EntryPair, b: EntryPair): number {
  return nameOf(a) < nameOf(b) ? -1 : 1;
}

function nameOf(pair: EntryPair): string {
  return pair.from?.name ?? pair.to?.name ?? '';
}
