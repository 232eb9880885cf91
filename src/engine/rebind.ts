/**
 * A workspace whose directory is somewhere else, or nowhere.
 *
 * Moved: pool and log learn the new path; nothing is destroyed, every step may be repeated, and whoever
 * keeps the register writes it last, so that until then the old state of things holds. Gone for good:
 * the snapshots go with their intent written before, as in a destruction; what stands at the path is
 * somebody else's and is not touched.
 */
import type { Backend, WorkspaceRef } from '../backend/backend.ts';
import { GhostsnapError } from '../core/errors.ts';
import { emptyDraft } from './reconcile.ts';
import { endDeletion } from './recover.ts';
import type { WorkspaceSession } from './workspace-session.ts';

export type StepHook = (label: string) => void;

/** Labels of `onStep`; tests kill the process there. */
export const REBIND_STEPS = ['rebind:pool-written', 'rebind:recorded'] as const;
/** Before the others, where a tree had to be shown at its directory again. */
export const SHOWN_STEP = 'rebind:shown';
export const ABANDON_STEPS = ['abandon:intent-written', 'abandon:recorded'] as const;

/**
 * Inside `session.run`, after recovery, on a workspace that was identified at `ref.path`.
 * @throws GhostsnapError WORKSPACE_GONE, WORKSPACE_REPLACED
 */
export function rebindSession(session: WorkspaceSession, onStep?: StepHook): void {
  const { backend, catalog } = session.ports;
  const { ref } = session;
  backend.rebindWorkspace(ref);
  onStep?.('rebind:pool-written');
  const isKnown = catalog.workspaceRow(ref.id)?.path === ref.path;
  if (!isKnown) session.decide({ type: 'rebind-workspace', path: ref.path }, 'power-loss');
  onStep?.('rebind:recorded');
}

/**
 * Inside `session.run`. Ends a workspace whose tree is gone; the number of snapshots that went.
 * @throws GhostsnapError WORKSPACE_EXISTS when the tree is there
 */
export async function abandonSession(
  session: WorkspaceSession,
  onStep?: StepHook,
): Promise<number> {
  const { backend, entropy } = session.ports;
  assertGone(backend, session.ref);
  const count = backend.listSnapshots(session.ref).length;
  await endInFlight(session);
  const { sequence, status, inFlight } = session.state;
  if (sequence > 0 && status !== 'destroyed' && inFlight === null) {
    const random = entropy.ulidRandom();
    session.decide({ type: 'start-destroy', random, tree: 'kept' }, 'power-loss');
  }
  onStep?.('abandon:intent-written');
  await backend.abandonWorkspace(session.ref, onStep === undefined ? {} : { onStep });
  if (session.state.inFlight?.type === 'destroy') {
    session.decide({ type: 'complete-destroy' }, 'power-loss');
  }
  onStep?.('abandon:recorded');
  return count;
}

/** A turn in flight cannot be finished without a tree; a deletion can. */
async function endInFlight(session: WorkspaceSession): Promise<void> {
  if (session.state.inFlight?.type === 'delete') await endDeletion(session, emptyDraft());
  if (session.state.inFlight?.type === 'turn') {
    session.decide({ type: 'abandon-turn', reason: 'the tree is gone' }, 'power-loss');
  }
}

function assertGone(backend: Backend, ref: WorkspaceRef): void {
  try {
    backend.identify(ref);
  } catch (error) {
    const code = error instanceof GhostsnapError ? error.code : '';
    // No record any more: an earlier attempt was cut off behind it.
    const isGone = ['WORKSPACE_GONE', 'WORKSPACE_REPLACED', 'WORKSPACE_NOT_FOUND'].includes(code);
    if (isGone) return;
    throw error;
  }
  throw new GhostsnapError('WORKSPACE_EXISTS', `The workspace is there, at ${ref.path}`, {
    data: { path: ref.path, workspace: ref.id },
    hint: 'End it with "ghostsnap destroy", which keeps its directory.',
  });
}

/**
 * An init that was cut off before the disk was ready is none. A directory that is gone, with snapshots
 * on disk, is a workspace: a rollback makes it again.
 */
export function assertMade(backend: Backend, ref: WorkspaceRef): void {
  try {
    backend.identify(ref);
  } catch (error) {
    const isGone = error instanceof GhostsnapError && error.code === 'WORKSPACE_GONE';
    if (!isGone || backend.listSnapshots(ref).length === 0) throw error;
  }
}
