/**
 * The directory entry that a workspace's tree stands at.
 *
 * Exchanging needs the entry itself: parent directory and name, after every symlink. The parent stays
 * open while it is used, so what is exchanged is what was looked at, whatever is renamed above it.
 */
import { realpathSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { GhostsnapError } from '../../core/errors.ts';
import { rawFromText } from '../../core/raw-path.ts';
import { errnoOf, toGhostsnapError } from '../syscall-failure.ts';
import { RENAME_EXCHANGE, renameAt } from '../syscalls-entry-linux.ts';
import { AT_FDCWD, closeFd, O_DIRECTORY, O_RDONLY, openAt } from '../syscalls-linux.ts';
import { Statx } from '../syscalls-statx-linux.ts';
import { SUBVOLUME_ROOT_INO, subvolumeInfo } from './ioctl.ts';

export interface Place extends Disposable {
  /** Absolute, without symlinks. */
  readonly path: string;
  readonly parentPath: string;
  readonly parentFd: number;
  /** One component, a unit a byte. */
  readonly name: string;
}

/** @throws GhostsnapError WORKSPACE_GONE, DANGEROUS_WORKSPACE for the root directory */
export function openPlace(path: string): Place {
  const real = realPath(path);
  if (real === '/') {
    throw new GhostsnapError('DANGEROUS_WORKSPACE', 'The root directory can not be exchanged.', {
      hint: 'Choose a directory below it.',
    });
  }
  const parentPath = dirname(real);
  const parentFd = openAt(AT_FDCWD, rawFromText(parentPath), O_RDONLY | O_DIRECTORY);
  return {
    path: real,
    parentPath,
    parentFd,
    name: rawFromText(basename(real)),
    [Symbol.dispose]: () => closeFd(parentFd),
  };
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    const raw = rawFromText(path);
    throw toGhostsnapError(error, { what: 'Finding', path: raw, fallback: 'WORKSPACE_GONE' });
  }
}

const statx = new Statx();

export type EntryKind = 'missing' | 'subvolume' | 'directory' | 'other';

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;

/** What a name in a directory of a btrfs is; symlinks are not followed. */
export function entryKind(parentFd: number, name: string): EntryKind {
  if (!statx.isThere(parentFd, name)) return 'missing';
  if ((statx.mode & S_IFMT) !== S_IFDIR) return 'other';
  return statx.ino === SUBVOLUME_ROOT_INO ? 'subvolume' : 'directory';
}

/** The UUID of the subvolume whose root has this name; null: something else has it, or nothing. */
export function uuidAt(parentFd: number, name: string): string | null {
  if (entryKind(parentFd, name) !== 'subvolume') return null;
  const fd = openAt(parentFd, name, O_RDONLY | O_DIRECTORY);
  try {
    return subvolumeInfo(fd).uuid;
  } catch (error) {
    // Another filesystem whose root has the same inode number.
    if (errnoOf(error) === 'ENOTTY') return null;
    throw error;
  } finally {
    closeFd(fd);
  }
}

/** One atomic exchange of two names. @throws GhostsnapError POOL_FULL, NOT_PERMITTED, WORKSPACE_BUSY */
export function exchange(
  a: { readonly parentFd: number; readonly name: string },
  b: { readonly parentFd: number; readonly name: string },
): void {
  try {
    renameAt(a.parentFd, a.name, b.parentFd, b.name, RENAME_EXCHANGE);
  } catch (error) {
    if (errnoOf(error) === 'ENOSPC') {
      throw new GhostsnapError('POOL_FULL', 'The pool has no room left for the exchange.', {
        hint: 'Grow the pool or prune snapshots; going back in place may still work.',
        cause: error,
      });
    }
    throw toGhostsnapError(error, {
      what: 'Exchanging',
      path: a.name,
      fallback: errnoOf(error) === 'EBUSY' ? 'WORKSPACE_BUSY' : 'IO',
    });
  }
}
