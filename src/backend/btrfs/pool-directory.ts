/**
 * The pool's side of making a workspace: may this pool hold it, and its directory there.
 *
 * Nothing is written into a pool before it is known to be on the right filesystem: the empty mount
 * point of an image that is not mounted would otherwise be filled.
 */
import { mkdirSync } from 'node:fs';
import { GhostsnapError } from '../../core/errors.ts';
import { rawFromText } from '../../core/raw-path.ts';
import type { WorkspaceRef } from '../backend.ts';
import { errnoOf, toGhostsnapError } from '../syscall-failure.ts';
import { AT_FDCWD, closeFd, O_DIRECTORY, O_RDONLY, openAt } from '../syscalls-linux.ts';
import { filesystemInfo } from './ioctl.ts';
import { isAtOrBelow } from './mount-table.ts';
import type { WorkspaceDirectory } from './workspace-directory.ts';

/**
 * Snapshots cannot leave their filesystem.
 * @throws GhostsnapError UNSUPPORTED_FILESYSTEM, POOL_INSIDE_WORKSPACE, WORKSPACE_GONE
 */
export function assertPoolFits(ref: WorkspaceRef): void {
  assertPoolOutside(ref);
  const here = filesystemAt(ref.path, 'WORKSPACE_GONE');
  const pool = filesystemAt(ref.poolRoot, 'POOL_NOT_FOUND');
  if (here !== null && here === pool) return;
  const why = here === null ? 'is not on btrfs' : 'is on another btrfs than its pool';
  throw new GhostsnapError('UNSUPPORTED_FILESYSTEM', `${ref.path} ${why}.`, {
    data: { path: ref.path, pool: ref.poolRoot },
    hint: 'Use the store backend ("--backend store"), or move it into a pool with --pool.',
  });
}

/** For a tree that moves. @throws GhostsnapError UNSUPPORTED_FILESYSTEM, POOL_INSIDE_WORKSPACE */
export function assertPoolIsBtrfs(ref: WorkspaceRef): void {
  assertPoolOutside(ref);
  if (filesystemAt(ref.poolRoot, 'POOL_NOT_FOUND') !== null) return;
  throw new GhostsnapError('UNSUPPORTED_FILESYSTEM', `The pool ${ref.poolRoot} is not on btrfs.`, {
    data: { pool: ref.poolRoot },
    hint: 'Mount the pool, or name one that is on btrfs.',
  });
}

function assertPoolOutside(ref: WorkspaceRef): void {
  if (!isAtOrBelow(ref.poolRoot, ref.path)) return;
  throw new GhostsnapError('POOL_INSIDE_WORKSPACE', `The pool lies inside ${ref.path}`, {
    data: { path: ref.path, pool: ref.poolRoot },
    hint: 'Name a pool outside the workspace: it would hold snapshots of itself.',
  });
}

/** The btrfs at a path by its UUID; null: another filesystem. */
function filesystemAt(path: string, missing: 'WORKSPACE_GONE' | 'POOL_NOT_FOUND'): string | null {
  const raw = rawFromText(path);
  let fd: number;
  try {
    fd = openAt(AT_FDCWD, raw, O_RDONLY | O_DIRECTORY);
  } catch (error) {
    throw toGhostsnapError(error, { what: 'Opening', path: raw, fallback: missing });
  }
  try {
    return filesystemInfo(fd).fsid;
  } catch (error) {
    if (errnoOf(error) === '') throw error;
    return null;
  } finally {
    closeFd(fd);
  }
}

/** What all workspaces of the pool share. Idempotent. */
export function makeGhostDirectory(ref: WorkspaceRef): void {
  makeDirectory(`${ref.poolRoot}/.ghostsnap`);
}

/** Old states hold old secrets and setuid files: nobody else may look into them. Idempotent. */
export function makeWorkspaceDirectory(directory: WorkspaceDirectory): void {
  makeDirectory(directory.path);
}

function makeDirectory(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return;
    throw toGhostsnapError(error, { what: 'Making the directory', path: rawFromText(path) });
  }
}
