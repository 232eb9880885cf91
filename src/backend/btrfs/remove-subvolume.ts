/**
 * Removing one subvolume of our own, by whatever way this user has.
 *
 * Root, and anyone where the mount says user_subvol_rm_allowed, has one ioctl for it; everyone else
 * empties the tree and removes the directory. What lies nested inside (another subvolume, a mount) is
 * somebody else's: then the subvolume stays and the error says why.
 */
import { readdirSync } from 'node:fs';
import { GhostsnapError } from '../../core/errors.ts';
import { displayPath } from '../../core/raw-path.ts';
import { removeTree } from '../remove-tree.ts';
import { errnoOf, toGhostsnapError } from '../syscall-failure.ts';
import { chmodFd, unlinkAt } from '../syscalls-entry-linux.ts';
import {
  AT_REMOVEDIR,
  closeFd,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_RDONLY,
  openAt,
} from '../syscalls-linux.ts';
import { Statx } from '../syscalls-statx-linux.ts';
import { destroySubvolume, setSubvolumeAccess } from './ioctl.ts';
import type { WorkspaceDirectory } from './workspace-directory.ts';

export interface SubvolumeName {
  readonly parentFd: number;
  /** One component, a unit a byte. */
  readonly name: string;
  readonly signal?: AbortSignal | undefined;
  /** Called after each entry that was removed from the root, where the tree has to be emptied. */
  readonly onEmptied?: (() => void) | undefined;
}

/**
 * One that is already gone counts as removed. A caller that can't bear a half-emptied tree under this
 * name renames it before.
 * @returns 'removed', or 'needs-emptying' when one call is not permitted and nothing else was asked for
 * @throws GhostsnapError WORKSPACE_NESTED, NOT_PERMITTED, IO
 */
export async function removeSubvolume(
  subvolume: SubvolumeName,
  how: 'at-once-only' | 'any-way',
): Promise<'removed' | 'needs-emptying'> {
  try {
    if (await destroyAtOnce(subvolume)) return 'removed';
    if (how === 'at-once-only') return 'needs-emptying';
    await emptyAndRemove(subvolume);
    return 'removed';
  } catch (error) {
    throw removalFailure(error, subvolume.name);
  }
}

/** A subvolume of the workspace's own directory, by whatever way there is. One that is gone is removed. */
export async function removeIn(directory: WorkspaceDirectory, name: string): Promise<void> {
  await directory.whileOpen((parentFd) => removeSubvolume({ parentFd, name }, 'any-way'));
}

const TRY_ANOTHER_WAY: ReadonlySet<string> = new Set(['EPERM', 'EACCES', 'EROFS']);

/** False: not permitted this way. */
async function destroyAtOnce({
  parentFd,
  name,
}: Pick<SubvolumeName, 'parentFd' | 'name'>): Promise<boolean> {
  try {
    await destroySubvolume(parentFd, name);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return true;
    if (!TRY_ANOTHER_WAY.has(errnoOf(error))) throw error;
    return false;
  }
}

async function emptyAndRemove(subvolume: SubvolumeName): Promise<void> {
  const { parentFd, name } = subvolume;
  const fd = openAt(parentFd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    setSubvolumeAccess(fd, 'writable');
    makeRootWritable(fd);
    // With user_subvol_rm_allowed only the read-only flag was in the way.
    if (await destroyAtOnce(subvolume)) return;
    for (const child of readdirSync(`/proc/self/fd/${fd}`, { encoding: 'latin1' })) {
      await removeTree({
        parentFd: fd,
        name: child as never,
        ...(subvolume.signal === undefined ? {} : { signal: subvolume.signal }),
      });
      subvolume.onEmptied?.();
    }
  } finally {
    closeFd(fd);
  }
  unlinkAt(parentFd, name, AT_REMOVEDIR);
}

const OWNER_ALL = 0o700;

function makeRootWritable(fd: number): void {
  const { mode } = new Statx().read(fd, '');
  if ((mode & OWNER_ALL) !== OWNER_ALL) chmodFd(fd, (mode & 0o7777) | OWNER_ALL);
}

function removalFailure(error: unknown, name: string): Error {
  if (errnoOf(error) === 'ENOTEMPTY' || errnoOf(error) === 'EBUSY') {
    return new GhostsnapError(
      'WORKSPACE_NESTED',
      `Another subvolume or a mount lies inside ${displayPath(name)}, so it was kept.`,
      { data: { name: displayPath(name) }, hint: 'Move the inner one away, then try again.' },
    );
  }
  return toGhostsnapError(error, { what: 'Removing the subvolume', path: name });
}
