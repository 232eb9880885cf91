/**
 * Ending a workspace that was moved into a pool: its tree goes back to where it came from.
 *
 * As root the proven copy is made in the directory below the mount, and unmounting uncovers it; else
 * beside the symlink, and an exchange puts it in the symlink's place. Then the tree in the pool and the
 * snapshots go. The record's phase:
 *
 *   releasing, path leads to the pool  taken back: the copy goes, the workspace is active again
 *   releasing, symlink exchanged       goes on
 *   dissolving                         goes on: unmounted if it is still mounted, the rest is removed
 *
 * With a mount, `dissolving` is written before unmounting: once the copy is uncovered people work in it,
 * and nothing may ever take it for a left-over. While the mount is there they work in the pool's tree.
 *
 * The copy is on its own filesystem's disk before `dissolving` is on the pool's: what is removed from then on
 * is the other one.
 */
import { chmodSync, lstatSync, mkdirSync, readdirSync, unlinkSync } from 'node:fs';
import { GhostsnapError } from '../../core/errors.ts';
import { displayPath } from '../../core/raw-path.ts';
import { removeTree } from '../remove-tree.ts';
import { syncFsAsync } from '../syscalls-data-linux.ts';
import { closeFd } from '../syscalls-linux.ts';
import { isMountPoint, unbind, withCovered } from './bind-mount.ts';
import { removeWorkspaceDirectory, type StepHook } from './delete-snapshots.ts';
import type { InitOptions } from './init-workspace.ts';
import { emptyDirectory, movedTreePath, openEntry, removeMovedTree } from './moved-tree.ts';
import { entryKind, exchange, type Place } from './place.ts';
import {
  assertCopyable,
  carryOverLateWrites,
  makeProvenCopy,
  nowNs,
  provenSinceNs,
} from './proven-copy.ts';
import { releaseNameOf } from './release-workspace.ts';
import type { WorkspaceDirectory } from './workspace-directory.ts';
import { activeAgain } from './workspace-record.ts';

/** Names that one error shows. */
const HIDDEN_SHOWN_MAX = 20;

/**
 * @throws GhostsnapError WORKSPACE_BUSY, NEEDS_ROOT, WORKSPACE_NESTED, TARGET_EXISTS, VERIFY_FAILED, POOL_FULL
 */
export async function moveTreeOutOfPool(
  directory: WorkspaceDirectory,
  options: InitOptions,
): Promise<void> {
  const { record } = directory;
  using place = openEntry(record.path);
  options.onStep?.('release:begin');
  if (record.phase !== 'active') {
    await continueMoveOut(directory, place, options.onStep);
    if (record.phase === 'dissolving') return;
  }
  // Whatever else stands at the path by now is somebody's, and is not exchanged.
  closeFd(directory.openLive());
  await assertCopyable(movedTreePath(directory.ref), options);
  if (record.reachedBy === 'bind-mount') await assertNothingCovered(directory, place);
  directory.saveRecord({ ...record, phase: 'releasing' });
  options.onStep?.('release:intent-written');
  try {
    if (record.reachedBy === 'bind-mount') await copyBelowMount(directory, place, options);
    else await copyBesideLink(directory, place, options);
  } catch (error) {
    await takeBackMoveOut(directory, place, options.onStep);
    throw error;
  }
  options.onStep?.('release:exchanged');
  await dissolveMoved(directory, place, options.onStep);
}

/** A shell that has stood there since before the move still works in the directory below the mount. */
async function assertNothingCovered(directory: WorkspaceDirectory, place: Place): Promise<void> {
  const { path, parentPath, name } = place;
  const names = await withCovered({ path, scratch: directory.path }, async (fd) =>
    readdirSync(`/proc/self/fd/${fd}`, { encoding: 'latin1' }).map(displayPath),
  );
  if (names.length === 0) return;
  throw new GhostsnapError(
    'TARGET_EXISTS',
    `Files lie where the tree would go, hidden below its mount: ${names[0]}`,
    {
      data: { path, hidden: names.slice(0, HIDDEN_SHOWN_MAX) },
      hint:
        `Move them away: after "mount --bind ${parentPath} /mnt" they are in /mnt/${displayPath(name)}. ` +
        'Then try again.',
    },
  );
}

