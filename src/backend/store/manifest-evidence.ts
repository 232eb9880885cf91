/**
 * Evidence that two entries are equal, from hashes and from the index.
 *
 * Two snapshots: equal objects are equal trees, so a comparison goes only where something differs. Live
 * against a snapshot: an inode that is as the index saw it has what the index's snapshot has there, and
 * that is compared with the other snapshot by reference. What the index may have seen too early
 * proves nothing.
 */
import type { RawPath } from '../../core/raw-path.ts';
import type { TreeEntry } from '../../core/tree-entry.ts';
import { haveSameXattrs } from '../entry-xattrs.ts';
import type { TreeEvidence } from '../tree-evidence.ts';
import type { IndexLookup } from './index-lookup.ts';
import type { ManifestTree } from './manifest-tree.ts';
import { ctimeMsOf, ctimeNsOf, fieldsOf, RACY_MS } from './stat-record.ts';
import { type StoredEntry, sameRef } from './stored-entry.ts';

export const NO_EVIDENCE: TreeEvidence = { sameContent: () => 'unknown' };

/** Everything but the name, what lies below a directory, and the grouping of hard links. */
export function sameStored(a: StoredEntry, b: StoredEntry): boolean {
  return (
    a.type === b.type &&
    a.mode === b.mode &&
    a.uid === b.uid &&
    a.gid === b.gid &&
    a.sizeBytes === b.sizeBytes &&
    a.mtimeSec === b.mtimeSec &&
    a.mtimeNsec === b.mtimeNsec &&
    a.rdev === b.rdev &&
    a.flags === b.flags &&
    a.target === b.target &&
    sameRef(a.content, b.content) &&
    haveSameXattrs(a.xattrs, b.xattrs)
  );
}

export function evidenceOfTwo(from: ManifestTree, to: ManifestTree): TreeEvidence {
  const pairAt = (path: RawPath): { a: StoredEntry; b: StoredEntry } | null => {
    const a = from.stored(path);
    const b = to.stored(path);
    return a === null || b === null ? null : { a, b };
  };
  return {
    sameContent: (path) => {
      const pair = pairAt(path);
      return pair !== null && sameRef(pair.a.content, pair.b.content) ? true : 'unknown';
    },
    sameEntry: (path) => {
      const pair = pairAt(path);
      return pair !== null && sameStored(pair.a, pair.b);
    },
    sameSubtree: (path) => {
      const pair = pairAt(path);
      return pair !== null && pair.a.child !== '' && pair.a.child === pair.b.child;
    },
  };
}

/** `captured`: the tree of the index's snapshot. `live`: which side of the comparison is the live tree. */
export function evidenceOfLive(options: {
  readonly index: IndexLookup;
  readonly captured: ManifestTree;
  readonly other: ManifestTree;
  readonly live: 'from' | 'to';
}): TreeEvidence {
  const { index, captured, other } = options;
  const storedPair = (
    path: RawPath,
    entry: TreeEntry,
  ): { readonly a: StoredEntry; readonly b: StoredEntry } | null => {
    if (!isAsIndexed(index, path, entry)) return null;
    const a = captured.stored(path);
    const b = other.stored(path);
    return a === null || b === null ? null : { a, b };
  };
  const liveOf = (from: TreeEntry, to: TreeEntry): TreeEntry =>
    options.live === 'from' ? from : to;
  return {
    sameContent: (path, from, to) => {
      const pair = storedPair(path, liveOf(from, to));
      return pair !== null && sameRef(pair.a.content, pair.b.content) ? true : 'unknown';
    },
    sameEntry: (path, from, to) => {
      const pair = storedPair(path, liveOf(from, to));
      return pair !== null && sameStored(pair.a, pair.b);
    },
  };
}

function isAsIndexed(index: IndexLookup, path: RawPath, live: TreeEntry): boolean {
  const found = index.find(path);
  if (found === null) return false;
  const { block, at } = found;
  const known = fieldsOf(block.records, at);
  return (
    known.ino === live.ino &&
    known.mode === live.mode &&
    known.uid === live.uid &&
    known.gid === live.gid &&
    (live.type !== 'file' || known.sizeBytes === live.sizeBytes) &&
    ctimeNsOf(block.records, at) === live.ctimeNs &&
    ctimeMsOf(block.records, at) < block.scannedAtMs - RACY_MS
  );
}
