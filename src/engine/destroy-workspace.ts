/**
 * Ending a workspace: the intent with what becomes of the tree, the backend's work, the end.
 *
 * A crash in between is finished by the next open, the same way that was decided.
 */
import type { WorkOptions } from '../backend/backend.ts';
import type { KeptTree } from '../core/state.ts';
import { dropArmed } from './arm-snapshot.ts';
import { endTree } from './end-tree.ts';
import type { WorkspaceSession } from './workspace-session.ts';

export interface DestroyRequest extends WorkOptions {
  /** Default 'kept'. */
  readonly tree?: KeptTree;
  readonly onStep?: (label: string) => void;
}

/** Inside `session.run`, on an active workspace. @returns how many snapshots went */
export async function destroyWorkspace(
  session: WorkspaceSession,
  request: DestroyRequest,
): Promise<number> {
  const { backend, entropy } = session.ports;
  const { tree = 'kept', ...work } = request;
  // Without a tree no directory would remain, and the snapshots are all there is.
  backend.identify(session.ref);
  if (tree === 'removed') backend.assertRemovable(session.ref);
  const count = session.state.snapshotCount;
  dropArmed(session);
  session.decide({ type: 'start-destroy', random: entropy.ulidRandom(), tree }, 'power-loss');
  await endTree(session, tree, work);
  session.decide({ type: 'complete-destroy' }, 'power-loss');
  return count;
}
