/**
 * Making a directory a workspace: the first event, the backend's work, the end, a first snapshot.
 *
 * The first event is on disk before the backend touches anything, so that a crash at any point is found
 * by the next `init` or open of the path, which finishes the creation or takes it back.
 */
import type { WorkOptions, WorkspaceRef } from '../backend/backend.ts';
import { NO_LABELS } from './labels.ts';
import { takeSnapshot } from './take-snapshot.ts';
import type { WorkspaceInfo } from './workspace-api.ts';
import type { WorkspaceSession } from './workspace-session.ts';

type WorkHooks = WorkOptions & { onStep?: (label: string) => void };

export interface CreateOptions {
  /** Brings the tree into the pool from another filesystem; null: it stays where it stands. */
  readonly move: ((ref: WorkspaceRef, work: WorkHooks) => Promise<void>) | null;
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
    const make = options.move ?? ((ref, work) => backend.initWorkspace(ref, work));
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
    session.decide({ type: 'start-destroy', random: entropy.ulidRandom() }, 'power-loss');
    session.decide({ type: 'complete-destroy' }, 'power-loss');
    return true;
  });
}
