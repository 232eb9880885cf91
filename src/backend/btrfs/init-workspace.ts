/**
 * Making a directory a workspace where it stands.
 *
 * A directory that is a subvolume already is only recorded. Any other becomes one: a subvolume beside
 * it gets a proven copy that shares all blocks, one atomic exchange puts it at the path, and only then
 * the original is removed. At every instant the path holds one whole tree. The record's phase is
 * written before the step that it announces:
 *
 *   converting, path is the original   taken back: the copy goes
 *   converting, path is the copy       finished: late writes are carried over, the original goes
 *   emptying                           finished: the original goes
 */
import { GhostsnapError } from '../../core/errors.ts';
import { rawFromText } from '../../core/raw-path.ts';
import type { WorkOptions, WorkspaceRef } from '../backend.ts';
import { removeTree } from '../remove-tree.ts';
import { toGhostsnapError } from '../syscall-failure.ts';
import { AT_FDCWD, closeFd, O_DIRECTORY, O_RDONLY, openAt } from '../syscalls-linux.ts';
import { removeWorkspaceDirectory, type StepHook } from './delete-snapshots.ts';
import { createSubvolume, subvolumeInfo, syncFilesystem } from './ioctl.ts';
import { entryKind, exchange, openPlace, type Place, uuidAt } from './place.ts';
import { makeWorkspaceDirectory } from './pool-directory.ts';
import {
  assertCopyable,
  carryOverLateWrites,
  makeProvenCopy,
  provenSinceNs,
} from './proven-copy.ts';
import { removeSubvolume } from './remove-subvolume.ts';
import type { WorkspaceDirectory } from './workspace-directory.ts';
import { activeAgain, RECORD_FORMAT, type WorkspaceRecord } from './workspace-record.ts';

/** Labels in order; tests kill the process at each. */
export const INIT_STEPS = [
  'init:begin',
  'init:intent-written',
  'init:subvolume-created',
  'init:copied',
  'init:copy-recorded',
  'init:exchanged',
  'init:late-writes-carried',
  'init:original-removed',
  'init:done',
] as const;

export type InitOptions = WorkOptions & { readonly onStep?: StepHook };

/** The name beside the workspace that holds the copy before the exchange, the original after it. */
export function workingNameOf(ref: WorkspaceRef): string {
  return `.ghostsnap-init-${ref.id}`;
}

/** @throws GhostsnapError as `Backend.initWorkspace` */
export async function initWorkspaceOnDisk(
  directory: WorkspaceDirectory,
  options: InitOptions,
): Promise<void> {
  const { ref } = directory;
  using place = openPlace(ref.path);
  const kind = entryKind(place.parentFd, place.name);
  if (kind !== 'subvolume') await assertCopyable(place.path, options);
  options.onStep?.('init:begin');
  makeWorkspaceDirectory(directory);
  if (kind === 'subvolume') {
    directory.saveRecord(recordOf(directory, { subvolume: liveUuid(ref), origin: 'subvolume' }));
    options.onStep?.('init:done');
    return;
  }
  directory.saveRecord(recordOf(directory, { subvolume: null, origin: 'directory' }));
  options.onStep?.('init:intent-written');
  try {
    await makeCopy(directory, place, options);
    exchange(place, { parentFd: place.parentFd, name: workingNameOf(ref) });
  } catch (error) {
    await takeBackInit(directory, place);
    throw error;
  }
  options.onStep?.('init:exchanged');
  await finishInit(directory, place, options.onStep);
}

async function makeCopy(
  directory: WorkspaceDirectory,
  place: Place,
  options: InitOptions,
): Promise<void> {
  const name = workingNameOf(directory.ref);
  createCopySubvolume(place, name);
  options.onStep?.('init:subvolume-created');
  const toPath = `${place.parentPath}/${name}`;
  const sinceNs = await makeProvenCopy({ fromPath: place.path, toPath, work: options });
  options.onStep?.('init:copied');
  const subvolume = uuidAt(place.parentFd, name);
  // The copied data reaches the disk before the name does: after a power loss the path must not
  // hold a tree whose files are still empty.
  await syncFilesystem(place.parentFd);
  const record = recordOf(directory, { subvolume, origin: 'directory' });
  directory.saveRecord({ ...record, provenNs: String(sinceNs) });
  options.onStep?.('init:copy-recorded');
}

function createCopySubvolume(place: Place, name: string): void {
  try {
    createSubvolume(place.parentFd, name);
  } catch (error) {
    throw toGhostsnapError(error, {
      what: 'Making a subvolume beside the workspace',
      path: rawFromText(`${place.parentPath}/${name}`),
      fallback: 'UNSUPPORTED_FILESYSTEM',
    });
  }
}

/** After the exchange, at once or after a crash. Idempotent. */
export async function finishInit(
  directory: WorkspaceDirectory,
  place: Place,
  onStep?: StepHook,
): Promise<void> {
  const name = workingNameOf(directory.ref);
  const { record } = directory;
  if (record.phase === 'converting') {
    const fromPath = `${place.parentPath}/${name}`;
    if (entryKind(place.parentFd, name) === 'directory') {
      const job = { fromPath, toPath: place.path, work: {} };
      await carryOverLateWrites(job, provenSinceNs(directory));
    }
    // The exchange is on disk before the original loses its first file.
    await syncFilesystem(place.parentFd);
    directory.saveRecord({ ...record, phase: 'emptying' });
    onStep?.('init:late-writes-carried');
  }
  if (entryKind(place.parentFd, name) === 'directory') {
    await removeTree({ parentFd: place.parentFd, name: name as never });
  }
  onStep?.('init:original-removed');
  directory.saveRecord(activeAgain(record));
  onStep?.('init:done');
}

/** Before the exchange, at once or after a crash: the original is at the path, untouched. Idempotent. */
export async function takeBackInit(directory: WorkspaceDirectory, place: Place): Promise<void> {
  const name = workingNameOf(directory.ref);
  if (entryKind(place.parentFd, name) === 'subvolume') {
    await removeSubvolume({ parentFd: place.parentFd, name }, 'any-way');
  }
  await removeWorkspaceDirectory(directory, undefined);
}

function recordOf(
  directory: WorkspaceDirectory,
  what: { readonly subvolume: string | null; readonly origin: WorkspaceRecord['origin'] },
): WorkspaceRecord {
  const { ref } = directory;
  return {
    format: RECORD_FORMAT,
    id: ref.id,
    path: ref.path,
    phase: what.origin === 'subvolume' ? 'active' : 'converting',
    anchor: what.subvolume ?? '',
    subvolumes: what.subvolume === null ? [] : [what.subvolume],
    origin: what.origin,
    reachedBy: 'place',
  };
}

function liveUuid(ref: WorkspaceRef): string {
  const fd = openAt(AT_FDCWD, rawFromText(ref.path), O_RDONLY | O_DIRECTORY);
  try {
    const info = subvolumeInfo(fd);
    if (!info.isReadOnly) return info.uuid;
  } finally {
    closeFd(fd);
  }
  throw new GhostsnapError('NOT_PERMITTED', `The subvolume is read-only: ${ref.path}`, {
    data: { path: ref.path },
    hint: 'Make it writable with "btrfs property set PATH ro false".',
  });
}
