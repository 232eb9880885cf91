/**
 * The emptied directory that a moved tree is mounted over, known again after the mount is gone.
 *
 * It holds nothing by which it could be known, so its inode and the time of its birth are written down while it
 * is at hand. The device is left out: it has another number after a reboot. Only an empty directory is ever
 * mounted over.
 */
import { readdirSync } from 'node:fs';
import { rawFromText } from '../../core/raw-path.ts';
import { AT_FDCWD } from '../syscalls-linux.ts';
import { Statx } from '../syscalls-statx-linux.ts';
import { bindMount, isMountPoint } from './bind-mount.ts';
import { movedTreePath } from './moved-tree.ts';
import type { WorkspaceDirectory } from './workspace-directory.ts';

const statx = new Statx();

/** Mounts the tree over an empty directory, which is written down first. */
export function mountTree(directory: WorkspaceDirectory, path: string): void {
  const emptied = tokenOf(path);
  const { record } = directory;
  if (record.emptied !== emptied && emptied !== null) directory.saveRecord({ ...record, emptied });
  bindMount(movedTreePath(directory.ref), path);
}

/**
 * Mounts the tree again over its directory, wherever that is now.
 * @param act 'plan': nothing is mounted
 * @returns whether the directory at `ref.path` is the one, with nothing mounted over it and nothing in it
 * @throws GhostsnapError NEEDS_ROOT
 */
export function showAgain({ record, ref }: WorkspaceDirectory, act: 'plan' | 'apply'): boolean {
  const { emptied, reachedBy, phase } = record;
  if (emptied === undefined || reachedBy !== 'bind-mount' || phase !== 'active') return false;
  if (tokenOf(ref.path) !== emptied || isMountPoint(ref.path)) return false;
  if (readdirSync(ref.path).length > 0) return false;
  if (act === 'apply') bindMount(movedTreePath(ref), ref.path);
  return true;
}

/** null: nothing is there, or its filesystem knows no birth time. */
function tokenOf(path: string): string | null {
  if (!statx.isThere(AT_FDCWD, rawFromText(path))) return null;
  const { ino, btimeNs } = statx;
  return btimeNs === 0n ? null : `${ino}.${btimeNs}`;
}
