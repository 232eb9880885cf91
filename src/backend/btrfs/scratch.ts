/**
 * A writable clone of a snapshot to try something in, beside the snapshots: `scratch`.
 *
 * It is no snapshot and no working name: nothing lists it, recovery leaves it alone, because a command may
 * be running in it. It goes with the next one, with `removeScratch`, and with the workspace.
 */
import type { SnapshotId } from '../../core/ids.ts';
import { sayStep } from '../labelled-step.ts';
import { removeIn } from './remove-subvolume.ts';
import { isSubvolumeRoot, openExisting, snapshotPath } from './snapshots.ts';
import { makeClone } from './swap.ts';
import type { WorkspaceDirectory } from './workspace-directory.ts';

const NAME = 'scratch';

/** @returns its absolute path @throws GhostsnapError SNAPSHOT_NOT_FOUND, POOL_FULL, as `removeScratch` */
export async function makeScratchClone(
  directory: WorkspaceDirectory,
  target: SnapshotId,
): Promise<string> {
  snapshotPath(directory, target);
  await removeScratchClone(directory);
  await makeClone(directory, target, NAME);
  sayStep('scratch:made');
  return `${directory.path}/${NAME}`;
}

/** @throws GhostsnapError WORKSPACE_NESTED when something is mounted in it, NOT_PERMITTED, IO */
export async function removeScratchClone(directory: WorkspaceDirectory): Promise<void> {
  const parentFd = openExisting(directory);
  // Whatever else may carry this name was not made here, and is left alone.
  if (parentFd < 0 || !isSubvolumeRoot(parentFd, NAME)) return;
  await removeIn(directory, NAME);
  sayStep('scratch:removed');
}
