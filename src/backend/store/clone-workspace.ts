/**
 * A new workspace from a manifest of another, and ending a workspace together with its tree.
 *
 * A store shares no blocks with live trees it did not clone, so the tree is written out: O(n). It is
 * written beside its path under a name that carries the workspace's id, recorded, and renamed to its path
 * in one step that replaces nothing. Ending goes the same way back: the tree leaves its path in one rename
 * before anything in it is touched.
 */
import { mkdirSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { GhostsnapError } from '../../core/errors.ts';
import type { SnapshotId } from '../../core/ids.ts';
import { type RawName, ROOT_PATH, rawFromText } from '../../core/raw-path.ts';
import type { WorkOptions, WorkspaceRef } from '../backend.ts';
import { placeTaken } from '../place-taken.ts';
import { removeTree } from '../remove-tree.ts';
import { errnoOf, toGhostsnapError } from '../syscall-failure.ts';
import { syncFs } from '../syscalls-data-linux.ts';
import { RENAME_NOREPLACE, renameAt } from '../syscalls-entry-linux.ts';
import { AT_FDCWD, closeFd, O_DIRECTORY, O_RDONLY, openAt } from '../syscalls-linux.ts';
import { extractTree } from '../tree-extract.ts';
import { makeDirectoryDurably, syncDirectory } from './durable-file.ts';
import { objectsPath, workspacePaths } from './store-layout.ts';
import { releaseStoreWorkspace } from './store-workspace.ts';
import { openManifestTree } from './turn-live.ts';
import {
  identityAt,
  newWorkspaceRecord,
  readWorkspaceRecord,
  writeWorkspaceRecord,
} from './workspace-record.ts';

type StepHook = (label: string) => void;

export interface CloneSource {
  readonly ref: WorkspaceRef;
  readonly snapshot: SnapshotId;
}

/** @throws GhostsnapError as `Backend.cloneWorkspace`; INTERRUPTED */
export async function cloneStoreWorkspace(
  source: CloneSource,
  ref: WorkspaceRef,
  options: WorkOptions & { readonly onStep: StepHook },
): Promise<void> {
  const { onStep, ...work } = options;
  using tree = openManifestTree(source.ref, source.snapshot);
  onStep('clone:begin');
  const working = workingPath(ref);
  try {
    mkdirSync(working, { mode: 0o700 });
    await extractTree({ source: tree, paths: [ROOT_PATH], toDirectory: working, ...work });
    // Contents before names: after a power loss no file of the workspace may be empty.
    flush(working);
    onStep('clone:written');
    makeDirectories(ref);
    writeWorkspaceRecord(ref, newWorkspaceRecord({ ...ref, path: working }));
    onStep('clone:recorded');
    rename(working, ref.path);
    onStep('clone:placed');
  } catch (error) {
    throw cloneFailure(error, ref);
  }
}

/** @throws GhostsnapError as `Backend.removeWorkspace` */
export async function removeStoreWorkspace(ref: WorkspaceRef, onStep: StepHook): Promise<void> {
  onStep('remove:begin');
  const record = readWorkspaceRecord(ref);
  if (record !== null && standsAt(ref, record.identities)) rename(ref.path, asidePath(ref));
  onStep('remove:tree-aside');
  await removeBeside(ref, workingPath(ref));
  await removeBeside(ref, asidePath(ref));
  onStep('remove:tree-removed');
  await releaseStoreWorkspace(ref, onStep);
}

function workingPath(ref: WorkspaceRef): string {
  return `${dirname(ref.path)}/.ghostsnap-clone-${ref.id}`;
}

function asidePath(ref: WorkspaceRef): string {
  return `${dirname(ref.path)}/.ghostsnap-removed-${ref.id}`;
}

function makeDirectories(ref: WorkspaceRef): void {
  const paths = workspacePaths(ref.poolRoot, ref.id);
  for (const path of [objectsPath(ref.poolRoot), paths.snapshots, paths.pins, paths.working]) {
    makeDirectoryDurably(path);
  }
}

function standsAt(ref: WorkspaceRef, identities: readonly string[]): boolean {
  try {
    return identities.includes(identityAt(ref.path));
  } catch (error) {
    if (error instanceof GhostsnapError && error.code === 'WORKSPACE_GONE') return false;
    throw error;
  }
}

function flush(path: string): void {
  const fd = openAt(AT_FDCWD, rawFromText(path), O_RDONLY | O_DIRECTORY);
  try {
    syncFs(fd);
  } finally {
    closeFd(fd);
  }
}

/** Both names are in one directory. Durable on return. */
function rename(from: string, to: string): void {
  const parent = dirname(to);
  const parentFd = openAt(AT_FDCWD, rawFromText(parent), O_RDONLY | O_DIRECTORY);
  try {
    const [source, target] = [rawFromText(basename(from)), rawFromText(basename(to))];
    renameAt(parentFd, source, parentFd, target, RENAME_NOREPLACE);
    syncDirectory(parent);
  } finally {
    closeFd(parentFd);
  }
}

async function removeBeside(ref: WorkspaceRef, path: string): Promise<void> {
  const parentFd = openAt(AT_FDCWD, rawFromText(dirname(ref.path)), O_RDONLY | O_DIRECTORY);
  try {
    await removeTree({ parentFd, name: rawFromText(basename(path)) as RawName });
  } finally {
    closeFd(parentFd);
  }
}

function cloneFailure(error: unknown, { path }: WorkspaceRef): Error {
  if (errnoOf(error) === 'EEXIST') return placeTaken(path);
  return toGhostsnapError(error, { what: 'Writing the workspace', path: rawFromText(path) });
}
