/**
 * Taking, listing, pinning and deleting read-only snapshots.
 *
 * The hot path is: open the workspace, prove by its UUID that it is the workspace, one ioctl, close.
 * Nothing is allocated but the id's own string, no process is started. Snapshots lie in the
 * workspace's own directory: workspaces that shared one would wait for each other on its lock.
 *
 * A snapshot's name never belongs to anything half-way: it appears with the ioctl's commit, and where
 * deleting takes more than one call, the snapshot loses its name first.
 */
import { closeSync, mkdirSync, openSync, readdirSync, rmSync, statSync } from 'node:fs';
import { type ErrorCode, GhostsnapError } from '../../core/errors.ts';
import { isSnapshotId, type SnapshotId, ulidOf, ulidTimeMs } from '../../core/ids.ts';
import { rawFromText } from '../../core/raw-path.ts';
import type { CreateResult, SnapshotOnDisk, WorkspaceRef } from '../backend.ts';
import { sayStep } from '../labelled-step.ts';
import { errnoOf, toGhostsnapError } from '../syscall-failure.ts';
import { closeFd, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, openAt } from '../syscalls-linux.ts';
import { Statx } from '../syscalls-statx-linux.ts';
import {
  createSubvolumeSnapshot,
  createSubvolumeSnapshotSync,
  isReadOnlySubvolume,
  SUBVOLUME_ROOT_INO,
} from './ioctl.ts';
import type { WorkspaceDirectory } from './workspace-directory.ts';
import { syncDirectory } from './workspace-record.ts';

type Taken = Pick<CreateResult, 'stamps' | 'systemCall'>;

/** Blocks this thread. @throws GhostsnapError as `Backend.createSnapshotSync` */
export function takeSnapshotSync(directory: WorkspaceDirectory, name: string): Taken {
  const sourceFd = directory.openLive();
  try {
    const parentFd = directory.fd;
    const before = stampOf(parentFd);
    const startMs = performance.now();
    createSubvolumeSnapshotSync({ parentFd, sourceFd, name, access: 'read-only' });
    const systemCall = { startMs, endMs: performance.now() };
    sayStep('snapshot:made');
    return { stamps: stampsAround(before, stampOf(parentFd), name), systemCall };
  } catch (error) {
    throw snapshotFailure(error, directory, name);
  } finally {
    closeFd(sourceFd);
  }
}

/** On a thread of its own. @throws GhostsnapError as `Backend.createSnapshot` */
export async function takeSnapshot(directory: WorkspaceDirectory, name: string): Promise<Taken> {
  const sourceFd = directory.openLive();
  directory.users += 1;
  try {
    const parentFd = directory.fd;
    const before = stampOf(parentFd);
    const startMs = performance.now();
    await createSubvolumeSnapshot({ parentFd, sourceFd, name, access: 'read-only' });
    const systemCall = { startMs, endMs: performance.now() };
    sayStep('snapshot:made');
    return { stamps: stampsAround(before, stampOf(parentFd), name), systemCall };
  } catch (error) {
    throw snapshotFailure(error, directory, name);
  } finally {
    directory.users -= 1;
    closeFd(sourceFd);
  }
}

interface Refusal {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string;
}

/** What a failed SNAP_CREATE_V2 means. Forgets the cached descriptor, which may be what was wrong. */
export function snapshotFailure(
  error: unknown,
  directory: WorkspaceDirectory,
  name: string,
): Error {
  const errno = errnoOf(error);
  if (errno === '' || error instanceof GhostsnapError) return toGhostsnapError(error, CONTEXT);
  const { path } = directory.ref;
  const refusal = refusalOf(errno, path, name);
  if (errno === 'ENOENT' && directory.users <= 1) directory.forget();
  return new GhostsnapError(refusal.code, refusal.message, {
    data: { path, errno, snapshot: name },
    hint: refusal.hint,
    cause: error,
  });
}

const CONTEXT = { what: 'Taking a snapshot', path: '' };

function refusalOf(errno: string, path: string, name: string): Refusal {
  switch (errno) {
    case 'ENOSPC':
    case 'EDQUOT':
      return {
        code: 'POOL_FULL',
        message: `The pool is full: no snapshot was taken of ${path}`,
        hint: 'Delete snapshots ("ghostsnap prune") or files; rolling back still works.',
      };
    case 'ETXTBSY':
      return {
        code: 'SWAP_FILE_ACTIVE',
        message: `An active swap file keeps btrfs from taking snapshots of ${path}`,
        hint: 'Run "swapoff" on it, or move it out of the workspace.',
      };
    case 'EEXIST':
      return {
        code: 'BAD_ARGUMENT',
        message: `There is a snapshot ${name} already.`,
        hint: 'Use a new id for every snapshot.',
      };
    case 'EINVAL':
    case 'EXDEV':
      return {
        code: 'WORKSPACE_REPLACED',
        message: `The directory at ${path} is not a subvolume of the pool's filesystem any more`,
        hint: 'Put the workspace back, or run "ghostsnap init" on the new directory.',
      };
    case 'EPERM':
    case 'EACCES':
    case 'EROFS':
      return {
        code: 'NOT_PERMITTED',
        message: `A snapshot of ${path} was refused by btrfs (${errno}).`,
        hint: 'Run as the user who owns the workspace, on a filesystem mounted writable.',
      };
    default:
      return {
        code: 'CAPTURE_FAILED',
        message: `Taking a snapshot failed with ${errno}: ${path}`,
        hint: 'Look at the kernel log ("dmesg"), then try again.',
      };
  }
}

