/**
 * Making the catalog agree with the disk, which is the truth.
 *
 * Snapshots that the catalog does not know are adopted, rows whose snapshot is gone are dropped, pins
 * are learnt again. Synchronous and cheap: a stamp of the disk says when there is nothing to do.
 */
import type { OperationId, SnapshotId } from '../core/ids.ts';
import { reconcileArmed } from './arm-snapshot.ts';
import { NO_LABELS } from './labels.ts';
import type { RecoveryReport, UnfinishedTurn } from './results.ts';
import type { WorkspaceSession } from './workspace-session.ts';

/** A report while it is written. */
export interface RecoveryDraft {
  readonly adopted: SnapshotId[];
  readonly lost: SnapshotId[];
  readonly torn: SnapshotId[];
  readonly finished: OperationId[];
  readonly abandoned: OperationId[];
  unfinished: UnfinishedTurn | null;
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

export function emptyDraft(): RecoveryDraft {
  return { adopted: [], lost: [], torn: [], finished: [], abandoned: [], unfinished: null };
}

export function reconcileSnapshots(session: WorkspaceSession, draft: RecoveryDraft): void {
  const { backend, catalog } = session.ports;
  const before = backend.snapshotsStamp(session.ref);
  // Where something is uncertain the stamp decides nothing: an older kernel's clock ticks so coarsely that
  // a snapshot of a moment later leaves the same one.
  if (!session.isUncertain && before === catalog.loadStamp(session.ref.id)) {
    session.stamp = before;
    return;
  }
  reconcileArmed(session, draft);
  const stamp = backend.snapshotsStamp(session.ref);
  const known = new Set(catalog.snapshotIds(session.ref.id));
  const whole = new Set<SnapshotId>();
  for (const snapshot of backend.listSnapshots(session.ref)) {
    if (!snapshot.isWhole) draft.torn.push(snapshot.id);
    else whole.add(snapshot.id);
  }
  for (const id of [...whole].sort()) {
    // What is being deleted has its row until it is gone.
    if (known.has(id)) continue;
    session.decide({ type: 'snapshot-taken', id, role: 'adopted', ...NO_LABELS }, 'process-crash');
    draft.adopted.push(id);
  }
  const dying = session.state.inFlight;
  for (const id of known) {
    if (whole.has(id) || (dying?.type === 'delete' && dying.snapshots.includes(id))) continue;
    session.decide({ type: 'snapshot-missing', id }, 'process-crash');
    draft.lost.push(id);
  }
  adoptPins(session);
  // The name that adopting gives may be lost with the power, and the directory is then as it is now: no
  // stamp of it may say that there is nothing to look at.
  if (session.state.armed === null) {
    catalog.saveStamp(session.ref.id, stamp);
    session.stamp = stamp;
  }
  session.isUncertain = false;
}

/** Pins are on disk beside the snapshots: a catalog that was lost learns them again. */
function adoptPins(session: WorkspaceSession): void {
  if (session.state.inFlight !== null) return;
  const { backend, catalog } = session.ports;
  for (const id of backend.listPinned(session.ref)) {
    // The rows of what is not there, or not whole, are closed by now.
    if (catalog.snapshot(session.ref.id, id)?.pinned === false) {
      session.decide({ type: 'pin-snapshot', id }, 'process-crash');
    }
  }
}
