/**
 * How the entries at one path of two trees differ.
 *
 * Cheap things first: attributes that are at hand, then evidence, then xattrs, then bytes. What
 * can't be read counts as different: a wrong "equal" would lose work, a wrong "different" costs a
 * copy.
 *
 * Bytes are the one thing here that is as long as somebody likes: whoever walks a tree compares those of a
 * long file beside the event loop (`differenceBeside`), since others of the process wait for it.
 */
import { GhostsnapError } from '../core/errors.ts';
import type { RawPath } from '../core/raw-path.ts';
import type { MetadataField } from '../core/tree-change.ts';
import type { TreeEntry } from '../core/tree-entry.ts';
import type { TreeReader } from './backend.ts';
import { DirectoryTree } from './directory-tree.ts';
import { haveSameXattrs } from './entry-xattrs.ts';
import { type CompareRequest, sameContent, sameContentBeside } from './file-content.ts';
import { done, doneBeside, type Steps } from './steps.ts';
import { closeFd } from './syscalls-linux.ts';
import { isSameInode, type TreeEvidence } from './tree-evidence.ts';

export interface EntryDifference {
  /** 'content': bytes of a file, target of a symlink, number of a device. */
  readonly kind: 'content' | 'metadata';
  readonly fields: readonly MetadataField[];
}

export interface ComparedTrees {
  readonly from: TreeReader;
  readonly to: TreeReader;
  readonly evidence: TreeEvidence;
  /** 'ignored': a difference in mtime alone is none. */
  readonly mtimes: 'compared' | 'ignored';
}

export interface ComparedPair {
  readonly path: RawPath;
  /** Both captured, both of one type. */
  readonly from: TreeEntry;
  readonly to: TreeEntry;
}

/** null: nothing differs. Hard link structure and inode flags are not looked at here. */
export function differenceOf(trees: ComparedTrees, pair: ComparedPair): EntryDifference | null {
  const content = contentOf(trees, pair);
  return differenceWith(trees, pair, content === 'bytes' ? hasSameBytes(trees, pair) : content);
}

/** Bytes of a file, each side, that are compared at once: a fraction of a millisecond. */
const AT_ONCE_BYTES = 65_536;

/**
 * As `differenceOf`; a promise only where a long file has to be read.
 * @throws GhostsnapError INTERRUPTED, between two pieces of it
 */
export function differenceBeside(
  trees: ComparedTrees,
  pair: ComparedPair,
  signal: AbortSignal | undefined,
): EntryDifference | null | Promise<EntryDifference | null> {
  if (pair.from.sizeBytes <= AT_ONCE_BYTES) return differenceOf(trees, pair);
  const content = contentOf(trees, pair);
  if (content !== 'bytes') return differenceWith(trees, pair, content);
  return hasSameBytesBeside(trees, pair, signal).then((isSame) =>
    differenceWith(trees, pair, isSame),
  );
}

/** 'untouched': xattrs are the same as well. 'bytes': they have to be read. */
type KnownContent = 'entry' | 'untouched' | 'bytes' | boolean;

function contentOf(trees: ComparedTrees, pair: ComparedPair): KnownContent {
  const { path, from, to } = pair;
  const { evidence } = trees;
  if (evidence.sameEntry?.(path, from, to) === true) return 'entry';
  if (isSameInode(evidence, from, to)) return 'untouched';
  switch (from.type) {
    case 'file':
      return knownBytes(trees, pair);
    case 'symlink':
      return readableOr(false, () => trees.from.readLink(path) === trees.to.readLink(path));
    case 'chardev':
    case 'blockdev':
      return from.rdev === to.rdev;
    default:
      return true;
  }
}

function knownBytes({ evidence }: ComparedTrees, pair: ComparedPair): boolean | 'bytes' {
  const { path, from, to } = pair;
  if (from.sizeBytes !== to.sizeBytes) return false;
  const known = evidence.sameContent(path, from, to);
  if (known !== 'unknown') return known;
  return from.sizeBytes === 0 ? true : 'bytes';
}

