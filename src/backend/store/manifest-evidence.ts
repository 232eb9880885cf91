/**
 * Evidence that two entries are equal, from hashes and from the index.
 *
 * Two snapshots: equal objects are equal trees, so a comparison goes only where something differs. Live
 * against a snapshot: an inode that is as the index saw it has what the index's snapshot has there, and
 * that is compared with the other snapshot by reference. What the index may have seen too early
 * proves nothing.
 */
import { baseOf, joinRaw, parentOf, type RawName, type RawPath } from '../../core/raw-path.ts';
import type { TreeEntry } from '../../core/tree-entry.ts';
import { haveSameXattrs } from '../entry-xattrs.ts';
import { PathSet } from '../path-set.ts';
import type { TreeEvidence } from '../tree-evidence.ts';
import type { IndexBlock } from './index-block.ts';
import type { ManifestTree } from './manifest-tree.ts';
import type { StatIndex } from './stat-index.ts';
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

/** Entries of blocks in which names are found by a map: a walk needs those on the way from the root. */
const POSITIONS_HELD_MAX = 32_768;

/** Blocks that were looked into last; of the others the maps go, or they would grow with the tree. */
class PositionedBlocks {
  /** In order of use, the one used last at the end. */
  readonly #blocks = new Set<IndexBlock>();
  #last: IndexBlock | null = null;
  #entries = 0;

  use(block: IndexBlock): void {
    if (block === this.#last) return;
    this.#last = block;
    if (!this.#blocks.delete(block)) this.#entries += block.count;
    this.#blocks.add(block);
    for (const oldest of this.#blocks) {
      if (this.#entries <= POSITIONS_HELD_MAX || oldest === block) return;
      this.#blocks.delete(oldest);
      this.#entries -= oldest.count;
      oldest.forgetPositions();
    }
  }
}

/** `captured`: the tree of the index's snapshot. `live`: which side of the comparison is the live tree. */
export function evidenceOfLive(options: {
  readonly index: StatIndex;
  readonly captured: ManifestTree;
  readonly other: ManifestTree;
  readonly live: 'from' | 'to';
}): TreeEvidence {
  const { index, captured, other } = options;
  const positioned = new PositionedBlocks();
  const storedPair = (
    path: RawPath,
    entry: TreeEntry,
  ): { readonly a: StoredEntry; readonly b: StoredEntry } | null => {
    if (!isAsIndexed(index, positioned, path, entry)) return null;
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

function isAsIndexed(
  index: StatIndex,
  positioned: PositionedBlocks,
  path: RawPath,
  live: TreeEntry,
): boolean {
  if (path === '') return false;
  const block = index.blocks.get(parentOf(path));
  if (block !== undefined) positioned.use(block);
  const at = block?.find(baseOf(path)) ?? -1;
  if (block === undefined || at < 0) return false;
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

/** Paths that differ between two snapshots, found by going only where hashes differ. */
export function differingPaths(from: ManifestTree, to: ManifestTree): PathSet {
  const found = new PathSet();
  const pending: RawPath[] = [];
  const differ = (path: RawPath, a: StoredEntry | undefined, b: StoredEntry | undefined): void => {
    const isSame =
      a !== undefined && b !== undefined && sameStored(a, b) && a.linkGroup === b.linkGroup;
    if (!isSame) found.add(path);
    if (a?.type === 'dir' && b?.type === 'dir' && a.child !== b.child) pending.push(path);
  };
  differ('' as RawPath, from.manifest.root, to.manifest.root);
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const before = byName(from.storedEntries(path) ?? []);
    const after = byName(to.storedEntries(path) ?? []);
    for (const name of new Set([...before.keys(), ...after.keys()])) {
      differ(joinRaw(path, name), before.get(name), after.get(name));
    }
  }
  return found;
}

function byName(entries: readonly StoredEntry[]): Map<RawName, StoredEntry> {
  return new Map(entries.map((entry) => [entry.name, entry]));
}