const statx = new Statx();

/** In id order. A name that is not on a subvolume's root is foreign, and not listed. */
export function listSnapshotsOnDisk(directory: WorkspaceDirectory): SnapshotOnDisk[] {
  const parentFd = openExisting(directory);
  if (parentFd < 0) return [];
  const found: SnapshotOnDisk[] = [];
  for (const name of readdirSync(directory.path)) {
    if (!isSnapshotId(name) || !isSubvolumeRoot(parentFd, name)) continue;
    const createdAtMs = ulidTimeMs(ulidOf(name));
    found.push({ id: name, createdAtMs, isWhole: isUntouched(parentFd, name) });
  }
  return found.sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** -1: the workspace has no directory (never made, or released). */
export function openExisting(directory: WorkspaceDirectory): number {
  try {
    return directory.fd;
  } catch (error) {
    if (error instanceof GhostsnapError && error.code === 'WORKSPACE_NOT_FOUND') return -1;
    throw error;
  }
}

export function isSubvolumeRoot(parentFd: number, name: string): boolean {
  return statx.isThere(parentFd, name) && statx.ino === SUBVOLUME_ROOT_INO;
}

/** A snapshot that somebody made writable may hold anything: it is not offered as a state to go to. */
function isUntouched(parentFd: number, name: SnapshotId): boolean {
  let fd: number;
  try {
    fd = openAt(parentFd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  } catch (error) {
    // The workspace's root may be closed to its own owner, and its snapshots are with it.
    if (errnoOf(error) === 'EACCES') return true;
    throw toGhostsnapError(error, { what: 'Opening the snapshot', path: name });
  }
  try {
    return isReadOnlySubvolume(fd);
  } finally {
    closeFd(fd);
  }
}

/** Changes with every name that comes or goes: the directory's inode, size and mtime. */
export function snapshotsStampOf(directory: WorkspaceDirectory): string {
  const fd = openExisting(directory);
  return fd < 0 ? '' : stampOf(fd).text;
}

interface Stamp {
  readonly text: string;
  readonly sizeBytes: number;
}

/** The last one: what a snapshot finds is most often what the one before it has left. */
let latest = { text: '', ino: 0, sizeBytes: 0, mtimeNs: 0n };

function stampOf(fd: number): Stamp {
  const { ino, sizeBytes, mtimeNs } = statx.read(fd, '');
  if (ino !== latest.ino || sizeBytes !== latest.sizeBytes || mtimeNs !== latest.mtimeNs) {
    latest = { text: `${ino}.${sizeBytes}.${mtimeNs}`, ino, sizeBytes, mtimeNs };
  }
  return latest;
}

/** btrfs counts each name of a directory twice in its size: whatever else came or went shows there. */
function stampsAround(before: Stamp, after: Stamp, name: string): CreateResult['stamps'] {
  return after.sizeBytes - before.sizeBytes === 2 * name.length
    ? { before: before.text, after: after.text }
    : null;
}

/** The absolute path of a snapshot. @throws GhostsnapError SNAPSHOT_NOT_FOUND */
export function snapshotPath(directory: WorkspaceDirectory, id: SnapshotId): string {
  const parentFd = openExisting(directory);
  if (parentFd >= 0 && isSubvolumeRoot(parentFd, id)) return `${directory.path}/${id}`;
  throw new GhostsnapError('SNAPSHOT_NOT_FOUND', `There is no snapshot ${id} of this workspace.`, {
    data: { snapshot: id, workspace: directory.ref.id },
    hint: 'List the snapshots with "ghostsnap log".',
  });
}

/** Durable on return, and idempotent. */
export function setPin(
  directory: WorkspaceDirectory,
  id: SnapshotId,
  pinned: 'pinned' | 'unpinned',
): void {
  const pins = `${directory.path}/pins`;
  try {
    if (pinned === 'pinned') {
      mkdirSync(pins, { recursive: true, mode: 0o700 });
      closeSync(openSync(`${pins}/${id}`, 'a', 0o600));
    } else {
      rmSync(`${pins}/${id}`, { force: true });
      if (statSync(pins, { throwIfNoEntry: false }) === undefined) return;
    }
    sayStep('pin:changed');
    syncDirectory(pins);
    syncDirectory(directory.path);
    sayStep('pin:durable');
  } catch (error) {
    throw toGhostsnapError(error, { what: 'Writing the pin', path: rawFromText(`${pins}/${id}`) });
  }
}

export function listPins(ref: WorkspaceRef, directory: WorkspaceDirectory): SnapshotId[] {
  try {
    return readdirSync(`${directory.path}/pins`).filter(isSnapshotId).sort();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw toGhostsnapError(error, { what: 'Reading the pins', path: rawFromText(ref.path) });
  }
}
