/**
 * Making, replacing and removing single entries of the live tree.
 *
 * A name where nothing is gets its file directly, created exclusively: whatever turned up meanwhile
 * is not overwritten. A file that changes is written beside and renamed over, so that the name
 * always shows the old or the new file whole, and other hard links of the old inode keep what they
 * show.
 */
import { GhostsnapError } from '../core/errors.ts';
import { baseOf, joinRaw, parentOf, type RawName, type RawPath } from '../core/raw-path.ts';
import type { TreeEntry } from '../core/tree-entry.ts';
import type { ApplyContext } from './apply-context.ts';
import { applyMetadata, finishNewFile } from './apply-metadata.ts';
import { removeTree } from './remove-tree.ts';
import { doneBeside } from './steps.ts';
import { errnoOf, toGhostsnapError } from './syscall-failure.ts';
import {
  linkAt,
  makeDirectoryAt,
  makeNodeAt,
  renameAt,
  symlinkAt,
  unlinkAt,
} from './syscalls-entry-linux.ts';
import { closeFd, dupFd, O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY, openAt } from './syscalls-linux.ts';
import { clearFlagsAt, LOCKING_FLAGS, setFlagsAt } from './unlock-inode.ts';

const FIFO_FORMAT = 0x1000;
const CHARDEV_FORMAT = 0x2000;
const BLOCKDEV_FORMAT = 0x6000;

/**
 * Makes an entry where nothing is. A directory comes empty, with its final attributes still due.
 */
export async function createEntry(
  context: ApplyContext,
  path: RawPath,
  want: TreeEntry,
): Promise<void> {
  const parentFd = context.openForChange(path);
  context.step(`create ${want.type}`);
  if (want.type === 'dir') {
    makeDirectoryAt(parentFd, baseOf(path), 0o700);
    context.live.fds.forget(path);
    context.markUnlocked(path);
  } else {
    if (!(await makeAs(context, { path, want, parentFd, name: baseOf(path) }))) return;
    giveFlags(context, path, want);
  }
  context.changes += 1;
}

/** Puts a new inode in the place of a live entry that is not a directory, in one rename. */
export async function replaceEntry(
  context: ApplyContext,
  path: RawPath,
  entries: { readonly have: TreeEntry; readonly want: TreeEntry },
): Promise<void> {
  const parentFd = context.openForChange(path);
  const name = context.temporaryName();
  context.step('write beside');
  if (!(await makeAs(context, { path, want: entries.want, parentFd, name }))) return;
  renameOver(context, { path, temporary: name, ...entries, isLink: false });
  giveFlags(context, path, entries.want);
  context.changes += 1;
}

/** Makes the live `path` another name of the live `anchor`. */
export function linkEntry(
  context: ApplyContext,
  link: { readonly path: RawPath; readonly anchor: RawPath; readonly have: TreeEntry | null },
): void {
  const { path, anchor, have } = link;
  const target = have === null ? baseOf(path) : context.temporaryName();
  context.openForChange(path);
  const entry = context.live.lookup(anchor);
  const isLocked = ((entry?.flags ?? 0) & LOCKING_FLAGS) !== 0;
  context.step('link');
  if (isLocked) clearFlagsAt(context.parentFd(anchor), baseOf(anchor));
  linkWithin(context, anchor, joinRaw(parentOf(path), target));
  if (entry !== null && isLocked) giveFlags(context, anchor, entry);
  if (have !== null)
    renameOver(context, { path, temporary: target, have, want: have, isLink: true });
  context.changes += 1;
}

/** Both parents at once: the bounded cache keeps one way down, so one of them is duplicated. */
function linkWithin(context: ApplyContext, anchor: RawPath, path: RawPath): void {
  const anchorFd = dupFd(context.parentFd(anchor));
  try {
    linkAt(anchorFd, baseOf(anchor), context.parentFd(path), baseOf(path));
  } finally {
    closeFd(anchorFd);
  }
}

/**
 * Removes a live entry with everything below. False: something that no snapshot holds lies there
 * and stays, with the directories that lead to it.
 */
