/**
 * Ending what a crash left half-way on disk: init, release, the move into a pool, swaps, deletions.
 *
 * The record's phase says what was under way and the tree at the path how far it had come. Every branch
 * may be cut off and run again. What is not known to be ours is left alone.
 */
import { sayStep } from '../labelled-step.ts';
import { removeEmptyDirectory, sweepWorkingNames } from './delete-snapshots.ts';
import { finishInit, takeBackInit } from './init-workspace.ts';
import { recoverMove } from './move-into-pool.ts';
import { openPlace, uuidAt } from './place.ts';
import {
  abandonOnDisk,
  dissolve,
  isAbandoned,
  isReleased,
  takeBackRelease,
} from './release-workspace.ts';
import { openExisting } from './snapshots.ts';
import { keepInterruptedSwap, removeReplacedTrees } from './swap.ts';
import type { WorkspaceDirectory } from './workspace-directory.ts';
import { readRecord } from './workspace-record.ts';

export async function recoverWorkspaceOnDisk(directory: WorkspaceDirectory): Promise<void> {
  directory.forget();
  if (openExisting(directory) < 0) return;
  if (readRecord(directory.path) === null) {
    removeEmptyDirectory(directory);
    return;
  }
  if (directory.record.reachedBy === 'place') await recoverInPlace(directory);
  else await recoverMove(directory);
  sayStep('recover:phase-ended');
  if (openExisting(directory) < 0) return;
  keepInterruptedSwap(directory);
  sayStep('recover:old-tree-kept');
  await sweepWorkingNames(directory);
  sayStep('recover:swept');
  await removeReplacedTrees(directory);
  sayStep('recover:replaced-removed');
}

async function recoverInPlace(directory: WorkspaceDirectory): Promise<void> {
  const { phase } = directory.record;
  if (phase === 'active') return;
  if (isAbandoned(directory)) {
    await abandonOnDisk(directory, sayStep);
    return;
  }
  using place = openPlace(directory.ref.path);
  switch (phase) {
    case 'converting': {
      const [copy] = directory.record.subvolumes;
      const isExchanged = copy !== undefined && uuidAt(place.parentFd, place.name) === copy;
      if (isExchanged) await finishInit(directory, place, sayStep);
      else await takeBackInit(directory, place);
      return;
    }
    case 'emptying':
      await finishInit(directory, place, sayStep);
      return;
    default:
      if (isReleased(directory, place)) await dissolve(directory, place, sayStep);
      else await takeBackRelease(directory, place);
  }
}
