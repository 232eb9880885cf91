/**
 * A new workspace from a snapshot of another: one writable snapshot, whatever the tree holds.
 *
 * The clone is made under a working name in the new workspace's own directory, recorded as its subvolume,
 * and then renamed to its path in one step that replaces nothing. At every instant the path is empty or
 * holds the whole tree. What a crash leaves is found by the caller, who wrote its intent before, and taken
 * back by `removeOnDisk`.
 */
import { basename, dirname } from 'node:path';
import { assert, GhostsnapError } from '../../core/errors.ts';
import type { SnapshotId } from '../../core/ids.ts';
import { rawFromText } from '../../core/raw-path.ts';
import { placeTaken } from '../place-taken.ts';
import { errnoOf, toGhostsnapError } from '../syscall-failure.ts';
import { RENAME_NOREPLACE, renameAt } from '../syscalls-entry-linux.ts';
import { AT_FDCWD, closeFd, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, openAt } from '../syscalls-linux.ts';
import type { StepHook } from './delete-snapshots.ts';
import { commitTransaction, createSubvolumeSnapshot } from './ioctl.ts';
import { uuidAt } from './place.ts';
import { makeWorkspaceDirectory } from './pool-directory.ts';
import { snapshotFailure, snapshotPath } from './snapshots.ts';
import type { WorkspaceDirectory } from './workspace-directory.ts';
import { RECORD_FORMAT } from './workspace-record.ts';

/** Labels in order; tests kill the process at each. */
export const CLONE_STEPS = [
  'clone:begin',
  'clone:cloned',
  'clone:recorded',
  'clone:placed',
  'clone:done',
] as const;

/** Swept by `removeOnDisk`, and by recovery once there is a record. */
const CLONE_NAME = 'clone_tree';

export interface CloneSource {
  readonly directory: WorkspaceDirectory;
  readonly snapshot: SnapshotId;
}

/** @throws GhostsnapError as `Backend.cloneWorkspace` */
export async function cloneOnDisk(
  source: CloneSource,
  directory: WorkspaceDirectory,
  onStep: StepHook,
): Promise<void> {
  snapshotPath(source.directory, source.snapshot);
  onStep?.('clone:begin');
  makeWorkspaceDirectory(directory);
  await makeCloneOf(source, directory);
  onStep?.('clone:cloned');
  const uuid = uuidAt(directory.fd, CLONE_NAME);
  assert(uuid !== null, 'a clone that was just made is there');
  const { id, path } = directory.ref;
  directory.saveRecord({
    ...{ format: RECORD_FORMAT, id, path, phase: 'active', anchor: uuid, subvolumes: [uuid] },
    ...{ origin: 'subvolume', reachedBy: 'place' },
  });
  onStep?.('clone:recorded');
  place(directory);
  onStep?.('clone:placed');
  // The caller reports success on return: a power loss may not take the name away again.
  await directory.whileOpen(commitTransaction);
  onStep?.('clone:done');
}

async function makeCloneOf(source: CloneSource, directory: WorkspaceDirectory): Promise<void> {
  const sourceFd = openAt(
    source.directory.fd,
    source.snapshot,
    O_RDONLY | O_DIRECTORY | O_NOFOLLOW,
  );
  directory.users += 1;
  try {
    const parentFd = directory.fd;
    await createSubvolumeSnapshot({ parentFd, sourceFd, name: CLONE_NAME, access: 'writable' });
  } catch (error) {
    throw snapshotFailure(error, directory, CLONE_NAME);
  } finally {
    directory.users -= 1;
    closeFd(sourceFd);
  }
}

function place(directory: WorkspaceDirectory): void {
  const { path } = directory.ref;
  const parent = rawFromText(dirname(path));
  let parentFd = -1;
  try {
    parentFd = openAt(AT_FDCWD, parent, O_RDONLY | O_DIRECTORY);
    const name = rawFromText(basename(path));
    renameAt(directory.fd, CLONE_NAME, parentFd, name, RENAME_NOREPLACE);
  } catch (error) {
    throw placingFailure(error, path);
  } finally {
    if (parentFd >= 0) closeFd(parentFd);
  }
}

function placingFailure(error: unknown, path: string): Error {
  const errno = errnoOf(error);
  if (errno === 'EEXIST') return placeTaken(path);
  if (errno === 'EXDEV') {
    return new GhostsnapError('UNSUPPORTED_FILESYSTEM', `Not on the pool's btrfs: ${path}`, {
      data: { path },
      hint: 'A clone shares its blocks with the snapshot: it stands on the same filesystem.',
      cause: error,
    });
  }
  return toGhostsnapError(error, { what: 'Placing the clone', path: rawFromText(path) });
}
