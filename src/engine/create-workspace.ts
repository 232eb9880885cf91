/**
 * Making a directory a workspace: the first event, the backend's work, the end, a first snapshot.
 *
 * The first event is on disk before the backend touches anything, so that a crash at any point is found
 * by the next `init` or open of the path, which finishes the creation or takes it back.
 */
import type { WorkOptions, WorkspaceRef } from '../backend/backend.ts';
import type { KeptTree } from '../core/state.ts';
import { NO_LABELS } from './labels.ts';
import { takeSnapshot } from './take-snapshot.ts';
import type { WorkspaceInfo } from './workspace-api.ts';
import type { WorkspaceSession } from './workspace-session.ts';

type WorkHooks = WorkOptions & { onStep?: (label: string) => void };

export interface CreateOptions {
  /** How the tree becomes a workspace: it moves into the pool, or is cloned; null: where it stands. */
  readonly make: ((ref: WorkspaceRef, work: WorkHooks) => Promise<void>) | null;
  readonly work: WorkHooks;
}

export async function createWorkspace(
  session: WorkspaceSession,
  info: WorkspaceInfo,
  options: CreateOptions,
): Promise<void> {
  const { backend } = session.ports;
  const { path, backend: kind, pool } = info;
  await session.run({ purpose: 'init' }, async () => {
    session.decide({ type: 'create-workspace', path, backend: kind, pool }, 'power-loss');
    const make = options.make ?? ((ref, work) => backend.initWorkspace(ref, work));
    await make(session.ref, options.work);
    session.decide({ type: 'activate-workspace' }, 'power-loss');
    const labels = { ...NO_LABELS, label: 'init' };
    await takeSnapshot(session, 'ordinary', labels, options.work);
  });
}

/** After a failed creation. True: nothing is left of it; false: it had come so far that it stays. */
export async function takeBackCreation(session: WorkspaceSession): Promise<boolean> {
  return await session.run({ purpose: 'take back init' }, async () => {
    const { backend, entropy } = session.ports;
    if (session.state.status === 'active') return false;
    await backend.recoverWorkspace(session.ref);
    if (session.state.sequence === 0) return true;
    endCreation(session, entropy.ulidRandom(), 'kept');
    return true;
  });
}

/** After a clone that failed, here or in a process that died: as `takeBackCreation`, its tree goes too. */
export async function takeBackClone(session: WorkspaceSession): Promise<boolean> {
  return await session.run({ purpose: 'take back a clone' }, async () => {
    const { backend, entropy } = session.ports;
    if (session.state.status === 'active') return false;
    await backend.removeWorkspace(session.ref);
    const { sequence, status } = session.state;
    if (sequence > 0 && status !== 'destroyed') {
      endCreation(session, entropy.ulidRandom(), 'removed');
    }
    return true;
  });
}

function endCreation(session: WorkspaceSession, random: Uint8Array, tree: KeptTree): void {
  session.decide({ type: 'start-destroy', random, tree }, 'power-loss');
  session.decide({ type: 'complete-destroy' }, 'power-loss');
}
