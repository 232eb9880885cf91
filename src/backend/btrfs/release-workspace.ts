/**
 * Ending a workspace: a plain directory with the same contents remains, everything else goes.
 *
 * Where init found a plain directory, a plain one comes back: a proven copy beside the subvolume, one
 * exchange, then the subvolume and the snapshots are removed. Where a subvolume was there before init,
 * it stays. The record's phase:
 *
 *   releasing, path is the subvolume    taken back: the copy goes, the workspace is active again
 *   releasing, path is the copy         goes on: late writes are carried over
 *   dissolving                          goes on: subvolume, snapshots, record are removed
 */
import { mkdirSync } from 'node:fs';
import { GhostsnapError } from '../../core/errors.ts';
import { rawFromText } from '../../core/raw-path.ts';
import type { WorkspaceRef } from '../backend.ts';
import { isThere } from '../is-there.ts';
import { removeTree } from '../remove-tree.ts';
import { toGhostsnapError } from '../syscall-failure.ts';
import { closeFd } from '../syscalls-linux.ts';
import {
  removeEmptyDirectory,
  removeWorkspaceDirectory,
  type StepHook,
} from './delete-snapshots.ts';
import type { InitOptions } from './init-workspace.ts';
import { subvolumeInfo, syncFilesystem } from './ioctl.ts';
import { entryKind, exchange, openPlace, type Place, uuidAt } from './place.ts';
import {
  assertCopyable,
  carryOverLateWrites,
  makeProvenCopy,
  provenSinceNs,
} from './proven-copy.ts';
import { removeSubvolume } from './remove-subvolume.ts';
import type { WorkspaceDirectory } from './workspace-directory.ts';
import { activeAgain, readRecord } from './workspace-record.ts';

/** Labels in order; tests kill the process at each. */
export const RELEASE_STEPS = [
  'release:begin',
  'release:intent-written',
  'release:copied',
  'release:exchanged',
  'release:late-writes-carried',
  'release:subvolume-removed',
  'release:removing-subvolume',
  'release:record-removed',
  'release:done',
] as const;

export function releaseNameOf(ref: WorkspaceRef): string {
  return `.ghostsnap-release-${ref.id}`;
}

/** In place; a workspace that was moved into a pool goes through `moveOutOfPool`. Idempotent. */
export async function releaseInPlace(
  directory: WorkspaceDirectory,
  options: InitOptions,
): Promise<void> {
  const { record } = directory;
  using place = openPlace(directory.ref.path);
  options.onStep?.('release:begin');
  if (record.phase === 'active') {
    closeFd(directory.openLive());
    if (record.origin === 'subvolume') {
      directory.saveRecord({ ...record, phase: 'dissolving' });
      await dissolve(directory, place, options.onStep);
      return;
    }
    await assertCopyable(place.path, options);
    narrowToLive(directory);
    options.onStep?.('release:intent-written');
    try {
      await makePlainCopy(directory, place, options);
      exchange(place, { parentFd: place.parentFd, name: releaseNameOf(directory.ref) });
    } catch (error) {
      await takeBackRelease(directory, place);
      throw error;
    }
    options.onStep?.('release:exchanged');
  }
  await dissolve(directory, place, options.onStep);
}

/**
 * Ends a workspace whose tree is gone: the snapshots and the record go, and nothing at the path is
 * touched. `dissolving` with no directory at the path says so after a crash. Idempotent.
 */
export async function abandonOnDisk(
  directory: WorkspaceDirectory,
  onStep?: StepHook,
): Promise<void> {
  directory.forget();
  if (readRecord(directory.path) === null) {
    // Cut off between the record and the directory.
    removeEmptyDirectory(directory);
    return;
  }
  try {
    directory.saveRecord({ ...directory.record, phase: 'dissolving' });
  } catch (error) {
    // The caller's intent is on disk and the tree is gone: what is removed now makes the room. A crash that
    // loses the catalog as well leaves a workspace without a tree, and snapshots that lead back to it.
    if (!(error instanceof GhostsnapError) || error.code !== 'POOL_FULL') throw error;
  }
  onStep?.('release:intent-written');
  await removeWorkspaceDirectory(directory, onStep);
  onStep?.('release:done');
}

/** Whether an `abandonOnDisk` was cut off. */
export function isAbandoned(directory: WorkspaceDirectory): boolean {
  const { phase, reachedBy } = directory.record;
  return phase === 'dissolving' && reachedBy === 'place' && !isThere(directory.ref.path);
}

/** From here on the record names the one subvolume that is being released. */
function narrowToLive(directory: WorkspaceDirectory): void {
  const fd = directory.openLive();
  try {
    const { uuid } = subvolumeInfo(fd);
    directory.narrowTo(uuid, 'releasing');
  } finally {
    closeFd(fd);
  }
}

async function makePlainCopy(
  directory: WorkspaceDirectory,
  place: Place,
  options: InitOptions,
): Promise<void> {
  const toPath = `${place.parentPath}/${releaseNameOf(directory.ref)}`;
  try {
    mkdirSync(toPath, { mode: 0o700 });
  } catch (error) {
    throw toGhostsnapError(error, { what: 'Making the copy', path: rawFromText(toPath) });
  }
  const sinceNs = await makeProvenCopy({ fromPath: place.path, toPath, work: options });
  options.onStep?.('release:copied');
  // Files before the name, as in init.
  await syncFilesystem(place.parentFd);
  directory.saveRecord({ ...directory.record, provenNs: String(sinceNs) });
}

/** Whether the plain copy is at the path already. */
export function isReleased(directory: WorkspaceDirectory, place: Place): boolean {
  if (directory.record.phase === 'dissolving') return true;
  const name = releaseNameOf(directory.ref);
  return uuidAt(place.parentFd, name) === directory.record.subvolumes[0];
}

/** Before the exchange: the workspace is what it was. Idempotent. */
export async function takeBackRelease(directory: WorkspaceDirectory, place: Place): Promise<void> {
  const name = releaseNameOf(directory.ref);
  if (entryKind(place.parentFd, name) === 'directory') {
    await removeTree({ parentFd: place.parentFd, name: name as never });
  }
  directory.saveRecord(activeAgain(directory.record));
}

/** After the exchange. Idempotent. */
export async function dissolve(
  directory: WorkspaceDirectory,
  place: Place,
  onStep?: StepHook,
): Promise<void> {
  const name = releaseNameOf(directory.ref);
  const { record } = directory;
  if (record.phase === 'releasing') {
    const fromPath = `${place.parentPath}/${name}`;
    const job = { fromPath, toPath: place.path, work: {} };
    await carryOverLateWrites(job, provenSinceNs(directory));
    await syncFilesystem(place.parentFd);
    directory.saveRecord({ ...record, phase: 'dissolving' });
    onStep?.('release:late-writes-carried');
  }
  if (entryKind(place.parentFd, name) === 'subvolume') {
    await removeSubvolume({ parentFd: place.parentFd, name }, 'any-way');
  }
  onStep?.('release:subvolume-removed');
  await removeWorkspaceDirectory(directory, onStep);
  onStep?.('release:done');
}
