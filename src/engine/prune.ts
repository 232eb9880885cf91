/**
 * Pruning by retention: what to keep is decided by pure rules, what goes is deleted here.
 *
 * Never dropped: pins, the newest snapshot, an operation in flight's target and precautionary snapshot,
 * those of the last operations (so that undo keeps working), where the undo cursor stands, and what a bisect
 * under way needs.
 */
import { GhostsnapError } from '../core/errors.ts';
import type { Event } from '../core/event.ts';
import type { SnapshotId } from '../core/ids.ts';
import {
  DELETE_BATCH_MAX,
  DELETE_HOLD_MS,
  DELETE_LOT_MIN,
  DELETE_ROOM_EVERY,
} from '../core/limits.ts';
import { type BisectUnderWay, bisectNeeds } from '../core/retention/keep-bisected.ts';
import { planRetention } from '../core/retention/plan-retention.ts';
import type { RetentionPolicy } from '../core/retention/policy.ts';
import { turnInFlight } from '../core/state.ts';
import { assertDeletable, type DeleteRequest, deleteSnapshots } from './delete-snapshots.ts';
import { resolveSnapshot } from './resolve-snapshot.ts';
import type { PruneResult, RetentionDecision, UnfinishedTurn } from './results.ts';
import type { WorkOn, WorkspaceSession } from './workspace-session.ts';

/** Operations whose target and precautionary snapshot are kept, newest first. */
const OPERATIONS_PROTECTED = 10;

/** Retention looks again each time the count passes a multiple of this: seldom, and never far behind. */
const PRUNE_EVERY_SNAPSHOTS = 32;
/**
 * It looks at all there are, on the thread that tool calls wait for: where thousands are kept it does so
 * after a share of them has come on top, so that what one snapshot pays for it does not grow with them.
 */
const PRUNE_EVERY_SHARE = 1 / 32;

export function isPruneDue(snapshotCount: number): boolean {
  let every = PRUNE_EVERY_SNAPSHOTS;
  while (every * 2 <= snapshotCount * PRUNE_EVERY_SHARE) every *= 2;
  return snapshotCount > 0 && snapshotCount % every === 0;
}

