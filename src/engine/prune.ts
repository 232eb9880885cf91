/**
 * Pruning by retention: what to keep is decided by pure rules, what goes is deleted here.
 *
 * Never dropped: pins, the newest snapshot, an operation in flight's target and precautionary snapshot,
 * those of the last operations (so that undo keeps working), and where the undo cursor stands.
 */
import type { SnapshotId } from '../core/ids.ts';
import { planRetention } from '../core/retention/plan-retention.ts';
import type { RetentionPolicy } from '../core/retention/policy.ts';
import { deleteSnapshots } from './delete-snapshots.ts';
import type { PruneResult, RetentionDecision } from './results.ts';
import type { WorkspaceSession } from './workspace-session.ts';

/** Operations whose target and precautionary snapshot are kept, newest first. */
const OPERATIONS_PROTECTED = 10;

/** Retention looks again each time the count passes a multiple of this: seldom, and never far behind. */
const PRUNE_EVERY_SNAPSHOTS = 32;

export function isPruneDue(snapshotCount: number): boolean {
  return snapshotCount > 0 && snapshotCount % PRUNE_EVERY_SNAPSHOTS === 0;
}

interface PruneWork {
  /** 'plan': nothing is deleted. */
  readonly act: 'plan' | 'apply';
  readonly onStep?: (label: string) => void;
  readonly signal?: AbortSignal;
}

export interface PruneRequest extends PruneWork {
  readonly policy: RetentionPolicy;
}

/** Inside `session.run`. */
export async function prune(
  session: WorkspaceSession,
  request: PruneRequest,
): Promise<PruneResult> {
  const { clock, backend } = session.ports;
  const startedMs = clock.monotonicMs();
  const decisions = planPrune(session, request.policy);
  const doomed = decisions.filter((decision) => !decision.keep).map((decision) => decision.id);
  if (request.act === 'plan') {
    return { decisions, deleted: [], durationMs: clock.monotonicMs() - startedMs };
  }
  const deleted = await deleteSnapshots(session, {
    ids: doomed,
    rule: 'retention',
    ...(request.onStep === undefined ? {} : { onStep: request.onStep }),
    ...(request.signal === undefined ? {} : { signal: request.signal }),
  });
  await backend.removeReplaced(session.ref);
  return { decisions, deleted, durationMs: clock.monotonicMs() - startedMs };
}

/** Exactly these. Inside `session.run`. @throws GhostsnapError as `deleteSnapshots` */
export async function pruneNamed(
  session: WorkspaceSession,
  request: PruneWork & { readonly ids: readonly SnapshotId[] },
): Promise<PruneResult> {
  const { clock } = session.ports;
  const startedMs = clock.monotonicMs();
  const { ids, act, ...rest } = request;
  const decisions = ids.map((id) => ({ id, keep: false, rule: 'named on the command line' }));
  const deleted =
    act === 'plan' ? [] : await deleteSnapshots(session, { ids, rule: 'named', ...rest });
  return { decisions, deleted, durationMs: clock.monotonicMs() - startedMs };
}

function planPrune(
  session: WorkspaceSession,
  policy: RetentionPolicy,
): readonly RetentionDecision[] {
  const { catalog, clock } = session.ports;
  const snapshots = catalog.listSnapshots(session.ref.id);
  return planRetention({
    snapshots,
    protectedIds: protectedIds(session),
    policy,
    nowMs: clock.nowMs(),
  });
}

function protectedIds(session: WorkspaceSession): ReadonlySet<SnapshotId> {
  const { catalog } = session.ports;
  const { head, inFlight, cursor } = session.state;
  const ids = new Set<SnapshotId>();
  if (head !== null) ids.add(head);
  if (inFlight?.type === 'turn') ids.add(inFlight.target).add(inFlight.precautionary);
  for (const operation of catalog.listOperations(session.ref.id, OPERATIONS_PROTECTED)) {
    ids.add(operation.target).add(operation.precautionary);
  }
  for (const entry of catalog.history(session.ref.id, cursor, cursor + 1)) ids.add(entry.id);
  return ids;
}
