/**
 * Evidence that an inode is the same in two trees of one btrfs family.
 *
 * Snapshots keep inode numbers and ctimes, and numbers are not used again in a subvolume. An inode with
 * the same attributes and the same ctime on both sides was not touched between: ctime can't be set by
 * anyone, and a snapshot flushes dirty pages, mapped ones included. Older kernels move ctimes in ticks
 * only, so what was touched just before the older snapshot is compared by extents or bytes.
 */
import type { SnapshotId } from '../../core/ids.ts';
import { rawFromText } from '../../core/raw-path.ts';
import type { TreeRef } from '../backend.ts';
import { toGhostsnapError } from '../syscall-failure.ts';
import { AT_FDCWD, closeFd, O_DIRECTORY, O_RDONLY, openAt } from '../syscalls-linux.ts';
import type { TreeEvidence } from '../tree-evidence.ts';
import { type SubvolumeInfo, subvolumeInfo } from './ioctl.ts';
import { snapshotPath } from './snapshots.ts';
import type { WorkspaceDirectory } from './workspace-directory.ts';

/** The coarsest tick (100 Hz) and as much again. */
const TICK_MS = 20;

const NO_UUID = '0'.repeat(32);

/** For a copy and its original, which have no inode in common. */
export const NO_EVIDENCE: TreeEvidence = { sameContent: () => 'unknown' };

/** For trees of one workspace. @throws GhostsnapError SNAPSHOT_NOT_FOUND */
export function familyEvidence(
  directory: WorkspaceDirectory,
  trees: readonly TreeRef[],
): TreeEvidence {
  const ages = trees
    .filter((tree) => tree !== 'live')
    .map((id) => infoOf(snapshotPath(directory, id)).createdAtMs);
  if (ages.length === 0) return NO_EVIDENCE;
  return { ...NO_EVIDENCE, inodesTrustedBeforeMs: Math.min(...ages) - TICK_MS };
}

/** Two snapshots of one subvolume with the same last change inside, into which nobody has written since. */
export function areProvenSame(
  directory: WorkspaceDirectory,
  a: SnapshotId,
  b: SnapshotId,
): boolean {
  const one = infoOf(snapshotPath(directory, a));
  const other = infoOf(snapshotPath(directory, b));
  const isSameChange = one.parentUuid === other.parentUuid && one.ctransid === other.ctransid;
  return isSameChange && isUntouched(one) && isUntouched(other);
}

function isUntouched({ parentUuid, ctransid, otransid }: SubvolumeInfo): boolean {
  return parentUuid !== NO_UUID && ctransid <= otransid;
}

function infoOf(path: string): SubvolumeInfo {
  const raw = rawFromText(path);
  try {
    const fd = openAt(AT_FDCWD, raw, O_RDONLY | O_DIRECTORY);
    try {
      return subvolumeInfo(fd);
    } finally {
      closeFd(fd);
    }
  } catch (error) {
    throw toGhostsnapError(error, { what: 'Looking at the snapshot', path: raw });
  }
}
