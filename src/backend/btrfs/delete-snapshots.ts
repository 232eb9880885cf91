/**
 * Deleting snapshots, and sweeping working names that a crash left.
 *
 * A snapshot either exists under its id, whole and read-only, or it is gone: where it can't be removed
 * by one ioctl, it is renamed to a working name before anything in it is touched. A pin's file goes
 * after its snapshot, so that no crash leaves a snapshot unprotected.
 */
import { fsync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { promisify } from 'node:util';
import type { SnapshotId } from '../../core/ids.ts';
import type { DeleteOptions, WorkOptions } from '../backend.ts';
import { errnoOf, interrupted, toGhostsnapError } from '../syscall-failure.ts';
import { RENAME_NOREPLACE, renameAt } from '../syscalls-entry-linux.ts';
import { commitTransaction } from './ioctl.ts';
import { removeIn, removeSubvolume } from './remove-subvolume.ts';
import { isSubvolumeRoot, openExisting } from './snapshots.ts';
import { WORKING_NAMES, type WorkspaceDirectory } from './workspace-directory.ts';

export type StepHook = ((label: string) => void) | undefined;

/** Labels in the order of their first appearance; tests kill the process at each. */
export const DELETE_STEPS = [
  'delete:next',
  'delete:renamed',
  'delete:emptying',
  'delete:removed',
  'delete:committed',
] as const;

/** Durable on return. Those already gone count as removed. */
export async function deleteSnapshotsOnDisk(
  directory: WorkspaceDirectory,
  ids: readonly SnapshotId[],
  options: DeleteOptions & { onStep?: StepHook },
): Promise<void> {
  const parentFd = openExisting(directory);
  if (parentFd < 0) return;
  directory.users += 1;
  try {
    let done = 0;
    for (const id of ids) {
      if (options.signal?.aborted === true) throw interrupted('Deleting snapshots');
      options.onStep?.('delete:next');
      await deleteOne(parentFd, id, options);
      rmSync(`${directory.path}/pins/${id}`, { force: true });
      options.onStep?.('delete:removed');
      done += 1;
      options.onProgress?.(done, ids.length);
    }
    // The ioctl alone does not wait for its commit: a snapshot reported as deleted must not come back.
    if (ids.length > 0) await commitDeletions(parentFd, options.room ?? 'soon');
    options.onStep?.('delete:committed');
  } finally {
    directory.users -= 1;
  }
}

const fsyncOnThread = promisify(fsync);

/**
 * After a subvolume was removed from a directory, fsync(2) of that directory commits the whole transaction
 * (btrfs_record_snapshot_destroy in fs/btrfs/tree-log.c). It leaves the kernel's cleaner asleep, which wakes by
 * itself within the filesystem's commit interval. Asking for a commit by ioctl wakes it at once: then each
 * commit carries what it does for the trees that went before, a millisecond each, and so does every snapshot
 * that is taken meanwhile.
 */
async function commitDeletions(parentFd: number, room: 'soon' | 'later'): Promise<void> {
  if (room === 'later') await fsyncOnThread(parentFd);
  else await commitTransaction(parentFd);
}

async function deleteOne(
  parentFd: number,
  id: SnapshotId,
  options: WorkOptions & { onStep?: StepHook },
): Promise<void> {
  // Whatever else may carry this name was not made here, and is left alone.
  if (!isSubvolumeRoot(parentFd, id)) return;
  const { signal } = options;
  if ((await removeSubvolume({ parentFd, name: id, signal }, 'at-once-only')) === 'removed') return;
  const doomed = `doomed_${id}`;
  try {
    renameAt(parentFd, id, parentFd, doomed, RENAME_NOREPLACE);
  } catch (error) {
    throw toGhostsnapError(error, { what: 'Deleting the snapshot', path: id });
  }
  options.onStep?.('delete:renamed');
  const onEmptied = (): void => options.onStep?.('delete:emptying');
  await removeSubvolume({ parentFd, name: doomed, signal, onEmptied }, 'any-way');
}

/** Removes what only a killed run can have left. Returns how many names. */
export async function sweepWorkingNames(directory: WorkspaceDirectory): Promise<number> {
  const parentFd = openExisting(directory);
  if (parentFd < 0) return 0;
  const names = readdirSync(directory.path)
    .filter((name) => WORKING_NAMES.some((prefix) => name.startsWith(prefix)))
    .filter((name) => isSubvolumeRoot(parentFd, name));
  for (const name of names) await removeIn(directory, name);
  return names.length;
}

/** Removes the workspace's directory in the pool, snapshots, pins and record included. Idempotent. */
export async function removeWorkspaceDirectory(
  directory: WorkspaceDirectory,
  onStep: StepHook,
): Promise<void> {
  const parentFd = openExisting(directory);
  if (parentFd < 0) return;
  for (const name of readdirSync(directory.path)) {
    if (!isSubvolumeRoot(parentFd, name)) continue;
    onStep?.('release:removing-subvolume');
    await removeIn(directory, name);
  }
  // The record goes last but one: until then a second call knows what it was doing.
  rmSync(`${directory.path}/pins`, { recursive: true, force: true });
  for (const uuid of directory.announced()) rmSync(`${directory.path}/live_${uuid}`);
  rmSync(`${directory.path}/workspace.json.tmp`, { force: true });
  rmSync(`${directory.path}/workspace.json`, { force: true });
  await directory.whileOpen(commitTransaction);
  onStep?.('release:record-removed');
  removeEmptyDirectory(directory);
}

/** Of a workspace without a record: made by an init, or left by a release, that was killed there. */
export function removeEmptyDirectory(directory: WorkspaceDirectory): void {
  directory.forget();
  try {
    rmdirSync(directory.path);
  } catch (error) {
    rmdirFailure(error, directory);
  }
}

/** Foreign files keep the directory: they are somebody's. */
function rmdirFailure(error: unknown, directory: WorkspaceDirectory): void {
  const errno = errnoOf(error);
  if (errno === 'ENOENT' || errno === 'ENOTEMPTY') return;
  throw toGhostsnapError(error, { what: 'Removing the directory', path: directory.path });
}
