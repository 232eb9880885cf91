/**
 * Ending a workspace together with its tree.
 *
 * The tree is renamed into the workspace's own directory in the pool, where it is one more subvolume that
 * goes with the snapshots; where there is no room for a rename, it goes where it stands. The caller wrote its
 * intent before, so a crash at any point is finished by calling again: a path that holds nothing, or
 * something else, is past that.
 */
import { GhostsnapError } from '../../core/errors.ts';
import { errnoOf, toGhostsnapError } from '../syscall-failure.ts';
import { RENAME_NOREPLACE, renameAt } from '../syscalls-entry-linux.ts';
import { closeFd } from '../syscalls-linux.ts';
import { removeWorkspaceDirectory, type StepHook } from './delete-snapshots.ts';
import {
  commitTransaction,
  destroySubvolumeById,
  hasNestedSubvolumes,
  subvolumeInfo,
} from './ioctl.ts';
import { openPlace, type Place } from './place.ts';
import { abandonOnDisk } from './release-workspace.ts';
import { openExisting } from './snapshots.ts';
import type { WorkspaceDirectory } from './workspace-directory.ts';
import { readRecord } from './workspace-record.ts';

/** Labels in order; tests kill the process at each. */
export const REMOVE_STEPS = ['remove:begin', 'remove:tree-aside', 'remove:done'] as const;

const ASIDE_NAME = 'doomed_tree';

/** @throws GhostsnapError as `Backend.assertRemovable` */
export function assertRemovableOnDisk(directory: WorkspaceDirectory): void {
  const { path } = directory.ref;
  if (directory.record.reachedBy !== 'place') {
    throw new GhostsnapError('UNSUPPORTED_MODE', `This only leads into the pool: ${path}`, {
      data: { path },
      hint: 'Destroy the workspace so that its directory remains; then remove that.',
    });
  }
  const fd = directory.openLive();
  try {
    if (!hasNestedSubvolumes(fd)) return;
  } finally {
    closeFd(fd);
  }
  throw new GhostsnapError('WORKSPACE_NESTED', `A subvolume of somebody else is in ${path}`, {
    data: { path },
    hint: 'Move it out ("btrfs subvolume list"), then try again.',
  });
}

/** @throws GhostsnapError as `Backend.removeWorkspace` */
export async function removeOnDisk(directory: WorkspaceDirectory, onStep: StepHook): Promise<void> {
  directory.forget();
  if (openExisting(directory) < 0) return;
  onStep?.('remove:begin');
  if (readRecord(directory.path) === null) {
    // A clone that was killed before its record: nothing of it has left this directory.
    await removeWorkspaceDirectory(directory, onStep);
    return;
  }
  if (isAtItsPath(directory)) await setAside(directory);
  onStep?.('remove:tree-aside');
  await abandonOnDisk(directory, onStep);
  onStep?.('remove:done');
}

function isAtItsPath(directory: WorkspaceDirectory): boolean {
  try {
    assertRemovableOnDisk(directory);
    return true;
  } catch (error) {
    const isElsewhere =
      error instanceof GhostsnapError &&
      (error.code === 'WORKSPACE_GONE' || error.code === 'WORKSPACE_REPLACED');
    if (isElsewhere) return false;
    throw error;
  }
}

async function setAside(directory: WorkspaceDirectory): Promise<void> {
  using place = openPlace(directory.ref.path);
  try {
    renameAt(place.parentFd, place.name, directory.fd, ASIDE_NAME, RENAME_NOREPLACE);
    // The name is gone from the path for good before anything in the tree is.
    await directory.whileOpen(commitTransaction);
  } catch (error) {
    if (errnoOf(error) === 'ENOSPC' && (await isRemovedInPlace(directory, place))) return;
    throw toGhostsnapError(error, { what: 'Removing the workspace', path: place.name });
  }
}

/**
 * A rename needs room for metadata; for a removal the kernel has a reserve. One call takes the name and
 * the tree, the one that was proven to be the workspace's, whatever has the name by then.
 * @returns false: this user may not
 */
async function isRemovedInPlace(directory: WorkspaceDirectory, place: Place): Promise<boolean> {
  const fd = directory.openLive();
  const { id } = subvolumeInfo(fd);
  closeFd(fd);
  try {
    await destroySubvolumeById(place.parentFd, id);
  } catch (error) {
    if (NOT_THIS_USER.has(errnoOf(error))) return false;
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
  await directory.whileOpen(commitTransaction);
  return true;
}

const NOT_THIS_USER: ReadonlySet<string> = new Set(['EPERM', 'EACCES', 'EROFS']);