export async function removeEntry(
  context: ApplyContext,
  path: RawPath,
  have: TreeEntry,
): Promise<boolean> {
  const parentFd = dupFd(context.openForChange(path));
  try {
    context.live.fds.forget(path);
    const { removed, kept } = await removeTree({
      parentFd,
      name: baseOf(path),
      path,
      expectedIno: have.ino,
      placeholders: 'keep',
      ...(context.signal === undefined ? {} : { signal: context.signal }),
      onRemove: () => context.step('remove'),
    });
    context.changes += removed;
    for (const boundary of kept) {
      context.note(boundary, 'a mount or nested subvolume lies here and was left alone');
    }
    return kept.length === 0;
  } finally {
    closeFd(parentFd);
  }
}

interface Making {
  /** The path in the source. */
  readonly path: RawPath;
  readonly want: TreeEntry;
  readonly parentFd: number;
  /** The name to give it in the live directory. */
  readonly name: RawName;
}

/** False: it can't be made by this user, which is noted. */
async function makeAs(context: ApplyContext, making: Making): Promise<boolean> {
  const { path, want, parentFd, name } = making;
  switch (want.type) {
    case 'file':
      await makeFile(context, making);
      return true;
    case 'symlink':
      symlinkAt(context.source.readLink(path), parentFd, name);
      break;
    case 'fifo':
      makeNodeAt(parentFd, name, FIFO_FORMAT | 0o600, 0);
      break;
    case 'chardev':
    case 'blockdev': {
      const format = want.type === 'chardev' ? CHARDEV_FORMAT : BLOCKDEV_FORMAT;
      const make = (): void => makeNodeAt(parentFd, name, format | 0o600, want.rdev);
      if (!context.permitted(path, 'device node not made again', make)) return false;
      break;
    }
    default:
      return false;
  }
  const have = context.live.lookupAt(parentFd, name);
  // The flags come last, under the final name.
  const bare = { ...want, flags: 0 };
  if (have !== null) applyMetadata(context, { path, parentFd, name, have, want: bare });
  return true;
}

async function makeFile(
  context: ApplyContext,
  { path, want, parentFd, name }: Making,
): Promise<void> {
  const fd = openAt(parentFd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    if (want.sizeBytes > 0) await doneBeside(context.source.copyFileTo(path, fd), context.signal);
    context.step('finish file');
    finishNewFile(context, { fd, path, want });
  } catch (error) {
    // Somebody else may have removed it meanwhile: the error is the one that is told.
    removeLeftOver(parentFd, name);
    throw error;
  } finally {
    closeFd(fd);
  }
}

interface RenameOver {
  readonly path: RawPath;
  readonly temporary: RawName;
  readonly have: TreeEntry;
  readonly want: TreeEntry;
  readonly isLink: boolean;
}

function renameOver(context: ApplyContext, request: RenameOver): void {
  const { path, temporary, have, want } = request;
  const parentFd = context.openForChange(path);
  const name = baseOf(path);
  try {
    if (((have.flags ?? 0) & LOCKING_FLAGS) !== 0) clearFlagsAt(parentFd, name);
    context.step(`put ${want.type} in place`);
    renameAt(parentFd, temporary, parentFd, name);
    // rename(2) between two names of one inode does nothing and leaves both.
    if (request.isLink) removeLeftOver(parentFd, temporary);
  } catch (error) {
    removeLeftOver(parentFd, temporary);
    throw error;
  }
}

function removeLeftOver(parentFd: number, name: RawName): void {
  try {
    unlinkAt(parentFd, name);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
  }
}

/** Last of all, under the final name: a file with these flags can't be renamed. */
function giveFlags(context: ApplyContext, path: RawPath, want: TreeEntry): void {
  const flags = (want.flags ?? 0) & LOCKING_FLAGS;
  if (flags === 0) return;
  context.permitted(path, 'immutable or append-only flag not given back', () =>
    setFlagsAt(context.parentFd(path), baseOf(path), flags),
  );
}

/** The error of a path that could not be turned. */
export function turnFailure(error: unknown, path: RawPath): Error {
  if (error instanceof GhostsnapError) return error;
  return toGhostsnapError(error, { what: 'Restoring', path, fallback: 'RESTORE_FAILED' });
}
