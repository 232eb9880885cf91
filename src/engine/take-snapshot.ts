/**
 * Taking a snapshot: decide the id, create it on disk, record it.
 *
 * The disk comes first: a snapshot whose record is lost (a kill between the two) is found and adopted
 * by the next open. So the record need only survive this process, and the hot path waits for no fsync
 * of the catalog. What was armed and has been overtaken goes behind the snapshot: its removal is a
 * transaction of the filesystem, too, and somebody waits for this one.
 */
import type { CreateResult, WorkOptions } from '../backend/backend.ts';
import type { Command } from '../core/command.ts';
import { assert, GhostsnapError } from '../core/errors.ts';
import type { SnapshotLabels, SnapshotRole } from '../core/event.ts';
import type { SnapshotId } from '../core/ids.ts';
import { METRIC, OUTCOME, outcomeOf, SPAN } from '../core/telemetry-names.ts';
import {
  type Alongside,
  adoptArmed,
  adoptArmedSync,
  dropArmed,
  overtakeArmed,
} from './arm-snapshot.ts';
import { reconcile } from './reconcile.ts';
import type { WorkspaceSession } from './workspace-session.ts';

export interface TakenSnapshot {
  readonly id: SnapshotId;
  readonly uncovered: CreateResult['uncovered'];
  /** It had been armed. */
  readonly adopted: boolean;
}

export interface TakeOptions extends WorkOptions {
  readonly onStep?: (label: string) => void;
  readonly alongside?: Alongside;
}

/** Inside `session.run`. */
export async function takeSnapshot(
  session: WorkspaceSession,
  role: SnapshotRole,
  labels: SnapshotLabels,
  options: TakeOptions = {},
): Promise<TakenSnapshot> {
  if (mayAdopt(session, role)) {
    const adopted = await adoptArmed(session, labels, options);
    if (adopted !== null) return { id: adopted, ...ADOPTED };
  }
  const id = decideId(session);
  session.isUncertain = true;
  const startNs = session.telemetry.nowNs();
  try {
    const created = await session.ports.backend.createSnapshot(session.ref, id, options);
    tellTaken(session, startNs, created);
    const alongside = options.alongside?.(id) ?? [];
    return record(session, { type: 'snapshot-taken', id, role, ...labels }, created, alongside);
  } catch (failure) {
    tellFailed(session, startNs, failure);
    giveWay(session);
    throw failure;
  }
}

/** Inside `session.runSync`. */
export function takeSnapshotSync(
  session: WorkspaceSession,
  role: SnapshotRole,
  labels: SnapshotLabels,
): TakenSnapshot {
  if (mayAdopt(session, role)) {
    const adopted = adoptArmedSync(session, labels);
    if (adopted !== null) return { id: adopted, ...ADOPTED };
  }
  const id = decideId(session);
  session.isUncertain = true;
  const startNs = session.telemetry.nowNs();
  try {
    const created = session.ports.backend.createSnapshotSync(session.ref, id);
    tellTaken(session, startNs, created);
    return record(session, { type: 'snapshot-taken', id, role, ...labels }, created);
  } catch (failure) {
    tellFailed(session, startNs, failure);
    giveWay(session);
    throw failure;
  }
}

function tellTaken(session: WorkspaceSession, startNs: number, created: CreateResult): void {
  const { telemetry, trace } = session;
  const endNs = telemetry.nowNs();
  telemetry.span(SPAN.backendSnapshot, trace, startNs, endNs, OUTCOME.ok);
  telemetry.count(METRIC.snapshotsFresh, 1);
  const { systemCall } = created;
  if (systemCall === undefined || endNs === 0) return;
  const { startMs, endMs } = systemCall;
  telemetry.span(SPAN.snapCreate, trace, startMs * 1e6, endMs * 1e6, OUTCOME.ok);
}

/** What is armed may hold the room that a snapshot did not find. */
function giveWay(session: WorkspaceSession): void {
  try {
    dropArmed(session);
  } catch (error) {
    // The failure of the snapshot is what is told; the next recovery looks for what is armed.
    if (!(error instanceof GhostsnapError)) throw error;
  }
}

function tellFailed(session: WorkspaceSession, startNs: number, failure: unknown): void {
  const { telemetry, trace } = session;
  const outcome = outcomeOf(failure);
  telemetry.span(SPAN.backendSnapshot, trace, startNs, telemetry.nowNs(), outcome);
  if (outcome === OUTCOME.error) telemetry.count(METRIC.snapshotFailures, 1);
}

function record(
  session: WorkspaceSession,
  taken: Extract<Command, { type: 'snapshot-taken' }>,
  { uncovered, stamps }: CreateResult,
  alongside: readonly Command[] = [],
): TakenSnapshot {
  session.decideTogether([...overtakeArmed(session), taken, ...alongside], 'process-crash');
  session.isUncertain = false;
  // Catalog and disk agreed before, and they have changed together.
  session.stamp = stamps !== null && stamps.before === session.stamp ? stamps.after : null;
  return { id: taken.id, uncovered, adopted: false };
}

const ADOPTED = { uncovered: [], adopted: true } as const;

/** Only what a person or an agent asks for: an operation's own snapshot is part of its intent. */
function mayAdopt(session: WorkspaceSession, role: SnapshotRole): boolean {
  if (session.isUncertain) reconcile(session);
  return role === 'ordinary';
}

/**
 * An attempt that failed may have left a snapshot that nobody recorded. It is adopted first: otherwise
 * the next id could be the same one, within a millisecond or when the clock stepped back.
 */
function decideId(session: WorkspaceSession): SnapshotId {
  if (session.isUncertain) reconcile(session);
  const random = session.ports.entropy.ulidRandom();
  const [effect] = session.decide({ type: 'take-snapshot', random }, 'process-crash');
  assert(effect?.type === 'create-snapshot', 'take-snapshot gives one create-snapshot');
  return effect.id;
}