async function copyBelowMount(
  directory: WorkspaceDirectory,
  place: Place,
  options: InitOptions,
): Promise<void> {
  await withCovered({ path: place.path, scratch: directory.path }, async (fd) => {
    const toPath = `/proc/self/fd/${fd}`;
    const fromPath = movedTreePath(directory.ref);
    const sinceNs = await makeProvenCopy({ fromPath, toPath, work: options });
    options.onStep?.('release:copied');
    await syncFsAsync(fd);
    const provenNs = String(sinceNs);
    directory.saveRecord({ ...directory.record, phase: 'dissolving', provenNs });
  });
}

async function copyBesideLink(
  directory: WorkspaceDirectory,
  place: Place,
  options: InitOptions,
): Promise<void> {
  const name = releaseNameOf(directory.ref);
  const toPath = `${place.parentPath}/${name}`;
  mkdirSync(toPath, { mode: 0o700 });
  const job = { fromPath: movedTreePath(directory.ref), toPath, work: options };
  const sinceNs = await makeProvenCopy(job);
  options.onStep?.('release:copied');
  // Files before the name, as in init.
  await syncFsAsync(place.parentFd);
  directory.saveRecord({ ...directory.record, provenNs: String(sinceNs) });
  exchange(place, { parentFd: place.parentFd, name });
}

async function takeBackMoveOut(
  directory: WorkspaceDirectory,
  place: Place,
  onStep: StepHook,
): Promise<void> {
  const name = releaseNameOf(directory.ref);
  // Before anything of the copy goes: by `dissolving` it is the tree, and whoever comes next removes the pool's.
  if (directory.record.phase !== 'releasing') {
    directory.saveRecord({ ...directory.record, phase: 'releasing' });
  }
  if (directory.record.reachedBy === 'bind-mount') {
    await withCovered({ path: place.path, scratch: directory.path }, emptyDirectory);
  } else if (entryKind(place.parentFd, name) !== 'missing') {
    chmodSync(`${place.parentPath}/${name}`, 0o700);
    await removeTree({ parentFd: place.parentFd, name: name as never });
  }
  onStep?.('release:copy-removed');
  directory.saveRecord(activeAgain(directory.record));
}

/** After a crash. Idempotent. */
export async function continueMoveOut(
  directory: WorkspaceDirectory,
  place: Place,
  onStep?: StepHook,
): Promise<void> {
  if (directory.record.phase === 'dissolving' || isSwitchedBack(directory, place)) {
    await dissolveMoved(directory, place, onStep);
  } else {
    await takeBackMoveOut(directory, place, onStep);
  }
}

/**
 * A mount that is missing says nothing, as a reboot removes it too: then the copy below may be cut
 * off, and the tree in the pool is the whole one.
 */
function isSwitchedBack(directory: WorkspaceDirectory, place: Place): boolean {
  if (directory.record.reachedBy === 'bind-mount') return false;
  return !lstatSync(place.path).isSymbolicLink();
}

async function dissolveMoved(
  directory: WorkspaceDirectory,
  place: Place,
  onStep: StepHook,
): Promise<void> {
  const { record, ref } = directory;
  if (record.phase === 'releasing') {
    await carryBack(directory, place.path, provenSinceNs(directory));
    await syncFsAsync(place.parentFd);
    directory.saveRecord({ ...directory.record, phase: 'dissolving' });
  }
  if (record.reachedBy === 'bind-mount' && isMountPoint(place.path)) {
    await uncover(directory, place, onStep);
  }
  onStep?.('release:late-writes-carried');
  const name = releaseNameOf(ref);
  if (entryKind(place.parentFd, name) === 'other') unlinkSync(`${place.parentPath}/${name}`);
  await removeMovedTree(directory);
  onStep?.('release:subvolume-removed');
  await removeWorkspaceDirectory(directory, onStep);
  onStep?.('release:done');
}

/** A tree that somebody stands in can't be unmounted: then the workspace stays what it was. */
async function uncover(
  directory: WorkspaceDirectory,
  place: Place,
  onStep: StepHook,
): Promise<void> {
  const againSinceNs = nowNs();
  await withCovered({ path: place.path, scratch: directory.path }, async (fd) => {
    await carryBack(directory, `/proc/self/fd/${fd}`, provenSinceNs(directory));
    await syncFsAsync(fd);
  });
  try {
    unbind(place.path);
  } catch (error) {
    await takeBackMoveOut(directory, place, onStep);
    throw error;
  }
  await carryBack(directory, place.path, againSinceNs);
  await syncFsAsync(place.parentFd);
}

async function carryBack(
  directory: WorkspaceDirectory,
  toPath: string,
  sinceNs: bigint,
): Promise<void> {
  const job = { fromPath: movedTreePath(directory.ref), toPath, work: {} };
  await carryOverLateWrites(job, sinceNs);
}