function differenceWith(
  trees: ComparedTrees,
  pair: ComparedPair,
  content: Exclude<KnownContent, 'bytes'>,
): EntryDifference | null {
  if (content === 'entry') return null;
  const { from, to } = pair;
  const fields: MetadataField[] = [];
  if (from.mode !== to.mode && from.type !== 'symlink') fields.push('mode');
  if (from.uid !== to.uid || from.gid !== to.gid) fields.push('owner');
  if (trees.mtimes === 'compared' && from.mtimeNs !== to.mtimeNs) fields.push('mtime');
  if (content !== 'untouched' && !hasSameXattrs(trees, pair)) fields.push('xattrs');
  if (content === false) return { kind: 'content', fields };
  return fields.length === 0 ? null : { kind: 'metadata', fields };
}

function hasSameBytes(trees: ComparedTrees, { path, from }: ComparedPair): boolean {
  const { sizeBytes } = from;
  return readableOr(false, () => {
    const files = openBoth(trees, path);
    if (files === null) return done(comparedPieces(trees, path, sizeBytes));
    using open = files;
    return sameContent({ ...open.files, sizeBytes });
  });
}

async function hasSameBytesBeside(
  trees: ComparedTrees,
  { path, from }: ComparedPair,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const { sizeBytes } = from;
  try {
    const files = openBoth(trees, path);
    if (files === null) return await doneBeside(comparedPieces(trees, path, sizeBytes), signal);
    using open = files;
    return await sameContentBeside({ ...open.files, sizeBytes }, signal);
  } catch (error) {
    if (isUnreadable(error)) return false;
    throw error;
  }
}

/** null: one of them is no directory of a filesystem. */
function openBoth(
  { from, to }: ComparedTrees,
  path: RawPath,
): ({ readonly files: Omit<CompareRequest, 'sizeBytes'> } & Disposable) | null {
  if (!(from instanceof DirectoryTree) || !(to instanceof DirectoryTree)) return null;
  const extents = from.filesystem === to.filesystem ? 'comparable' : 'unrelated';
  const aFd = from.openFile(path);
  try {
    const bFd = to.openFile(path);
    return {
      files: { aFd, bFd, extents },
      [Symbol.dispose]: () => {
        closeFd(bFd);
        closeFd(aFd);
      },
    };
  } catch (error) {
    closeFd(aFd);
    throw error;
  }
}

const PIECE_BYTES = 1024 * 1024;

/** A step a piece; in the end whether all of them are the same. */
function* comparedPieces(trees: ComparedTrees, path: RawPath, sizeBytes: number): Steps<boolean> {
  for (let offset = 0; offset < sizeBytes; offset += PIECE_BYTES) {
    const length = Math.min(PIECE_BYTES, sizeBytes - offset);
    const a = trees.from.readFile(path, offset, length);
    const b = trees.to.readFile(path, offset, length);
    if (a.length !== length || Buffer.compare(a, b) !== 0) return false;
    yield;
  }
  return true;
}

function hasSameXattrs(trees: ComparedTrees, pair: ComparedPair): boolean {
  const { path, from, to } = pair;
  // The evidence that settled a file's content by its inode and ctime settles its xattrs as well:
  // both move ctime. A ctime of 0n says that the tree has none.
  const isSameByCtime =
    from.type === 'file' &&
    from.ino === to.ino &&
    from.ctimeNs === to.ctimeNs &&
    from.ctimeNs !== 0n &&
    trees.evidence.sameContent(path, from, to) === true;
  if (isSameByCtime) return true;
  return readableOr(false, () =>
    haveSameXattrs(trees.from.readXattrs(path), trees.to.readXattrs(path)),
  );
}

/** What this user can't read, or what vanished meanwhile, counts as `otherwise`. */
function readableOr(otherwise: boolean, read: () => boolean): boolean {
  try {
    return read();
  } catch (error) {
    if (isUnreadable(error)) return otherwise;
    throw error;
  }
}

function isUnreadable(error: unknown): boolean {
  if (!(error instanceof GhostsnapError)) return false;
  return error.code === 'CAPTURE_FAILED' || error.code === 'NOT_PERMITTED';
}
