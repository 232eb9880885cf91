/**
 * A copy of a snapshot to try something in, in the workspace's directory of the pool: `scratch`.
 *
 * It is no snapshot: nothing lists it and recovery leaves it alone, because a command may be running in it.
 * A call that was killed leaves a part of one, which the next call removes as it removes a whole one.
 */
import { closeSync, mkdirSync, openSync } from 'node:fs';
import type { SnapshotId } from '../../core/ids.ts';
import { type RawName, ROOT_PATH, rawFromText } from '../../core/raw-path.ts';
import type { WorkOptions, WorkspaceRef } from '../backend.ts';
import { sayStep } from '../labelled-step.ts';
import { removeTree } from '../remove-tree.ts';
import { errnoOf, toGhostsnapError } from '../syscall-failure.ts';
import { extractTree } from '../tree-extract.ts';
import { workspacePaths } from './store-layout.ts';
import { openManifestTree } from './turn-live.ts';

const NAME = 'scratch';

/** @returns its absolute path @throws GhostsnapError SNAPSHOT_NOT_FOUND, POOL_FULL, INTERRUPTED, IO */
export async function makeScratchCopy(
  ref: WorkspaceRef,
  target: SnapshotId,
  work: WorkOptions,
): Promise<string> {
  using source = openManifestTree(ref, target);
  await removeScratchCopy(ref);
  const path = `${workspacePaths(ref.poolRoot, ref.id).root}/${NAME}`;
  try {
    // For its owner alone until the tree's own mode is given to it, last.
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    throw toGhostsnapError(error, { what: 'Making the directory', path: rawFromText(path) });
  }
  sayStep('scratch:begun');
  await extractTree({ source, paths: [ROOT_PATH], toDirectory: path, ...work });
  sayStep('scratch:made');
  return path;
}

/** One that is not there counts as removed. @throws GhostsnapError NOT_PERMITTED, IO */
export async function removeScratchCopy(ref: WorkspaceRef): Promise<void> {
  const { root } = workspacePaths(ref.poolRoot, ref.id);
  const parentFd = openDirectory(root);
  if (parentFd === null) return;
  try {
    await removeTree({ parentFd, name: NAME as RawName });
    sayStep('scratch:removed');
  } finally {
    closeSync(parentFd);
  }
}

function openDirectory(path: string): number | null {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null;
    throw toGhostsnapError(error, { what: 'Opening the pool', path: rawFromText(path) });
  }
}
