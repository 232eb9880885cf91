/**
 * Rolling back by one exchange.
 *
 * A writable clone of the target is made in the workspace's own directory and exchanged with the live
 * tree, which stays there as `replaced_<operation>`. The clone is announced in the directory before the
 * exchange, so the workspace is never taken for a replaced one. The token names the subvolume that was
 * live: where it is after a crash says whether the exchange happened.
 *
 * What a process writes between the precautionary snapshot and the exchange goes with the old tree, and
 * is kept in it for as long as somebody holds it. Swaps are refused while anybody does.
 */
import { readdirSync } from 'node:fs';
import { assert, GhostsnapError } from '../../core/errors.ts';
import type { SnapshotId } from '../../core/ids.ts';
import { toGhostsnapError } from '../syscall-failure.ts';
import { RENAME_NOREPLACE, renameAt } from '../syscalls-entry-linux.ts';
import { closeFd, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, openAt } from '../syscalls-linux.ts';
import { Statx } from '../syscalls-statx-linux.ts';
import type { StepHook } from './delete-snapshots.ts';
import { findHolders } from './holders.ts';
import {
  commitTransaction,
  createSubvolumeSnapshot,
  hasNestedSubvolumes,
  subvolumeInfo,
} from './ioctl.ts';
import { exchange, openPlace, uuidAt } from './place.ts';
import { removeIn } from './remove-subvolume.ts';
import { isSubvolumeRoot, openExisting, snapshotFailure, snapshotPath } from './snapshots.ts';
import { REPLACED_PREFIX, replaced, type WorkspaceDirectory } from './workspace-directory.ts';

/** Labels in order; tests kill the process at each. */
export const SWAP_STEPS = [
  'swap:begin',
  'swap:cloned',
  'swap:recorded',
  'swap:exchanged',
  'swap:kept-aside',
  'swap:done',
] as const;

const SUBVOLUME_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

interface SwapToken {
  readonly format: 1;
  readonly operation: string;
  /** The UUID of the subvolume that was live when the swap was prepared. */
  readonly live: string;
}

export interface SwapAnswer {
  readonly allowed: boolean;
  readonly reason: string;
}

/** Whether an exchange would hurt nobody, now. Throws nothing but what opening the workspace throws. */
export function checkSwapOf(directory: WorkspaceDirectory): SwapAnswer {
  const fd = directory.openLive();
  try {
    if (hasNestedSubvolumes(fd)) {
      return { allowed: false, reason: 'a nested subvolume would go with the old tree' };
    }
    using place = openPlace(directory.ref.path);
    const live = new Statx().read(fd, '');
    const { dev, isMountRoot } = live;
    if (isMountRoot) return { allowed: false, reason: 'the workspace is a mount point' };
    const placeMount = new Statx().read(place.parentFd, '').mountId;
    if (placeMount !== new Statx().read(directory.fd, '').mountId) {
      return { allowed: false, reason: 'workspace and pool are reached through different mounts' };
    }
    const { holder, unreadable } = findHolders({ path: place.path, dev });
    if (holder !== null) return { allowed: false, reason: holder };
    const unsure =
      unreadable === 0 ? '' : ` (${unreadable} processes of other users could not be looked into)`;
    return { allowed: true, reason: `nobody holds the tree${unsure}` };
  } finally {
    closeFd(fd);
  }
}

/** Changes nothing. `operation` must be unique and fit a file name. */
export function prepareSwapOf(directory: WorkspaceDirectory, operation: string): string {
  assert(/^[A-Za-z0-9_-]{1,200}$/.test(operation), 'an operation id fits a file name');
  const fd = directory.openLive();
  try {
    const token: SwapToken = { format: 1, operation, live: subvolumeInfo(fd).uuid };
    return JSON.stringify(token);
  } finally {
    closeFd(fd);
  }
}

/** @throws GhostsnapError WORKSPACE_REPLACED, SNAPSHOT_NOT_FOUND, POOL_FULL, UNSUPPORTED_MODE */
export async function swapInClone(
  directory: WorkspaceDirectory,
  target: SnapshotId,
  swap: { readonly token: string; readonly onStep: StepHook },
): Promise<void> {
  const token = parseToken(swap.token);
  swap.onStep?.('swap:begin');
  using place = openPlace(directory.ref.path);
  if (uuidAt(place.parentFd, place.name) !== token.live) throw replaced(directory.ref);
  // Asked again: somebody may have entered the tree since the mode was chosen.
  const check = checkSwapOf(directory);
  if (!check.allowed) {
    throw new GhostsnapError('UNSUPPORTED_MODE', `The tree can not be swapped: ${check.reason}.`, {
      data: { path: directory.ref.path },
      hint: 'Roll back in place ("--mode in-place").',
    });
  }
  const clone = cloneName(token);
  await makeClone(directory, target, clone);
  swap.onStep?.('swap:cloned');
  const uuid = uuidAt(directory.fd, clone);
  assert(uuid !== null, 'a clone that was just made is there');
  directory.announce({ uuid, replaces: token.live });
  swap.onStep?.('swap:recorded');
  exchange(place, { parentFd: directory.fd, name: clone });
  swap.onStep?.('swap:exchanged');
  keepAside(directory, token);
  swap.onStep?.('swap:kept-aside');
  // The caller reports success on return: a power loss may not bring the old tree back.
  await directory.whileOpen(commitTransaction);
  swap.onStep?.('swap:done');
}