export interface PruneRequest {
  /** Exactly these. Absent: the rules decide. */
  readonly specs?: readonly string[] | undefined;
  readonly policy: () => RetentionPolicy;
  /** Asked again before each lot: one may begin meanwhile. */
  readonly bisect: () => BisectUnderWay | null;
  /** 'plan': nothing is deleted. */
  readonly act: 'plan' | 'apply';
  /** Alone on the workspace: ends what is in flight as far as it can be, and says what can't. */
  readonly enter: () => Promise<UnfinishedTurn | null>;
  readonly onStep?: ((label: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

interface Plan {
  readonly decisions: readonly RetentionDecision[];
  readonly doomed: readonly SnapshotId[];
  readonly unfinished: UnfinishedTurn | null;
  /** Of the workspace when the rules looked at its snapshots. */
  readonly sequence: number;
}

/** Events between two lots that are read; after more the rules look again. */
const EVENTS_BETWEEN_MAX = 1000;

/** After events of these kinds alone, what the rules let go may still go. */
const LEAVES_PLAN_VALID =
  /^(?:snapshot\.(?:created|armed|disarmed|labelled)|call\.|session\.|prompt\.)/;

/** Snapshots that went; null: the event is of another kind. */
function goneBy(event: Event): readonly SnapshotId[] | null {
  if (event.type === 'snapshot.lost') return [event.id];
  const isDeletion = event.type === 'snapshots.deleting' || event.type === 'snapshots.deleted';
  return isDeletion ? event.ids : null;
}

/**
 * Deletes in lots, each alone on the workspace for a few milliseconds: a snapshot that a tool call waits for
 * comes between two of them. What was pinned or taken as a target meanwhile is looked at again before each lot,
 * and the rules look at all of it again when somebody else deleted: what is left may be the last there is.
 * @throws GhostsnapError SNAPSHOT_PINNED, SNAPSHOT_NEEDED, before anything is deleted; INTERRUPTED, IO: what was
 *   deleted stays deleted
 */
export async function prune(
  session: WorkspaceSession,
  request: PruneRequest,
): Promise<PruneResult> {
  const { clock } = session.ports;
  const startedMs = clock.monotonicMs();
  const isRetention = request.act === 'apply' && request.specs === undefined;
  const { plan, deleted } = await (isRetention
    ? afterRetention(session, () => planAndDelete(session, request))
    : planAndDelete(session, request));
  const { decisions, unfinished } = plan;
  return { decisions, deleted, durationMs: clock.monotonicMs() - startedMs, unfinished };
}

const retentionUnderWay = new WeakMap<WorkspaceSession, Promise<unknown>>();

/**
 * One retention of a session after the other: a person's and the one in the background would delete in turns,
 * and a tool call's snapshot would wait for a lot of each.
 */
async function afterRetention<T>(session: WorkspaceSession, work: () => Promise<T>): Promise<T> {
  const before = retentionUnderWay.get(session);
  const done = before === undefined ? work() : before.then(work, work);
  retentionUnderWay.set(session, done);
  try {
    return await done;
  } finally {
    if (retentionUnderWay.get(session) === done) retentionUnderWay.delete(session);
  }
}

async function planAndDelete(
  session: WorkspaceSession,
  request: PruneRequest,
): Promise<{ readonly plan: Plan; readonly deleted: readonly SnapshotId[] }> {
  const plan = await session.run(alone(request), () => makePlan(session, request));
  const deleted = request.act === 'plan' ? [] : await deleteInLots(session, request, plan);
  return { plan, deleted };
}

function alone({ signal }: PruneRequest): WorkOn {
  return { purpose: 'prune', signal };
}

async function makePlan(session: WorkspaceSession, request: PruneRequest): Promise<Plan> {
  const unfinished = await request.enter();
  const { specs } = request;
  const decisions = specs === undefined ? planPrune(session, request) : namedOnes(session, specs);
  const doomed = decisions.filter(({ keep }) => !keep).map(({ id }) => id);
  // All of them or none: whoever names a pinned one among others hears of it before the first goes. The
  // rules let go of none that is pinned or needed.
  if (specs !== undefined) {
    for (const ids of batchesOf(doomed)) assertDeletable(session, { ids, rule: ruleOf(request) });
  }
  return { decisions, doomed, unfinished, sequence: session.state.sequence };
}

function namedOnes(session: WorkspaceSession, specs: readonly string[]): RetentionDecision[] {
  const { catalog } = session.ports;
  const ids = new Set(specs.map((spec) => resolveSnapshot(catalog, session.ref.id, spec)));
  return [...ids].map((id) => ({ id, keep: false, rule: 'named on the command line' }));
}

function ruleOf({ specs }: PruneRequest): string {
  return specs === undefined ? 'retention' : 'named';
}

function* batchesOf(ids: readonly SnapshotId[]): Generator<readonly SnapshotId[]> {
  for (let from = 0; from < ids.length; from += DELETE_BATCH_MAX) {
    yield ids.slice(from, from + DELETE_BATCH_MAX);
  }
}

async function deleteInLots(
  session: WorkspaceSession,
  request: PruneRequest,
  plan: Plan,
): Promise<readonly SnapshotId[]> {
  const deleted: SnapshotId[] = [];
  const letGo = new Set(plan.doomed);
  let size = DELETE_LOT_MIN;
  let sinceRoom = 0;
  let { doomed, sequence } = plan;
  while (doomed.length > 0) {
    assertNotInterrupted(request.signal);
    size = await session.run(alone(request), async () => {
      await endWhatIsInFlight(session, request, plan);
      if (request.specs === undefined && !isStillValid(session, sequence, letGo)) {
        doomed = stillDoomed(session, request, doomed);
      }
      const asked = doomed.slice(0, size);
      doomed = doomed.slice(size);
      const next = doomed.length > 0 ? 'deletion' : 'none';
      sinceRoom += asked.length;
      const isRoomDue = next === 'none' || sinceRoom >= DELETE_ROOM_EVERY;
      if (isRoomDue) sinceRoom = 0;
      const lot = { ids: asked, next, room: isRoomDue ? 'soon' : 'later' } as const;
      const { done, heldMs } = await deleteLot(session, request, lot);
      deleted.push(...done);
      sequence = session.state.sequence;
      return session.isAwaited ? DELETE_LOT_MIN : nextSize(size, heldMs);
    });
  }
  // What a swap left aside is the way back of one that is not ended.
  const isRuleBased = request.specs === undefined && plan.unfinished === null;
  if (isRuleBased) {
    await session.run(alone(request), () => session.ports.backend.removeReplaced(session.ref));
  }
  return deleted;
}

/** Before the rules look again: a deletion that is ended now takes what they would count. */
async function endWhatIsInFlight(
  session: WorkspaceSession,
  request: PruneRequest,
  plan: Plan,
): Promise<void> {
  const turn = turnInFlight(session.state);
  const isKnown = turn !== null && turn.operation === plan.unfinished?.operation;
  if (session.state.inFlight !== null && !isKnown) await request.enter();
}

async function deleteLot(
  session: WorkspaceSession,
  request: PruneRequest,
  lot: Pick<DeleteRequest, 'ids' | 'next' | 'room'>,
): Promise<{ readonly done: readonly SnapshotId[]; readonly heldMs: number }> {
  const { clock, catalog } = session.ports;
  const startedMs = clock.monotonicMs();
  const isThere = (id: SnapshotId): boolean => catalog.snapshot(session.ref.id, id) !== null;
  const ids = lot.ids.filter(isThere);
  const isNamed = request.specs !== undefined;
  const doomed = isNamed ? ids : stillUnneeded(session, request, ids);
  if (doomed.length > 0) {
    const { onStep } = request;
    const rule = ruleOf(request);
    await deleteSnapshots(session, { ...lot, ids: doomed, rule, onStep });
  }
  // Named ones that somebody else deleted are gone, which is what was asked for.
  return { done: isNamed ? lot.ids : doomed, heldMs: clock.monotonicMs() - startedMs };
}

/**
 * What went meanwhile changes nothing where the rules had let go of all of it: what they kept is still there.
 * So retention of two processes, or of a person and in the background, get on beside each other.
 */
function isStillValid(
  { ports, ref, state }: WorkspaceSession,
  sequence: number,
  letGo: ReadonlySet<SnapshotId>,
): boolean {
  const count = state.sequence - sequence;
  if (count > EVENTS_BETWEEN_MAX) return false;
  const events = ports.catalog.events(ref.id, sequence, count);
  // What happened and can't be read may have been anything.
  if (events.length !== count) return false;
  return events.every((event) => {
    const gone = goneBy(event);
    return gone === null ? LEAVES_PLAN_VALID.test(event.type) : gone.every((id) => letGo.has(id));
  });
}

function stillDoomed(
  session: WorkspaceSession,
  request: PruneRequest,
  ids: readonly SnapshotId[],
): readonly SnapshotId[] {
  const dropped = planPrune(session, request).filter(({ keep }) => !keep);
  const now = new Set(dropped.map(({ id }) => id));
  return ids.filter((id) => now.has(id));
}

function stillUnneeded(
  session: WorkspaceSession,
  request: PruneRequest,
  ids: readonly SnapshotId[],
): SnapshotId[] {
  const { catalog, clock } = session.ports;
  const needed = protectedIds(session);
  const isBisected = bisectNeeds(request.bisect(), clock.nowMs());
  const isPinned = (id: SnapshotId): boolean =>
    catalog.snapshot(session.ref.id, id)?.pinned === true;
  return ids.filter((id) => !needed.has(id) && !isPinned(id) && !isBisected(id));
}

/** Where nobody waited: grows while a lot is short, so that a fast disk is not kept busy with records of lots. */
function nextSize(size: number, heldMs: number): number {
  if (heldMs > DELETE_HOLD_MS) return Math.max(DELETE_LOT_MIN, Math.floor(size / 2));
  return heldMs * 2 < DELETE_HOLD_MS ? Math.min(DELETE_BATCH_MAX, size * 2) : size;
}

function assertNotInterrupted(signal: AbortSignal | undefined): void {
  if (signal?.aborted !== true) return;
  throw new GhostsnapError(
    'INTERRUPTED',
    'Deleting snapshots was interrupted between two of them.',
    {
      hint: 'Run the same command again: it carries on from where it stopped.',
      cause: signal.reason,
    },
  );
}

function planPrune(
  session: WorkspaceSession,
  { policy, bisect }: PruneRequest,
): readonly RetentionDecision[] {
  const { catalog, clock } = session.ports;
  const snapshots = catalog.listSnapshots(session.ref.id);
  return planRetention({
    snapshots,
    protectedIds: protectedIds(session),
    bisect: bisect(),
    policy: policy(),
    nowMs: clock.nowMs(),
  });
}

function protectedIds(session: WorkspaceSession): ReadonlySet<SnapshotId> {
  const { catalog } = session.ports;
  const { head, cursor } = session.state;
  const turn = turnInFlight(session.state);
  const ids = new Set<SnapshotId>();
  if (head !== null) ids.add(head);
  if (turn !== null) ids.add(turn.target).add(turn.precautionary);
  for (const operation of catalog.listOperations(session.ref.id, OPERATIONS_PROTECTED)) {
    ids.add(operation.target).add(operation.precautionary);
  }
  for (const entry of catalog.history(session.ref.id, cursor, cursor + 1)) ids.add(entry.id);
  return ids;
}
