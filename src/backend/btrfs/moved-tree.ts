/**
 * A tree that was moved into its pool: where it is, the entry that leads to it, and its removal.
 *
 * Both ways use it, into the pool and out of it. Nothing here decides when.
 */
import { readdirSync, realpathSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { rawFromText } from '../../core/raw-path.ts';
import type { WorkspaceRef } from '../backend.ts';
import { removeTree } from '../remove-tree.ts';
import { AT_FDCWD, closeFd, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, openAt } from '../syscalls-linux.ts';
import { entryKind, type Place } from './place.ts';
import { removeSubvolume } from './remove-subvolume.ts';
import type { WorkspaceDirectory } from './workspace-directory.ts';

const DIRECTORY_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

/** The subvolume of a workspace that was moved into its pool. */
export function movedTreePath(ref: WorkspaceRef): string {
  return `${ref.poolRoot}/work/${ref.id}`;
}

/** The entry that a person's path ends in, itself: a symlink is not followed. */
export function openEntry(path: string): Place {
  const parentPath = realpathSync(dirname(path));
  const parentFd = openAt(AT_FDCWD, rawFromText(parentPath), O_RDONLY | O_DIRECTORY);
  const name = basename(path);
  return {
    path: `${parentPath}/${name}`,
    parentPath,
    parentFd,
    name: rawFromText(name),
    [Symbol.dispose]: () => closeFd(parentFd),
  };
}

/** Removes what is in an open directory, not the directory. */
export async function emptyDirectory(fd: number): Promise<void> {
  for (const name of readdirSync(`/proc/self/fd/${fd}`, { encoding: 'latin1' })) {
    await removeTree({ parentFd: fd, name: name as never });
  }
}

/** The subvolume in the pool, when nothing needs it any more. Idempotent. */
export async function removeMovedTree(directory: WorkspaceDirectory): Promise<void> {
  const { ref } = directory;
  const work = rawFromText(`${ref.poolRoot}/work`);
  if (entryKind(AT_FDCWD, work) === 'missing') return;
  const workFd = openAt(AT_FDCWD, work, DIRECTORY_FLAGS);
  try {
    if (entryKind(workFd, ref.id) !== 'subvolume') return;
    await removeSubvolume({ parentFd: workFd, name: ref.id }, 'any-way');
  } finally {
    closeFd(workFd);
  }
}
