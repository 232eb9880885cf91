/**
 * The life of a workspace in the store: made, recovered, brought back, released.
 *
 * The directory itself is never converted, so making and releasing touch only files of the pool. The
 * record is written last when a workspace is made; a release writes its intent into it first and is
 * finished by whoever comes next.
 */
import { lstatSync, mkdirSync, rmSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { GhostsnapError } from '../../core/errors.ts';
import type { SnapshotId } from '../../core/ids.ts';
import { rawFromText } from '../../core/raw-path.ts';
import type { WorkspaceRef } from '../backend.ts';
import { sayStep } from '../labelled-step.ts';
import { assertNotMovedNearby } from '../moved-nearby.ts';
import { giveBackLeftOpen } from '../opened-modes.ts';
import { errnoOf, toGhostsnapError } from '../syscall-failure.ts';
import { RENAME_NOREPLACE, renameAt, unlinkAt } from '../syscalls-entry-linux.ts';
import {
  AT_FDCWD,
  AT_REMOVEDIR,
  closeFd,
  O_DIRECTORY,
  O_RDONLY,
  openAt,
} from '../syscalls-linux.ts';
import { makeDirectoryDurably, removeFile, syncDirectory } from './durable-file.ts';
import { readManifest, snapshotIdsOnDisk } from './manifest-files.ts';
import { removeScratchCopy } from './scratch.ts';
import { objectsPath, workspacePaths } from './store-layout.ts';
import { moveAside, setAsideKilled, sweep } from './sweep.ts';
import {
  identityAt,
  isOneOf,
  newWorkspaceRecord,
  readWorkspaceRecord,
  replaced,
  requireRecord,
  requireWorkspace,
  writeWorkspaceRecord,
} from './workspace-record.ts';

type StepHook = (label: string) => void;

/** Labels of `onStep`, by operation. */
export const INIT_STEPS = ['init:directories-made', 'init:record-written'] as const;
export const RELEASE_STEPS = [
  'release:intent-written',
  'release:snapshots-moved',
  'release:swept',
  'release:scratch-removed',
  'release:files-removed',
  'release:record-removed',
] as const;

/** @throws GhostsnapError POOL_INSIDE_WORKSPACE, WORKSPACE_GONE, WORKSPACE_REPLACED, POOL_FULL */
export async function initStoreWorkspace(ref: WorkspaceRef, onStep: StepHook): Promise<void> {
  assertApart(ref);
  identityAt(ref.path);
  await recoverStoreWorkspace(ref);
  if (readWorkspaceRecord(ref) !== null) {
    requireWorkspace(ref);
    return;
  }
  const paths = workspacePaths(ref.poolRoot, ref.id);
  try {
    for (const path of [objectsPath(ref.poolRoot), paths.snapshots, paths.pins, paths.working]) {
      makeDirectoryDurably(path);
    }
    onStep('init:directories-made');
    writeWorkspaceRecord(ref, newWorkspaceRecord(ref));
    onStep('init:record-written');
  } catch (error) {
    const path = rawFromText(paths.root);
    throw toGhostsnapError(error, { what: 'Making the workspace in the pool', path });
  }
}

/** A pool inside its workspace would capture itself; a workspace inside the pool would be swept with it. */
function assertApart({ path, poolRoot }: WorkspaceRef): void {
  const ghost = `${poolRoot}/.ghostsnap`;
  if (!isInside(ghost, path) && !isInside(path, ghost)) return;
  throw new GhostsnapError(
    'POOL_INSIDE_WORKSPACE',
    `The pool ${poolRoot} and the workspace ${path} lie inside each other.`,
    { data: { path, pool: poolRoot }, hint: 'Choose a pool outside of the workspace.' },
  );
}

function isInside(path: string, directory: string): boolean {
  return path === directory || path.startsWith(directory === '/' ? '/' : `${directory}/`);
}

/** Finishes a release, takes back half an init, removes what killed snapshots left, sweeps. */
export async function recoverStoreWorkspace(ref: WorkspaceRef): Promise<void> {
  const paths = workspacePaths(ref.poolRoot, ref.id);
  const record = readWorkspaceRecord(ref);
  giveBackLeftOpen({ announcement: paths.openedModes, livePath: ref.path });
  if (record?.phase === 'releasing') {
    await releaseStoreWorkspace(ref, sayStep);
    return;
  }
  setAsideKilled(paths);
  sayStep('recover:set-aside');
  removeFile(`${paths.record}.new`);
  removeFile(`${paths.index}.new`);
  removeComeback(ref);
  await sweep(ref, sayStep);
  sayStep('recover:swept');
  if (record === null && snapshotIdsOnDisk(paths).length === 0) {
    rmSync(paths.root, { recursive: true, force: true });
  }
}

export async function deleteStoreSnapshots(
  ref: WorkspaceRef,
  ids: readonly SnapshotId[],
  onStep: StepHook,
): Promise<void> {
  moveAside(ref, ids, onStep);
  onStep('delete:manifests-moved');
  try {
    await sweep(ref, onStep);
  } catch (error) {
    // The snapshots are gone, and durably so. Snapshots of other workspaces keep the objects' lock
    // busy; what is left is swept with the next deletion or recovery.
    if (!(error instanceof GhostsnapError) || error.code !== 'LOCKED') throw error;
  }
}

/** @throws GhostsnapError LOCKED, IO; call again to finish */
export async function releaseStoreWorkspace(ref: WorkspaceRef, onStep: StepHook): Promise<void> {
  const paths = workspacePaths(ref.poolRoot, ref.id);
  const record = readWorkspaceRecord(ref);
  if (record === null) {
    setAsideKilled(paths);
    await sweep(ref, onStep);
    rmSync(paths.root, { recursive: true, force: true });
    return;
  }
  giveBackLeftOpen({ announcement: paths.openedModes, livePath: ref.path });
  writeWorkspaceRecord(ref, { ...record, phase: 'releasing' });
  onStep('release:intent-written');
  setAsideKilled(paths);
  moveAside(ref, snapshotIdsOnDisk(paths), onStep);
  onStep('release:snapshots-moved');
  await sweep(ref, onStep);
  onStep('release:swept');
  removeComeback(ref);
  await removeScratchCopy(ref);
  onStep('release:scratch-removed');
  // The record goes last: without it nobody would know that the rest is to go.
  for (const path of [paths.snapshots, paths.pins, paths.working, paths.index]) {
    rmSync(path, { recursive: true, force: true });
  }
  onStep('release:files-removed');
  rmSync(paths.root, { recursive: true, force: true });
  onStep('release:record-removed');
  syncDirectory(dirname(paths.root));
}

/** The identities are of the directory, not of its path: they hold at the new one. */
export function rebindStoreWorkspace(ref: WorkspaceRef): void {
  const record = requireWorkspace(ref);
  if (record.path !== ref.path) writeWorkspaceRecord(ref, { ...record, path: ref.path });
}

function comebackName(ref: WorkspaceRef): string {
  return `.ghostsnap-${ref.id}`;
}

/**
 * An empty directory takes the place of the one that is gone, as the same workspace. It is made under
 * another name and recorded first, so a crash never leaves a directory at the path that counts as a
 * replacement; and the last step refuses to replace anything.
 * @throws GhostsnapError WORKSPACE_REPLACED, WORKSPACE_GONE when it was moved, SNAPSHOT_NOT_FOUND,
 *   WORKSPACE_NOT_FOUND
 */
export function recreateStoreWorkspace(ref: WorkspaceRef, target: SnapshotId): void {
  const record = requireRecord(ref);
  readManifest(ref, target);
  removeComeback(ref);
  if (lstatSync(ref.path, { throwIfNoEntry: false }) !== undefined) throw replaced(ref);
  assertNotMovedNearby(ref.path, (at) => isOneOf(record.identities, at));
  const parent = dirname(ref.path);
  const comeback = `${parent}/${comebackName(ref)}`;
  let parentFd = -1;
  try {
    mkdirSync(comeback, { mode: 0o700 });
    const identities = [...record.identities, identityAt(comeback)];
    writeWorkspaceRecord(ref, { ...record, identities });
    parentFd = openAt(AT_FDCWD, rawFromText(parent), O_RDONLY | O_DIRECTORY);
    const name = rawFromText(basename(ref.path));
    renameAt(parentFd, comebackName(ref), parentFd, name, RENAME_NOREPLACE);
    syncDirectory(parent);
  } catch (error) {
    removeComeback(ref);
    if (errnoOf(error) === 'EEXIST') throw replaced(ref);
    const path = rawFromText(ref.path);
    throw toGhostsnapError(error, { what: 'Bringing back the workspace', path });
  } finally {
    if (parentFd >= 0) closeFd(parentFd);
  }
}

/** The empty directory of a comeback that was killed. One that somebody filled is not ours to remove. */
function removeComeback(ref: WorkspaceRef): void {
  try {
    unlinkAt(AT_FDCWD, rawFromText(`${dirname(ref.path)}/${comebackName(ref)}`), AT_REMOVEDIR);
  } catch (error) {
    const passing = ['ENOENT', 'ENOTDIR', 'ENOTEMPTY', 'EACCES', 'EPERM', 'EROFS', 'EBUSY'];
    if (!passing.includes(errnoOf(error))) throw error;
  }
}
