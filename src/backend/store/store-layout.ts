/**
 * Where the store keeps what, below the pool's root. Text paths; nothing here touches the disk.
 *
 *   .ghostsnap/objects/          objects of all workspaces of the pool
 *   .ghostsnap/locks/objects     held shared while a snapshot refers to objects, exclusive by the sweep
 *   .ghostsnap/<workspace id>/   workspace.json, snapshots/, pins/, index, working/, opened-modes, scratch/
 */
import type { SnapshotId, WorkspaceId } from '../../core/ids.ts';
import { OPENED_MODES_NAME } from '../opened-modes.ts';

const GHOST_DIRECTORY = '.ghostsnap';

export interface WorkspacePaths {
  readonly root: string;
  readonly record: string;
  readonly snapshots: string;
  readonly pins: string;
  readonly index: string;
  readonly working: string;
  readonly openedModes: string;
}

export function ghostPath(poolRoot: string): string {
  return `${poolRoot}/${GHOST_DIRECTORY}`;
}

export function objectsPath(poolRoot: string): string {
  return `${ghostPath(poolRoot)}/objects`;
}

export function objectsLockPath(poolRoot: string): string {
  return `${ghostPath(poolRoot)}/locks/objects`;
}

export function workspacePaths(poolRoot: string, id: WorkspaceId): WorkspacePaths {
  const root = `${ghostPath(poolRoot)}/${id}`;
  return {
    root,
    record: `${root}/workspace.json`,
    snapshots: `${root}/snapshots`,
    pins: `${root}/pins`,
    index: `${root}/index`,
    working: `${root}/working`,
    openedModes: `${root}/${OPENED_MODES_NAME}`,
  };
}

export function manifestPath(paths: WorkspacePaths, id: SnapshotId): string {
  return `${paths.snapshots}/${id}`;
}
