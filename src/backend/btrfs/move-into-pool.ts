/**
 * Moving a directory of another filesystem into a btrfs pool, when somebody asked for it.
 *
 * The tree becomes the subvolume `<pool>/work/<workspace id>`; the path leads there by a bind mount over
 * the original directory (root) or by a symlink in its place (anyone). The switch is one mount or one
 * exchange, after a proven copy; until then the original is untouched, afterwards the copy is whole. The
 * record's phase:
 *
 *   moving, path is the original   taken back: the copy goes
 *   moving, path leads to the copy finished: late writes are carried over, the original goes
 *   emptying                       finished: mounted again if a reboot came between, the original goes
 */
import { mkdirSync, readdirSync, realpathSync, unlinkSync } from 'node:fs';
import { GhostsnapError } from '../../core/errors.ts';
import { rawFromText } from '../../core/raw-path.ts';
import type { WorkspaceRef } from '../backend.ts';
import { removeTree } from '../remove-tree.ts';
import { toGhostsnapError } from '../syscall-failure.ts';
import { syncFsAsync } from '../syscalls-data-linux.ts';
import { symlinkAt } from '../syscalls-entry-linux.ts';
import { AT_FDCWD, closeFd, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, openAt } from '../syscalls-linux.ts';
import { Statx } from '../syscalls-statx-linux.ts';
import { isMountPoint, removeLeftViews, withCovered } from './bind-mount.ts';
import { removeWorkspaceDirectory } from './delete-snapshots.ts';
import { mountTree } from './emptied-place.ts';
import type { InitOptions } from './init-workspace.ts';
import { createSubvolume, syncFilesystem } from './ioctl.ts';
import { continueMoveOut } from './move-out-of-pool.ts';
import { emptyDirectory, movedTreePath, openEntry, removeMovedTree } from './moved-tree.ts';
import { entryKind, exchange, type Place, uuidAt } from './place.ts';
import { makeWorkspaceDirectory } from './pool-directory.ts';
import {
  assertCopyable,
  carryOverLateWrites,
  makeProvenCopy,
  provenSinceNs,
} from './proven-copy.ts';
import type { WorkspaceDirectory } from './workspace-directory.ts';
import { activeAgain, RECORD_FORMAT, type WorkspaceRecord } from './workspace-record.ts';

/** Labels in order; tests kill the process at each. */
export const MOVE_STEPS = [
  'move:begin',
  'move:intent-written',
  'move:subvolume-created',
  'move:copied',
  'move:copy-recorded',
  'move:switched',
  'move:late-writes-carried',
  'move:original-removed',
  'move:done',
] as const;

const DIRECTORY_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

export function moveNameOf(ref: WorkspaceRef): string {
  return `.ghostsnap-move-${ref.id}`;
}

/**
 * @throws GhostsnapError WORKSPACE_NESTED, CAPTURE_FAILED, POOL_FULL, VERIFY_FAILED, TREE_CHANGED,
 *   NOT_PERMITTED
 */
export async function moveTreeIntoPool(
  directory: WorkspaceDirectory,
  options: InitOptions,
): Promise<void> {
  const { ref } = directory;
  using place = openEntry(ref.path);
  assertMovable(place, ref.path);
  await assertCopyable(place.path, options);
  options.onStep?.('move:begin');
  makeWorkspaceDirectory(directory);
  directory.saveRecord(movingRecord(ref));
  options.onStep?.('move:intent-written');
  try {
    await copyIntoPool(directory, place, options);
    switchPath(directory, place);
  } catch (error) {
    await takeBackMove(directory, place);
    throw error;
  }
  options.onStep?.('move:switched');
  await finishMove(directory, place, options);
}

/**
 * What is at the path is what goes once the copy is proven: below a filesystem that somebody mounted there it
 * would be a directory that nobody has looked into.
 */
function assertMovable(place: Place, path: string): void {
  if (!['directory', 'subvolume'].includes(entryKind(place.parentFd, place.name))) {
    throw new GhostsnapError('BAD_ARGUMENT', `Only a directory can move: ${path}`, {
      data: { path },
      hint: 'Name the directory itself, not a symlink to it.',
    });
  }
  if (!new Statx().read(place.parentFd, place.name).isMountRoot) return;
  throw new GhostsnapError('BAD_ARGUMENT', `Another filesystem is mounted at ${path}`, {
    data: { path },
    hint: 'Name a directory in it, or use the store backend ("--backend store").',
  });
}

function movingRecord(ref: WorkspaceRef): WorkspaceRecord {
  return {
    format: RECORD_FORMAT,
    id: ref.id,
    path: ref.path,
    phase: 'moving',
    anchor: '',
    subvolumes: [],
    origin: 'directory',
    reachedBy: process.geteuid?.() === 0 ? 'bind-mount' : 'symlink',
  };
}

async function copyIntoPool(
  directory: WorkspaceDirectory,
  place: Place,
  options: InitOptions,
): Promise<void> {
  const { ref } = directory;
  const work = `${ref.poolRoot}/work`;
  mkdirSync(work, { recursive: true, mode: 0o755 });
  const workFd = openAt(AT_FDCWD, rawFromText(work), DIRECTORY_FLAGS);
  try {
    createSubvolume(workFd, ref.id);
    options.onStep?.('move:subvolume-created');
    const toPath = movedTreePath(ref);
    const sinceNs = await makeProvenCopy({ fromPath: place.path, toPath, work: options });
    options.onStep?.('move:copied');
    await syncFilesystem(workFd);
    const uuid = uuidAt(workFd, ref.id);
    const subvolumes = uuid === null ? [] : [uuid];
    const proven = { anchor: uuid ?? '', subvolumes, provenNs: String(sinceNs) };
    directory.saveRecord({ ...directory.record, ...proven });
    options.onStep?.('move:copy-recorded');
  } catch (error) {
    const path = rawFromText(movedTreePath(ref));
    throw toGhostsnapError(error, { what: 'Copying into the pool', path });
  } finally {
    closeFd(workFd);
  }
}

