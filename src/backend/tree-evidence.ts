/**
 * What a caller knows that spares looking: evidence that two entries at one path are the same.
 *
 * Evidence is never a guess. Whoever gives it is sure; everything it does not settle is compared.
 */
import type { RawPath } from '../core/raw-path.ts';
import type { TreeEntry } from '../core/tree-entry.ts';

export interface TreeEvidence {
  /**
   * Whether two regular files of one size hold the same bytes; 'unknown' compares them. Asked for
   * pairs of files only.
   */
  readonly sameContent: (path: RawPath, from: TreeEntry, to: TreeEntry) => boolean | 'unknown';
  /** True only when nothing at all differs, attributes and xattrs included. Any type. */
  readonly sameEntry?: (path: RawPath, from: TreeEntry, to: TreeEntry) => boolean;
  /** True only when two directories are equal with everything below them: they are not entered. */
  readonly sameSubtree?: (path: RawPath, from: TreeEntry, to: TreeEntry) => boolean;
  /**
   * Both trees come from one (btrfs snapshots and their workspace keep inode numbers): an inode
   * with the same attributes and the same ctime on both sides, that ctime below this moment
   * (milliseconds since the epoch), is unchanged. The moment is the older snapshot's, less a tick
   * of the kernel's clock: within one tick two changes get one ctime. Absent: inode numbers prove
   * nothing.
   */
  readonly inodesTrustedBeforeMs?: number;
}

/** True when the inode is proven to be the same, untouched since the trees parted. */
export function isSameInode(evidence: TreeEvidence, from: TreeEntry, to: TreeEntry): boolean {
  const before = evidence.inodesTrustedBeforeMs;
  return (
    before !== undefined &&
    from.ino === to.ino &&
    from.ctimeNs === to.ctimeNs &&
    from.ctimeNs !== 0n &&
    Number(from.ctimeNs / 1_000_000n) + 1 < before
  );
}
