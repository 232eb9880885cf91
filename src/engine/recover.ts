/**
 * Recovery: making catalog and disk agree, and ending what a crash left in flight.
 *
 * The disk is the truth. Snapshots that the catalog does not know are adopted, rows whose snapshot is
 * gone are dropped, a turn in flight is finished, a deletion is completed. Recovery may be killed and
 * run again at any point. Before a half-turned tree is turned further, it is snapshotted as it is: the
 * person may have worked on it since.
 */
import { assert, GhostsnapError } from '../core/errors.ts';
import type { OperationId } from '../core/ids.ts';
import { parseDisplayPath, type RawPath } from '../core/raw-path.ts';
import { type TurnInFlight, turnInFlight } from '../core/state.ts';
import { NO_LABELS } from './labels.ts';
import { emptyDraft, type RecoveryDraft, reconcileSnapshots } from './reconcile.ts';
import type { RecoveryReport } from './results.ts';
import { takeSnapshot } from './take-snapshot.ts';
import { pathsBack } from './way-back.ts';
import type { WorkspaceSession } from './workspace-session.ts';

const OPERATIONS_SEARCHED = 8;

/** Inside `session.run`, on an active workspace. */
export async function recoverSession(session: WorkspaceSession): Promise<RecoveryReport> {
  const draft = emptyDraft();
  await recoverInto(session, draft);
  return draft;
}

/**
 * As `recoverSession`, but a turn that can't be ended now is reported and stays in flight. Reading goes on,
 * and snapshots that it does not need can be deleted: that is where the room for it comes from.
 */
export async function recoverAsFarAsPossible(session: WorkspaceSession): Promise<RecoveryReport> {
  const draft = emptyDraft();
  try {
    await recoverInto(session, draft);
  } catch (error) {
    const turn = turnInFlight(session.state);
    if (turn === null || !isRoomMissing(error)) throw error;
    draft.unfinished = { operation: turn.operation, reason: error.message };
  }
  return draft;
}

/** A tree that can't be written says so in several ways. Whatever else failed is not helped by deleting. */
function isRoomMissing(error: unknown): error is GhostsnapError {
  return error instanceof GhostsnapError && (error.kind === 'limit' || error.kind === 'io');
}

async function recoverInto(session: WorkspaceSession, draft: RecoveryDraft): Promise<void> {
  await session.ports.backend.recoverWorkspace(session.ref);
  reconcileSnapshots(session, draft);
  await endInFlight(session, draft);
  reconcileSnapshots(session, draft);
}

async function endInFlight(session: WorkspaceSession, draft: RecoveryDraft): Promise<void> {
  const inFlight = session.state.inFlight;
  if (inFlight === null) return;
  switch (inFlight.type) {
    case 'turn':
      await endTurn(session, inFlight, draft);
      return;
    case 'delete':
      await endDeletion(session, draft);
      // The turn that the room was made for.
      await endInFlight(session, draft);
      return;
    case 'destroy':
      await (await import('./end-tree.ts')).endTree(session, inFlight.tree ?? 'kept');
      session.decide({ type: 'complete-destroy' }, 'power-loss');
      draft.finished.push(inFlight.operation);
  }
}

/** Inside `session.run`, with a deletion in flight. */
export async function endDeletion(session: WorkspaceSession, draft: RecoveryDraft): Promise<void> {
  const { inFlight } = session.state;
  assert(inFlight?.type === 'delete', 'a deletion that is ended is in flight');
  await session.ports.backend.deleteSnapshots(session.ref, inFlight.snapshots);
  session.decide({ type: 'complete-delete', rule: 'finished by recovery' }, 'power-loss');
  draft.finished.push(inFlight.operation);
}

async function endTurn(
  session: WorkspaceSession,
  turn: TurnInFlight,
  draft: RecoveryDraft,
): Promise<void> {
  const { backend } = session.ports;
  const intent = findIntent(session, turn.operation);
  if (turn.mode === 'swap') {
    const outcome = await backend.finishSwap(session.ref, turn.target, intent.token);
    if (outcome === 'done') complete(session, turn, draft, null);
    else abandon(session, turn, draft, 'the exchange had not happened');
    return;
  }
  const label = `found half-way through ${turn.operation}`;
  await takeSnapshot(session, 'precautionary', { ...NO_LABELS, label });
  const paths = intent.paths.map((path) => parseDisplayPath(path) as RawPath);
  const within = (some: readonly RawPath[]) => (some.length === 0 ? {} : { paths: some });
  const goBack = async (): Promise<void> => {
    const back = within(await pathsBack(session, turn.precautionary, paths));
    await backend.applyInPlace(session.ref, turn.precautionary, { ...back, links: 'across' });
  };
  // What was to be written was merged in the memory of the process that died.
  if (turn.kind === 'undo-call') {
    await goBack();
    abandon(session, turn, draft, 'merged contents are not kept');
    return;
  }
  // A target that was removed by hand meanwhile cannot be reached any more: then the way is back.
  if (session.ports.catalog.snapshot(session.ref.id, turn.target) === null) {
    await goBack();
    abandon(session, turn, draft, 'the target is gone');
    return;
  }
  const applied = await backend.applyInPlace(session.ref, turn.target, within(paths));
  complete(session, turn, draft, applied.changes);
}

function complete(
  session: WorkspaceSession,
  turn: TurnInFlight,
  draft: RecoveryDraft,
  changes: number | null,
): void {
  session.decide({ type: 'complete-turn', changes, recovered: true }, 'power-loss');
  draft.finished.push(turn.operation);
}

function abandon(
  session: WorkspaceSession,
  turn: TurnInFlight,
  draft: RecoveryDraft,
  reason: string,
): void {
  session.decide({ type: 'abandon-turn', reason }, 'power-loss');
  draft.abandoned.push(turn.operation);
}

function findIntent(
  session: WorkspaceSession,
  operation: OperationId,
): { readonly token: string; readonly paths: readonly string[] } {
  const rows = session.ports.catalog.listOperations(session.ref.id, OPERATIONS_SEARCHED);
  const row = rows.find((candidate) => candidate.operation === operation);
  assert(row !== undefined, 'an operation in flight is in the catalog');
  return row;
}
