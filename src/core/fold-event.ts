/**
 * Folding events into the state of a workspace.
 *
 * The state is exactly what its events say: replaying the log gives it back byte for byte. Folding
 * never fails on events this program wrote; a gap in the sequence is a failed assertion.
 */
import { assert } from './errors.ts';
import type { Event } from './event.ts';
import { historyStep } from './history.ts';
import type { CallId, OperationId, PromptId, SnapshotId, Ulid, WorkspaceId } from './ids.ts';
import { ulidOf } from './ids.ts';
import { CALLS_IN_FLIGHT_MAX } from './limits.ts';
import { type CallInFlight, type InFlight, turnInFlight, type WorkspaceState } from './state.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Draft = Mutable<WorkspaceState>;

/** The state before the first event. */
export function emptyState(workspace: WorkspaceId): WorkspaceState {
  return {
    workspace,
    status: 'creating',
    sequence: 0,
    lastUlid: '',
    head: null,
    snapshotCount: 0,
    historyLength: 0,
    cursor: 0,
    inFlight: null,
    armed: null,
    calls: [],
  };
}

/** The state after `event`. The argument is not changed. */
export function foldEvent(state: WorkspaceState, event: Event): WorkspaceState {
  assert(event.workspace === state.workspace, 'an event is folded into its own workspace');
  assert(event.sequence === state.sequence + 1, 'events follow each other without a gap');
  const draft: Draft = { ...state, sequence: event.sequence };
  const step = historyStep(state, event);
  if (step !== null) {
    draft.historyLength = step.historyLength;
    draft.cursor = step.cursor;
  }
  applyBody(draft, event);
  assert(draft.cursor >= 0 && draft.cursor <= draft.historyLength, 'the cursor is in the history');
  assert(draft.snapshotCount >= 0, 'the count of snapshots is not negative');
  assert(draft.calls.length <= CALLS_IN_FLIGHT_MAX, 'calls in flight are bounded');
  return draft;
}

export function foldEvents(state: WorkspaceState, events: Iterable<Event>): WorkspaceState {
  let folded = state;
  for (const event of events) folded = foldEvent(folded, event);
  return folded;
}

/** What a destroyed workspace has left, its ids and history apart. */
const DESTROYED = {
  ...{ status: 'destroyed', inFlight: null, head: null, snapshotCount: 0 },
  ...{ armed: null, calls: [] },
} as const satisfies Partial<WorkspaceState>;

function createSnapshot(draft: Draft, event: Extract<Event, { type: 'snapshot.created' }>): void {
  draft.snapshotCount += 1;
  remember(draft, event.id);
  if (event.role === 'ordinary') draft.head = event.id;
  if (draft.armed === event.id) draft.armed = null;
}

function applyBody(draft: Draft, event: Event): void {
  switch (event.type) {
    case 'workspace.created':
      draft.status = 'creating';
      return;
    case 'workspace.activated':
      draft.status = 'active';
      return;
    case 'workspace.destroying':
      draft.inFlight = destroyOf(event);
      remember(draft, event.operation);
      return;
    case 'workspace.destroyed':
      Object.assign(draft, DESTROYED);
      return;
    case 'snapshot.created':
      createSnapshot(draft, event);
      return;
    case 'snapshot.armed':
      draft.armed = event.id;
      remember(draft, event.id);
      return;
    case 'snapshot.disarmed':
      draft.armed = null;
      return;
    case 'snapshot.lost':
      draft.snapshotCount -= 1;
      if (draft.head === event.id) draft.head = null;
      return;
    case 'snapshots.deleting':
      draft.inFlight = deletionOf(draft, event);
      remember(draft, event.operation);
      return;
    case 'snapshots.deleted':
      draft.snapshotCount -= event.ids.length;
      draft.inFlight = turnInFlight(draft);
      if (draft.head !== null && event.ids.includes(draft.head)) draft.head = null;
      return;
    case 'turn.started':
      draft.inFlight = turnOf(event);
      remember(draft, event.operation);
      return;
    case 'turn.completed':
      completeTurn(draft);
      return;
    case 'turn.abandoned':
      abandonTurn(draft);
      return;
    case 'prompt.submitted':
      remember(draft, event.prompt);
      return;
    case 'call.begun':
      draft.calls = [...draft.calls, callOf(event)];
      remember(draft, event.call);
      return;
    case 'call.ended':
      endCall(draft, event.call);
      return;
    case 'session.started':
    case 'session.ended':
    case 'call.measured':
    case 'call.judged':
    case 'change.unattributed':
    case 'workspace.rebound':
    case 'snapshot.labelled':
    case 'snapshot.pinned':
    case 'snapshot.unpinned':
      return;
  }
}

function callOf(event: Extract<Event, { type: 'call.begun' }>): CallInFlight {
  const { call, session, key } = event;
  return { call, session, key };
}

function endCall(draft: Draft, call: CallId): void {
  const others = draft.calls.filter((other) => other.call !== call);
  assert(others.length === draft.calls.length - 1, 'a call that ends was in flight');
  draft.calls = others;
}

function destroyOf(event: Extract<Event, { type: 'workspace.destroying' }>): InFlight {
  const { operation, tree } = event;
  return { type: 'destroy', operation, ...(tree === undefined ? {} : { tree }) };
}

function deletionOf(
  before: Draft,
  { operation, ids: snapshots }: Extract<Event, { type: 'snapshots.deleting' }>,
): InFlight {
  const turn = turnInFlight(before);
  const deletion = { type: 'delete', operation, snapshots } as const;
  return turn === null ? deletion : { ...deletion, during: turn };
}

function turnOf(event: Extract<Event, { type: 'turn.started' }>): InFlight {
  const { operation, kind, target, precautionary, mode, cursor } = event;
  return { type: 'turn', operation, kind, target, precautionary, mode, cursor };
}

function completeTurn(draft: Draft): void {
  const turn = draft.inFlight;
  assert(turn?.type === 'turn', 'a turn that completes was started');
  // These two turn some paths only: the tree still comes from what it was.
  const isPartial = turn.kind === 'restore' || turn.kind === 'undo-call';
  draft.head = isPartial ? turn.precautionary : turn.target;
  if (turn.cursor !== null) draft.cursor = turn.cursor;
  draft.inFlight = null;
}

/** The tree is back at the precautionary snapshot: the cursor stands on its entry. */
function abandonTurn(draft: Draft): void {
  const turn = draft.inFlight;
  assert(turn?.type === 'turn', 'a turn that is abandoned was started');
  if (turn.cursor === null) {
    draft.cursor = draft.historyLength - (turn.kind === 'rollback' ? 2 : 1);
  }
  draft.inFlight = null;
}

function remember(draft: Draft, id: SnapshotId | OperationId | CallId | PromptId): void {
  const ulid: Ulid = ulidOf(id);
  if (ulid > draft.lastUlid) draft.lastUlid = ulid;
}

/** The canonical text of a state: fixed key order, so that equal states are equal bytes. */
export function encodeState(state: WorkspaceState): string {
  return JSON.stringify({
    workspace: state.workspace,
    status: state.status,
    sequence: state.sequence,
    lastUlid: state.lastUlid,
    head: state.head,
    snapshotCount: state.snapshotCount,
    historyLength: state.historyLength,
    cursor: state.cursor,
    inFlight: state.inFlight,
    // Left out where it says nothing: states that were stored before there was arming stay equal.
    ...(state.armed === null ? {} : { armed: state.armed }),
    calls: state.calls,
  });
}