/** One atomic step: before it the path is the original, after it the copy. */
function switchPath(directory: WorkspaceDirectory, place: Place): void {
  const target = movedTreePath(directory.ref);
  if (directory.record.reachedBy === 'bind-mount') {
    mountTree(directory, place.path);
    return;
  }
  const name = moveNameOf(directory.ref);
  try {
    symlinkAt(rawFromText(target), place.parentFd, name);
  } catch (error) {
    throw toGhostsnapError(error, { what: 'Making the symlink', path: name });
  }
  exchange(place, { parentFd: place.parentFd, name });
}

/** After the switch, at once or after a crash. Idempotent. */
async function finishMove(
  directory: WorkspaceDirectory,
  place: Place,
  options: InitOptions,
): Promise<void> {
  await withOriginal(directory, place, async (fd) => {
    const { record, ref } = directory;
    if (record.phase === 'moving') {
      const job = { fromPath: `/proc/self/fd/${fd}`, toPath: movedTreePath(ref), work: {} };
      await carryOverLateWrites(job, provenSinceNs(directory));
      await directory.whileOpen(syncFilesystem);
      // The switch as well, which a symlink makes on the other filesystem: `emptying` says that it happened.
      await syncFsAsync(place.parentFd);
      directory.saveRecord({ ...record, phase: 'emptying' });
      options.onStep?.('move:late-writes-carried');
    }
    await emptyDirectory(fd);
  });
  if (directory.record.reachedBy === 'symlink') {
    const name = moveNameOf(directory.ref);
    if (entryKind(place.parentFd, name) !== 'missing') {
      await removeTree({ parentFd: place.parentFd, name: name as never });
    }
  }
  options.onStep?.('move:original-removed');
  directory.saveRecord(activeAgain(directory.record));
  options.onStep?.('move:done');
}

/** The original directory: below the mount, or under the name that the symlink had. */
async function withOriginal(
  directory: WorkspaceDirectory,
  place: Place,
  work: (fd: number) => Promise<void>,
): Promise<void> {
  if (directory.record.reachedBy === 'bind-mount') {
    await withCovered({ path: place.path, scratch: directory.path }, work);
    return;
  }
  const name = moveNameOf(directory.ref);
  if (entryKind(place.parentFd, name) === 'missing') return;
  const fd = openAt(place.parentFd, name, DIRECTORY_FLAGS);
  try {
    await work(fd);
  } finally {
    closeFd(fd);
  }
}

/** Before the switch: the original is at the path, untouched. Idempotent. */
async function takeBackMove(directory: WorkspaceDirectory, place: Place): Promise<void> {
  const name = moveNameOf(directory.ref);
  if (entryKind(place.parentFd, name) === 'other') unlinkSync(`${place.parentPath}/${name}`);
  await removeMovedTree(directory);
  await removeWorkspaceDirectory(directory, undefined);
}

/** Finishes or takes back, whatever the phase; mounts the tree again after a reboot. Idempotent. */
export async function recoverMove(directory: WorkspaceDirectory): Promise<void> {
  const { record } = directory;
  using place = openEntry(pathOfTree(directory));
  if (process.geteuid?.() === 0) removeLeftViews(directory.path);
  switch (record.phase) {
    case 'moving':
      if (leadsToCopy(directory, place)) await finishMove(directory, place, {});
      else await takeBackMove(directory, place);
      return;
    case 'emptying':
      remount(directory, place);
      await finishMove(directory, place, {});
      return;
    case 'active':
      remount(directory, place);
      return;
    default:
      // After a reboot in the middle of the copy back, the tree in the pool is the whole one.
      if (record.phase === 'releasing') remount(directory, place);
      await continueMoveOut(directory, place);
  }
}

/** The record learns last that it was moved. */
function pathOfTree(directory: WorkspaceDirectory): string {
  const { record, ref } = directory;
  if (ref.path === record.path) return ref.path;
  try {
    closeFd(directory.openLive());
    return ref.path;
  } catch (error) {
    if (!(error instanceof GhostsnapError)) throw error;
    return record.path;
  }
}

function leadsToCopy(directory: WorkspaceDirectory, place: Place): boolean {
  const [copy] = directory.record.subvolumes;
  if (copy === undefined) return false;
  if (directory.record.reachedBy === 'bind-mount') {
    return uuidAt(place.parentFd, place.name) === copy;
  }
  return (
    entryKind(place.parentFd, place.name) === 'other' &&
    realpathSync(place.path) === realpathSync(movedTreePath(directory.ref))
  );
}

/**
 * Mounts are gone after a reboot, and `rm` of the path takes a symlink away. Nothing is hidden or
 * replaced: only an empty directory is mounted over, only a missing name becomes a symlink.
 */
function remount(directory: WorkspaceDirectory, place: Place): void {
  const { record, ref } = directory;
  const isMissing = entryKind(place.parentFd, place.name) === 'missing';
  if (record.reachedBy === 'symlink') {
    const target = rawFromText(movedTreePath(ref));
    if (isMissing && record.phase === 'active') symlinkAt(target, place.parentFd, place.name);
    return;
  }
  if (isMountPoint(place.path)) return;
  if (isMissing) mkdirSync(place.path, { mode: 0o700 });
  if (record.phase === 'active' && readdirSync(place.path).length > 0) return;
  mountTree(directory, place.path);
}
