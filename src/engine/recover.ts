/**
 * Recovery: making catalog and disk agree, and ending what a crash left in flight.
 *
 * The disk is the truth. Snapshots that the catalog does not know are adopted, rows whose snapshot is
 * gone are dropped, a turn in flight is finished, a deletion is completed. Recovery may be killed and
 * run again at any point. Before a half-turned tree is turned further, it is snapshotted as it is: the
 * person may have worked on it since.
 */
import { assert } from '../core/errors.ts';
import type { OperationId, SnapshotId } from '../core/ids.ts';
import { parseDisplayPath, type RawPath } from '../core/raw-path.ts';
import type { InFlight } from '../core/state.ts';
import type { RecoveryReport } from './results.ts';
import { NO_LABELS, takeSnapshot } from './take-snapshot.ts';
import type { WorkspaceSession } from './workspace-session.ts';

type Turn = Extract<InFlight, { type: 'turn' }>;

const OPERATIONS_SEARCHED = 8;

interface Draft {
  readonly adopted: SnapshotId[];
  readonly lost: SnapshotId[];
  readonly torn: SnapshotId[];
  readonly finished: OperationId[];
  readonly abandoned: OperationId[];
}

/** Inside `session.run`, on an active workspace. */
export async function recoverSession(session: WorkspaceSession): Promise<RecoveryReport> {
  const draft = emptyDraft();
  await session.ports.backend.recoverWorkspace(session.ref);
  reconcileSnapshots(session, draft);
  await endInFlight(session, draft);
  reconcileSnapshots(session, draft);
  return draft;
}

/**
 * The part of recovery that needs no waiting: catalog and disk agree afterwards. Used alone by the
 * synchronous open.
 */
export function reconcile(session: WorkspaceSession): RecoveryReport {
  const draft = emptyDraft();
  reconcileSnapshots(session, draft);
  return draft;
}

export function emptyReport(): RecoveryReport {
  return emptyDraft();
}

function emptyDraft(): Draft {
  return { adopted: [], lost: [], torn: [], finished: [], abandoned: [] };
}

function reconcileSnapshots(session: WorkspaceSession, draft: Draft): void {
  const { backend, catalog } = session.ports;
  const stamp = backend.snapshotsStamp(session.ref);
  if (stamp === catalog.loadStamp(session.ref.id)) return;
  const known = new Set(catalog.snapshotIds(session.ref.id));
  const whole = new Set<SnapshotId>();
  for (const snapshot of backend.listSnapshots(session.ref)) {
    if (!snapshot.isWhole) draft.torn.push(snapshot.id);
    else whole.add(snapshot.id);
  }
  const dying = session.state.inFlight;
  for (const id of [...whole].sort()) {
    if (known.has(id) || (dying?.type === 'delete' && dying.snapshots.includes(id))) continue;
    session.decide({ type: 'snapshot-taken', id, role: 'adopted', ...NO_LABELS }, 'process-crash');
    draft.adopted.push(id);
  }
  for (const id of known) {
    if (whole.has(id) || (dying?.type === 'delete' && dying.snapshots.includes(id))) continue;
    session.decide({ type: 'snapshot-missing', id }, 'process-crash');
    draft.lost.push(id);
  }
  adoptPins(session, whole);
  catalog.saveStamp(session.ref.id, stamp);
}

/** Pins are on disk beside the snapshots: a catalog that was lost learns them again. */
function adoptPins(session: WorkspaceSession, whole: ReadonlySet<SnapshotId>): void {
  if (session.state.inFlight !== null) return;
  const { backend, catalog } = session.ports;
  for (const id of backend.listPinned(session.ref)) {
    if (whole.has(id) && catalog.snapshot(session.ref.id, id)?.pinned === false) {
      session.decide({ type: 'pin-snapshot', id }, 'process-crash');
    }
  }
}

async function endInFlight(session: WorkspaceSession, draft: Draft): Promise<void> {
  const inFlight = session.state.inFlight;
  if (inFlight === null) return;
  const { backend } = session.ports;
  switch (inFlight.type) {
    case 'turn':
      await endTurn(session, inFlight, draft);
      return;
    case 'delete':
      await backend.deleteSnapshots(session.ref, inFlight.snapshots);
      session.decide({ type: 'complete-delete', rule: 'finished by recovery' }, 'power-loss');
      draft.finished.push(inFlight.operation);
      return;
    case 'destroy':
      await backend.releaseWorkspace(session.ref, {});
      session.decide({ type: 'complete-destroy' }, 'power-loss');
      draft.finished.push(inFlight.operation);
  }
}

async function endTurn(session: WorkspaceSession, turn: Turn, draft: Draft): Promise<void> {
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
  const applied = await backend.applyInPlace(
    session.ref,
    turn.target,
    paths.length === 0 ? {} : { paths },
  );
  complete(session, turn, draft, applied.changes);
}

function complete(
  session: WorkspaceSession,
  turn: Turn,
  draft: Draft,
  changes: number | null,
): void {
  session.decide({ type: 'complete-turn', changes, recovered: true }, 'power-loss');
  draft.finished.push(turn.operation);
}

function abandon(session: WorkspaceSession, turn: Turn, draft: Draft, reason: string): void {
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
