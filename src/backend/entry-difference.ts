/**
 * How the entries at one path of two trees differ.
 *
 * Cheap things first: attributes that are at hand, then evidence, then xattrs, then bytes. What
 * can't be read counts as different: a wrong "equal" would lose work, a wrong "different" costs a
 * copy.
 */
import { GhostsnapError } from '../core/errors.ts';
import type { RawPath } from '../core/raw-path.ts';
import type { MetadataField } from '../core/tree-change.ts';
import type { TreeEntry } from '../core/tree-entry.ts';
import type { TreeReader } from './backend.ts';
import { DirectoryTree } from './directory-tree.ts';
import { haveSameXattrs } from './entry-xattrs.ts';
import { sameContent } from './file-content.ts';
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
  const { path, from, to } = pair;
  const { evidence } = trees;
  if (evidence.sameEntry?.(path, from, to) === true) return null;
  const isUntouched = isSameInode(evidence, from, to);
  const isContentSame = isUntouched || hasSameContent(trees, pair);
  const fields: MetadataField[] = [];
  if (from.mode !== to.mode && from.type !== 'symlink') fields.push('mode');
  if (from.uid !== to.uid || from.gid !== to.gid) fields.push('owner');
  if (trees.mtimes === 'compared' && from.mtimeNs !== to.mtimeNs) fields.push('mtime');
  if (!isUntouched && !hasSameXattrs(trees, pair)) fields.push('xattrs');
  if (!isContentSame) return { kind: 'content', fields };
  return fields.length === 0 ? null : { kind: 'metadata', fields };
}

function hasSameContent(trees: ComparedTrees, pair: ComparedPair): boolean {
  const { path, from, to } = pair;
  switch (from.type) {
    case 'file':
      return hasSameBytes(trees, pair);
    case 'symlink':
      return readableOr(false, () => trees.from.readLink(path) === trees.to.readLink(path));
    case 'chardev':
    case 'blockdev':
      return from.rdev === to.rdev;
    default:
      return true;
  }
}

function hasSameBytes(trees: ComparedTrees, pair: ComparedPair): boolean {
  const { path, from, to } = pair;
  if (from.sizeBytes !== to.sizeBytes) return false;
  const known = trees.evidence.sameContent(path, from, to);
  if (known !== 'unknown') return known;
  if (from.sizeBytes === 0) return true;
  return readableOr(false, () => compareBytes(trees, path, from.sizeBytes));
}

function compareBytes(trees: ComparedTrees, path: RawPath, sizeBytes: number): boolean {
  const { from, to } = trees;
  if (!(from instanceof DirectoryTree) || !(to instanceof DirectoryTree)) {
    return compareInPieces(trees, path, sizeBytes);
  }
  const aFd = from.openFile(path);
  try {
    const bFd = to.openFile(path);
    try {
      const extents = from.filesystem === to.filesystem ? 'comparable' : 'unrelated';
      return sameContent({ aFd, bFd, sizeBytes, extents });
    } finally {
      closeFd(bFd);
    }
  } finally {
    closeFd(aFd);
  }
}

const PIECE_BYTES = 1024 * 1024;

function compareInPieces(trees: ComparedTrees, path: RawPath, sizeBytes: number): boolean {
  for (let offset = 0; offset < sizeBytes; offset += PIECE_BYTES) {
    const length = Math.min(PIECE_BYTES, sizeBytes - offset);
    const a = trees.from.readFile(path, offset, length);
    const b = trees.to.readFile(path, offset, length);
    if (a.length !== length || Buffer.compare(a, b) !== 0) return false;
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
    const isPassing =
      error instanceof GhostsnapError &&
      (error.code === 'CAPTURE_FAILED' || error.code === 'NOT_PERMITTED');
    if (isPassing) return otherwise;
    throw error;
  }
}