/** A writable clone of a snapshot, under a working name. */
export async function makeClone(
  directory: WorkspaceDirectory,
  target: SnapshotId,
  name: string,
): Promise<void> {
  snapshotPath(directory, target);
  const sourceFd = openAt(directory.fd, target, SUBVOLUME_FLAGS);
  directory.users += 1;
  try {
    const parentFd = directory.fd;
    await createSubvolumeSnapshot({ parentFd, sourceFd, name, access: 'writable' });
  } catch (error) {
    throw snapshotFailure(error, directory, name);
  } finally {
    directory.users -= 1;
    closeFd(sourceFd);
  }
}

/** The old tree has the clone's name after the exchange; under its own it survives a sweep. */
function keepAside(directory: WorkspaceDirectory, token: SwapToken): void {
  const { fd } = directory;
  const aside = `${REPLACED_PREFIX}${token.operation}`;
  try {
    renameAt(fd, cloneName(token), fd, aside, RENAME_NOREPLACE);
  } catch (error) {
    throw toGhostsnapError(error, { what: 'Keeping the old tree', path: aside });
  }
}

/**
 * After a crash or a failure, any number of times: completes an exchange that happened, removes the
 * clone of one that did not.
 * @throws GhostsnapError WORKSPACE_REPLACED when the path leads to neither tree
 */
export async function finishSwapOf(
  directory: WorkspaceDirectory,
  tokenText: string,
): Promise<'done' | 'undone'> {
  const token = parseToken(tokenText);
  directory.forget();
  closeFd(directory.openLive());
  using place = openPlace(directory.ref.path);
  const clone = cloneName(token);
  if (uuidAt(place.parentFd, place.name) !== token.live) {
    // Proven above: what stands there is the other subvolume of the record, the clone.
    if (uuidAt(directory.fd, clone) === token.live) keepAside(directory, token);
    await directory.whileOpen(commitTransaction);
    return 'done';
  }
  if (isSubvolumeRoot(directory.fd, clone)) {
    await removeIn(directory, clone);
  }
  directory.narrowTo(token.live);
  return 'undone';
}

/**
 * An exchange that a crash cut off before its old tree got its name: the old tree is under the clone's
 * name, and would be swept. It is the predecessor of what stands at the path; a clone that never got
 * there is nobody's.
 */
export function keepInterruptedSwap(directory: WorkspaceDirectory): void {
  const fd = openExisting(directory);
  if (fd < 0 || directory.announced().length === 0) return;
  const live = liveUuidOf(directory);
  const old = live === null ? null : directory.predecessorOf(live);
  if (old === null) return;
  for (const name of readdirSync(directory.path)) {
    if (!name.startsWith('clone_') || uuidAt(fd, name) !== old) continue;
    const aside = `${REPLACED_PREFIX}${name.slice('clone_'.length)}`;
    renameAt(fd, name, fd, aside, RENAME_NOREPLACE);
  }
}

/** How many old trees were removed. Those that somebody holds stay; so does the rest of the work. */
export async function removeReplacedTrees(directory: WorkspaceDirectory): Promise<number> {
  const fd = openExisting(directory);
  if (fd < 0) return 0;
  const names = readdirSync(directory.path).filter((name) => name.startsWith(REPLACED_PREFIX));
  let removed = 0;
  for (const name of names) {
    if (!isSubvolumeRoot(fd, name) || isHeld(directory, name)) continue;
    await removeIn(directory, name);
    removed += 1;
  }
  if (removed > 0 && removed === names.length) narrowRecord(directory);
  return removed;
}

function isHeld(directory: WorkspaceDirectory, name: string): boolean {
  const treeFd = openAt(directory.fd, name, SUBVOLUME_FLAGS);
  try {
    const { dev } = new Statx().read(treeFd, '');
    if (hasNestedSubvolumes(treeFd)) return true;
    return findHolders({ path: `${directory.path}/${name}`, dev }).holder !== null;
  } finally {
    closeFd(treeFd);
  }
}

/** With the old trees gone, only the live subvolume may stand at the path. */
function narrowRecord(directory: WorkspaceDirectory): void {
  if (directory.announced().length === 0) return;
  const live = liveUuidOf(directory);
  if (live !== null) directory.narrowTo(live);
}

/** null: the workspace is gone or replaced; whoever asks for it next is told so. */
function liveUuidOf(directory: WorkspaceDirectory): string | null {
  let fd: number;
  try {
    fd = directory.openLive();
  } catch (error) {
    if (error instanceof GhostsnapError && error.kind === 'conflict') return null;
    throw error;
  }
  try {
    return subvolumeInfo(fd).uuid;
  } finally {
    closeFd(fd);
  }
}

function cloneName(token: SwapToken): string {
  return `clone_${token.operation}`;
}

function parseToken(text: string): SwapToken {
  const value: unknown = JSON.parse(text);
  assert(
    typeof value === 'object' && value !== null && 'live' in value && 'operation' in value,
    'a swap token is what prepareSwap returned',
  );
  return { format: 1, operation: String(value.operation), live: String(value.live) };
}
