/**
 * Evidence that a file is the same in two trees of one btrfs family.
 *
 * Snapshots keep inode numbers and ctimes, and numbers are not used again in a subvolume. So the same
 * inode with the same size, mtime and ctime was not written between the two: ctime can't be set by
 * anyone, and a snapshot flushes dirty pages, mapped ones included. Everything else is 'unknown' and is
 * compared by extents or bytes.
 */
import type { RawPath } from '../../core/raw-path.ts';
import type { TreeEntry } from '../../core/tree-entry.ts';

export function sameInodeUntouched(
  _path: RawPath,
  from: TreeEntry,
  to: TreeEntry,
): boolean | 'unknown' {
  const isUntouched =
    from.ino === to.ino &&
    from.sizeBytes === to.sizeBytes &&
    from.mtimeNs === to.mtimeNs &&
    from.ctimeNs === to.ctimeNs;
  return isUntouched ? true : 'unknown';
}

/** For a copy and its original, which have no inode in common. */
export function nothingKnown(): 'unknown' {
  return 'unknown';
}
