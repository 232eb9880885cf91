/**
 * Bringing back a workspace whose directory is gone: `rm -rf` of the workspace itself.
 *
 * A writable clone of the target gets a working name, is recorded as this workspace's subvolume, and is
 * then renamed to the path in one step that refuses to replace anything. A crash before the rename
 * leaves the path empty and a clone that recovery sweeps; after it, the workspace is whole.
 */
import { basename, dirname } from 'node:path';
import { assert, GhostsnapError } from '../../core/errors.ts';
import { type SnapshotId, ulidOf } from '../../core/ids.ts';
import { rawFromText } from '../../core/raw-path.ts';
import { assertNotMovedNearby } from '../moved-nearby.ts';
import { errnoOf, toGhostsnapError } from '../syscall-failure.ts';
import { RENAME_NOREPLACE, renameAt } from '../syscalls-entry-linux.ts';
import { AT_FDCWD, closeFd, O_DIRECTORY, O_RDONLY, openAt } from '../syscalls-linux.ts';
import { commitTransaction } from './ioctl.ts';
import { entryKind, uuidAt } from './place.ts';
import { removeIn } from './remove-subvolume.ts';
import { makeClone } from './swap.ts';
import type { WorkspaceDirectory } from './workspace-directory.ts';

/**
 * @throws GhostsnapError WORKSPACE_REPLACED when something stands at the path, WORKSPACE_GONE when the workspace
 *   was moved; POOL_FULL, UNSUPPORTED_MODE
 */
export async function recreateFrom(
  directory: WorkspaceDirectory,
  target: SnapshotId,
): Promise<void> {
  const { path } = directory.ref;
  const { record } = directory;
  if (record.reachedBy !== 'place') {
    throw new GhostsnapError('UNSUPPORTED_MODE', `${path} led into the pool and is gone.`, {
      hint: 'Run "ghostsnap recover": it makes the mount or the symlink again.',
      data: { path },
    });
  }
  const name = rawFromText(basename(path));
  const parentFd = openParent(path);
  try {
    if (entryKind(parentFd, name) !== 'missing') {
      throw new GhostsnapError('WORKSPACE_REPLACED', `Something else stands at ${path}`, {
        hint: 'Move it aside and roll back again.',
        data: { path },
      });
    }
    assertNotMovedNearby(path, (at) => isWorkspaceAt(directory, at));
    const clone = `clone_gone_${ulidOf(target)}`;
    if (entryKind(directory.fd, clone) === 'subvolume') {
      await removeIn(directory, clone);
    }
    await makeClone(directory, target, clone);
    const uuid = uuidAt(directory.fd, clone);
    assert(uuid !== null, 'a clone that was just made is there');
    directory.saveRecord({ ...record, subvolumes: [uuid] });
    renameAt(directory.fd, clone, parentFd, name, RENAME_NOREPLACE);
    await directory.whileOpen(commitTransaction);
  } finally {
    closeFd(parentFd);
  }
}

/** By what it is. What can't be looked at is proven by nothing. */
function isWorkspaceAt(directory: WorkspaceDirectory, at: string): boolean {
  try {
    const uuid = uuidAt(AT_FDCWD, rawFromText(at));
    return (
      uuid !== null && [...directory.record.subvolumes, ...directory.announced()].includes(uuid)
    );
  } catch (error) {
    if (['EACCES', 'EPERM', 'ENOENT', 'EINVAL'].includes(errnoOf(error))) return false;
    throw error;
  }
}

function openParent(path: string): number {
  const raw = rawFromText(dirname(path));
  try {
    return openAt(AT_FDCWD, raw, O_RDONLY | O_DIRECTORY);
  } catch (error) {
    throw toGhostsnapError(error, { what: 'Opening the parent of the workspace', path: raw });
  }
}
