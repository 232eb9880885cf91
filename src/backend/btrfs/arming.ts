/**
 * Snapshots taken early: `armed_<ulid>` beside the snapshots, until a rename makes one a snapshot.
 *
 * "Nothing has changed since" is proven by two facts together, from any process and for any user:
 * - the workspace's ctransid is the armed snapshot's: the tree on disk is the same, as every change of it
 *   comes in a later transaction than the snapshot and moves ctransid;
 * - no data in the whole filesystem is dirty or on its way to the disk (idle-filesystem.ts): so the tree
 *   on disk is all there is. Whatever way a page was dirtied (write, a mapping, io_uring, an asynchronous
 *   or a loop device's write), and through whatever mount, its space was reserved before.
 *
 * While others write to the same filesystem the second fact is missing, and a fresh snapshot is taken.
 * Nothing is watched and nothing remembered, so nothing overflows and nothing is lost with a process.
 */
import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { isSnapshotId, type SnapshotId } from '../../core/ids.ts';
import type { Arming, WorkspaceRef } from '../backend.ts';
import { errnoOf, toGhostsnapError } from '../syscall-failure.ts';
import { RENAME_NOREPLACE, renameAt } from '../syscalls-entry-linux.ts';
import { closeFd, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, openAt } from '../syscalls-linux.ts';
import { IdleFilesystems } from './idle-filesystem.ts';
import { type SubvolumeInfo, subvolumeInfo } from './ioctl.ts';
import { mountOf, parseMountinfo } from './mount-table.ts';
import { isSubvolumeRoot, openExisting, takeSnapshot } from './snapshots.ts';
import type { VainRemovals } from './vain-removals.ts';
import type { WorkspaceDirectories, WorkspaceDirectory } from './workspace-directory.ts';

const ARMED_PREFIX = 'armed_';
const GHOST_PREFIX = 'ghost_';

export function armingOf(directories: WorkspaceDirectories, removals: VainRemovals): Arming {
  const filesystems = new IdleFilesystems();
  return {
    refusal: (ref) => {
      if (!filesystems.isReadable(directories.of(ref).fd)) {
        return 'the kernel does not say here whether data is still to be written';
      }
      if (!canDestroyAtOnce(ref)) {
        return 'removing what was armed in vain takes user_subvol_rm_allowed, or root';
      }
      return removals.refusal(ref);
    },
    arm: async (ref, id) => {
      await takeSnapshot(directories.of(ref), armedName(id));
    },
    check: (ref, id) => checkArmed(directories.of(ref), id, filesystems),
    adopt: (ref, id) => adoptArmed(directories.of(ref), id),
    drop(ref, id) {
      const parentFd = openExisting(directories.of(ref));
      const name = armedName(id);
      // Whatever else may carry this name was not made here.
      if (parentFd >= 0 && isSubvolumeRoot(parentFd, name)) removals.begin(ref, name);
    },
    list: (ref) => listArmed(directories.of(ref)),
  };
}

function armedName(id: SnapshotId): string {
  return `${ARMED_PREFIX}${id.slice(GHOST_PREFIX.length)}`;
}

/** A tree that has to be emptied path by path is too dear to be made for nothing. */
function canDestroyAtOnce(ref: WorkspaceRef): boolean {
  if (process.geteuid?.() === 0) return true;
  const mounts = parseMountinfo(readFileSync('/proc/self/mountinfo', 'utf8'));
  const mount = mountOf(mounts, realpathSync(ref.poolRoot));
  return mount?.superOptions.split(',').includes('user_subvol_rm_allowed') ?? false;
}

/** The order of the questions is part of the proof: data on its way moves ctransid when it arrives. */
function checkArmed(
  directory: WorkspaceDirectory,
  id: SnapshotId,
  filesystems: IdleFilesystems,
): 'same' | 'changed' | 'unproven' {
  const liveFd = directory.openLive();
  try {
    const armed = armedInfo(directory, id);
    if (armed === null) return 'changed';
    const isIdle = filesystems.isIdle(directory.fd);
    const live = subvolumeInfo(liveFd);
    if (armed.parentUuid !== live.uuid || armed.ctransid !== live.ctransid) return 'changed';
    return isIdle ? 'same' : 'unproven';
  } finally {
    closeFd(liveFd);
  }
}

/** null: it is gone, or somebody made it writable. */
function armedInfo(directory: WorkspaceDirectory, id: SnapshotId): SubvolumeInfo | null {
  let fd: number;
  try {
    fd = openAt(directory.fd, armedName(id), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  } catch (error) {
    // EACCES: the workspace's root is closed to its own owner, and so is what is armed.
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'EACCES') return null;
    throw toGhostsnapError(error, { what: 'Opening what is armed', path: armedName(id) });
  }
  try {
    const info = subvolumeInfo(fd);
    return info.isReadOnly ? info : null;
  } finally {
    closeFd(fd);
  }
}

function adoptArmed(directory: WorkspaceDirectory, id: SnapshotId): void {
  const { fd } = directory;
  try {
    renameAt(fd, armedName(id), fd, id, RENAME_NOREPLACE);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' && isSubvolumeRoot(fd, id)) return;
    throw toGhostsnapError(error, { what: 'Adopting the snapshot', path: id });
  }
}

function listArmed(directory: WorkspaceDirectory): SnapshotId[] {
  const parentFd = openExisting(directory);
  if (parentFd < 0) return [];
  return readdirSync(directory.path)
    .filter((name) => name.startsWith(ARMED_PREFIX) && isSubvolumeRoot(parentFd, name))
    .map((name) => `${GHOST_PREFIX}${name.slice(ARMED_PREFIX.length)}`)
    .filter(isSnapshotId)
    .sort();
}
