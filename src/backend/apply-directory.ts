/**
 * The end of a directory's turn: its own attributes, after everything in it is done.
 *
 * What happens inside moves a directory's mtime, and entering it may have taken its mode and flags
 * away for a while. A directory that nobody chose, on the way to a chosen path, gets back what it
 * had.
 */
import { baseOf, parentOf, type RawName, type RawPath } from '../core/raw-path.ts';
import type { TreeEntry } from '../core/tree-entry.ts';
import type { ApplyContext } from './apply-context.ts';
import { applyMetadata } from './apply-metadata.ts';
import { chmodAt, LOCKING_FLAGS, setFlagsAt } from './unlock-inode.ts';

/**
 * Turns the attributes of a live directory into those of the source. Gone meanwhile: nothing to do.
 */
export function finishDirectory(context: ApplyContext, path: RawPath, want: TreeEntry): void {
  const have = context.live.lookup(path);
  if (have === null || have.type !== 'dir') return;
  const { parentFd, name } = place(context, path);
  context.step('finish dir');
  applyMetadata(context, { path, parentFd, name, have, want });
}

/** Gives a directory that was passed through its own mode and flags back. */
export function relockDirectory(context: ApplyContext, path: RawPath, before: TreeEntry): void {
  const have = context.live.lookup(path);
  if (have === null || have.type !== 'dir') return;
  const { parentFd, name } = place(context, path);
  if (have.mode !== before.mode) chmodAt(parentFd, name, before.mode);
  const flags = (before.flags ?? 0) & LOCKING_FLAGS;
  if (flags !== 0) setFlagsAt(parentFd, name === '' ? ('.' as RawName) : name, flags);
}

function place(
  context: ApplyContext,
  path: RawPath,
): {
  readonly parentFd: number;
  readonly name: RawName | '';
} {
  if (path === '') return { parentFd: context.live.rootFd, name: '' };
  return { parentFd: context.live.fds.open(parentOf(path)), name: baseOf(path) };
}
