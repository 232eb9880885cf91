/**
 * Taking a snapshot: decide the id, create it on disk, record it.
 *
 * The disk comes first: a snapshot whose record is lost (a kill between the two) is found and adopted
 * by the next open. So the record need only survive this process, and the hot path waits for no fsync
 * of the catalog.
 */
import type { CreateResult, WorkOptions } from '../backend/backend.ts';
import { assert } from '../core/errors.ts';
import type { SnapshotLabels, SnapshotRole } from '../core/event.ts';
import type { SnapshotId } from '../core/ids.ts';
import { adoptArmed, dropArmed } from './arm-snapshot.ts';
import { reconcile } from './reconcile.ts';
import type { WorkspaceSession } from './workspace-session.ts';

export interface TakenSnapshot extends CreateResult {
  readonly id: SnapshotId;
  /** It had been armed. */
  readonly adopted: boolean;
}

/** Inside `session.run`. */
export async function takeSnapshot(
  session: WorkspaceSession,
  role: SnapshotRole,
  labels: SnapshotLabels,
  options: WorkOptions & { readonly onStep?: (label: string) => void } = {},
): Promise<TakenSnapshot> {
  const adopted = tryAdopt(session, role, labels, options.onStep);
  if (adopted !== null) return adopted;
  const id = decideId(session);
  session.isUncertain = true;
  const created = await session.ports.backend.createSnapshot(session.ref, id, options);
  session.decide({ type: 'snapshot-taken', id, role, ...labels }, 'process-crash');
  session.isUncertain = false;
  return { id, uncovered: created.uncovered, adopted: false };
}

/** Inside `session.runSync`. */
export function takeSnapshotSync(
  session: WorkspaceSession,
  role: SnapshotRole,
  labels: SnapshotLabels,
): TakenSnapshot {
  const adopted = tryAdopt(session, role, labels);
  if (adopted !== null) return adopted;
  const id = decideId(session);
  session.isUncertain = true;
  const created = session.ports.backend.createSnapshotSync(session.ref, id);
  session.decide({ type: 'snapshot-taken', id, role, ...labels }, 'process-crash');
  session.isUncertain = false;
  return { id, uncovered: created.uncovered, adopted: false };
}

/** Only what a person or an agent asks for: an operation's own snapshot is part of its intent. */
function tryAdopt(
  session: WorkspaceSession,
  role: SnapshotRole,
  labels: SnapshotLabels,
  onStep?: (label: string) => void,
): TakenSnapshot | null {
  if (session.isUncertain) reconcile(session);
  if (role !== 'ordinary') return null;
  const id = adoptArmed(session, labels, onStep);
  return id === null ? null : { id, uncovered: [], adopted: true };
}

/**
 * An attempt that failed may have left a snapshot that nobody recorded. It is adopted first: otherwise
 * the next id could be the same one, within a millisecond or when the clock stepped back.
 */
function decideId(session: WorkspaceSession): SnapshotId {
  if (session.isUncertain) reconcile(session);
  dropArmed(session);
  const random = session.ports.entropy.ulidRandom();
  const [effect] = session.decide({ type: 'take-snapshot', random }, 'process-crash');
  assert(effect?.type === 'create-snapshot', 'take-snapshot gives one create-snapshot');
  return effect.id;
}
