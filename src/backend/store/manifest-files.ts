/**
 * The manifests of one workspace on disk: what is in `snapshots/` is what exists.
 *
 * Foreign names are ignored and never deleted. A manifest that is torn, or names another snapshot or
 * workspace than its place says, is listed as not whole and never used.
 */
import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
} from 'node:fs';
import { GhostsnapError } from '../../core/errors.ts';
import { isSnapshotId, type SnapshotId, ulidOf, ulidTimeMs } from '../../core/ids.ts';
import { rawFromText } from '../../core/raw-path.ts';
import type { SnapshotOnDisk, WorkspaceRef } from '../backend.ts';
import { errnoOf, toGhostsnapError } from '../syscall-failure.ts';
import { FormatError, toFormatFailure } from './binary-codec.ts';
import { decodeManifest, type Manifest } from './manifest.ts';
import { manifestPath, type WorkspacePaths, workspacePaths } from './store-layout.ts';

/** In id order; empty when the workspace has no directory (never made, or released). */
export function snapshotIdsOnDisk(paths: WorkspacePaths): SnapshotId[] {
  return namesIn(paths.snapshots).filter(isSnapshotId).sort();
}

/** Names in a directory; none when it is not there. */
export function namesIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw toGhostsnapError(error, { what: 'Listing', path: rawFromText(path) });
  }
}

/** @throws GhostsnapError SNAPSHOT_NOT_FOUND, SNAPSHOT_CORRUPT, FORMAT_TOO_NEW */
export function readManifest(ref: WorkspaceRef, id: SnapshotId): Manifest {
  const path = manifestPath(workspacePaths(ref.poolRoot, ref.id), id);
  try {
    const manifest = decodeManifest(readManifestBytes(path));
    if (manifest.snapshot === id && manifest.workspace === ref.id) return manifest;
    throw new FormatError('The manifest is of another snapshot');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') throw notFound(ref, id, error);
    const failure = toFormatFailure(error, path);
    throw toGhostsnapError(failure, { what: 'Reading the manifest', path: rawFromText(path) });
  }
}

/**
 * What else has come to have a snapshot's name is no manifest: of a FIFO nobody would ever end reading.
 * @throws FormatError, and what the system says
 */
export function readManifestBytes(path: string): Buffer {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    if (!fstatSync(fd).isFile()) throw new FormatError('The manifest is no regular file');
    return readFileSync(fd);
  } finally {
    closeSync(fd);
  }
}

function notFound(ref: WorkspaceRef, id: SnapshotId, cause: unknown): GhostsnapError {
  const message = `There is no snapshot ${id} of this workspace.`;
  return new GhostsnapError('SNAPSHOT_NOT_FOUND', message, {
    data: { snapshot: id, workspace: ref.id },
    hint: 'List the snapshots with "ghostsnap log".',
    cause,
  });
}

/** null: it can't be used, whatever the reason. */
export function tryReadManifest(ref: WorkspaceRef, id: SnapshotId): Manifest | null {
  try {
    return readManifest(ref, id);
  } catch (error) {
    if (error instanceof GhostsnapError) return null;
    throw error;
  }
}

/** @throws GhostsnapError IO, LIMIT_EXCEEDED, NOT_PERMITTED for one that can't be read now: it is not torn */
export function listManifests(ref: WorkspaceRef): SnapshotOnDisk[] {
  return snapshotIdsOnDisk(workspacePaths(ref.poolRoot, ref.id)).flatMap((id) => {
    try {
      return { id, createdAtMs: readManifest(ref, id).createdAtMs, isWhole: true };
    } catch (error) {
      // Who takes a failing disk for a torn manifest drops a whole snapshot from the list.
      if (!(error instanceof GhostsnapError)) throw error;
      if (error.kind === 'not-found') return [];
      if (error.kind !== 'corrupt' && error.data.errno !== 'EISDIR') throw error;
      return { id, createdAtMs: ulidTimeMs(ulidOf(id)), isWhole: false };
    }
  });
}

/** Moves with every name that comes or goes. */
export function manifestsStamp(paths: WorkspacePaths): string {
  try {
    const { ino, mtimeNs, size } = statSync(paths.snapshots, { bigint: true });
    return `${ino}.${size}.${mtimeNs}`;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return '';
    throw toGhostsnapError(error, { what: 'Reading', path: rawFromText(paths.snapshots) });
  }
}
