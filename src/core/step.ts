/**
 * The deterministic core: one command against one workspace's state.
 *
 * `step` is pure: no clock, no randomness, no I/O; time and random bytes are in its arguments. The
 * same state, command and time give the same events and effects. A command that cannot be taken now is
 * a conflict, a value, and changes nothing.
 */
import { decideCall, findCallConflict, isCallCommand } from './call-decisions.ts';
import type { Command, Effect } from './command.ts';
import type { Conflict } from './conflict.ts';
import { assert } from './errors.ts';
import { type Event, type EventBody, eventTrace } from './event.ts';
import { foldEvent } from './fold-event.ts';
import type { OperationId, SnapshotId } from './ids.ts';
import { nextUlid, operationId, snapshotId, ulidOf } from './ids.ts';
import { SNAPSHOTS_PER_WORKSPACE_MAX } from './limits.ts';
import { type InFlight, type KeptTree, turnInFlight, type WorkspaceState } from './state.ts';
import type { TraceContext } from './trace-context.ts';

export type StepResult =
  | {
      readonly ok: true;
      readonly state: WorkspaceState;
      readonly events: readonly Event[];
      readonly effects: readonly Effect[];
    }
  | { readonly ok: false; readonly conflict: Conflict };

interface Decision {
  readonly bodies: readonly EventBody[];
  readonly effects: readonly Effect[];
}

/**
 * @param nowMs milliseconds since the epoch
 * @param trace of whoever gave the command; it becomes part of the events and decides nothing
 */
export function step(
  state: WorkspaceState,
  command: Command,
  nowMs: number,
  trace?: TraceContext,
): StepResult {
  const conflict = findConflict(state, command);
  if (conflict !== null) return { ok: false, conflict };
  const decision = decide(state, command, nowMs);
  let folded = state;
  const events: Event[] = [];
  const tail = trace === undefined ? undefined : { trace: eventTrace(trace) };
  for (const body of decision.bodies) {
    const head = { workspace: state.workspace, sequence: folded.sequence + 1, atMs: nowMs };
    const event: Event = { ...head, ...body, ...tail };
    folded = foldEvent(folded, event);
    events.push(event);
  }
  return { ok: true, state: folded, events, effects: decision.effects };
}

/** Commands that end or mend something are allowed while an operation is in flight. */
const ALLOWED_IN_FLIGHT: ReadonlySet<Command['type']> = new Set([
  'take-snapshot',
  'snapshot-taken',
  'snapshot-missing',
  'disarm-snapshot',
  'complete-turn',
  'abandon-turn',
  'complete-delete',
  'complete-destroy',
]);

function findConflict(state: WorkspaceState, command: Command): Conflict | null {
  if (state.status === 'destroyed') {
    return {
      code: 'WORKSPACE_DESTROYED',
      message: `The workspace ${state.workspace} was destroyed.`,
      hint: 'Protect the directory again with "ghostsnap init".',
    };
  }
  if (state.inFlight !== null && !isAllowedInFlight(state.inFlight, command)) {
    return {
      code: 'OPERATION_IN_FLIGHT',
      message: `The operation ${state.inFlight.operation} has not ended.`,
      hint: 'Finish it or take it back with "ghostsnap recover".',
    };
  }
  const adds = command.type === 'take-snapshot' || command.type === 'arm-snapshot';
  if (adds && state.snapshotCount >= SNAPSHOTS_PER_WORKSPACE_MAX) {
    return {
      code: 'LIMIT_EXCEEDED',
      message: `The workspace holds ${state.snapshotCount} snapshots, the most there may be.`,
      hint: 'Remove some with "ghostsnap prune".',
    };
  }
  if (command.type === 'start-delete') return findDeleteConflict(state, command);
  return findCallConflict(state, command);
}

/**
 * A turn that the disk has no room to end waits for somebody to make some: deleting snapshots must be possible
 * just then.
 */
function isAllowedInFlight(inFlight: InFlight, command: Command): boolean {
  if (ALLOWED_IN_FLIGHT.has(command.type)) return true;
  return command.type === 'start-delete' && inFlight.type === 'turn';
}

function findDeleteConflict(
  state: WorkspaceState,
  command: Extract<Command, { type: 'start-delete' }>,
): Conflict | null {
  const turn = turnInFlight(state);
  const needed = command.ids.find((id) => id === turn?.target || id === turn?.precautionary);
  if (needed !== undefined) {
    return {
      code: 'SNAPSHOT_NEEDED',
      message: `The operation ${turn?.operation} has not ended and needs the snapshot ${needed}.`,
      hint: 'Delete others to make room, then finish it with "ghostsnap recover".',
    };
  }
  const pinned = command.ids.find((id) => command.pinnedIds.includes(id));
  if (pinned === undefined) return null;
  return {
    code: 'SNAPSHOT_PINNED',
    message: `The snapshot ${pinned} is pinned.`,
    hint: `Unpin it first with "ghostsnap unpin ${pinned}".`,
  };
}

function decide(state: WorkspaceState, command: Command, nowMs: number): Decision {
  if (isCallCommand(command)) return { bodies: decideCall(state, command, nowMs), effects: [] };
  switch (command.type) {
    case 'create-workspace':
      assert(state.sequence === 0, 'a workspace is created once');
      return only({ ...command, type: 'workspace.created' });
    case 'activate-workspace':
      return only({ type: 'workspace.activated' });
    case 'rebind-workspace':
      return only({ type: 'workspace.rebound', path: command.path });
    case 'take-snapshot': {
      const id = snapshotId(nextUlid(state.lastUlid, nowMs, command.random));
      return { bodies: [], effects: [{ type: 'create-snapshot', id }] };
    }
    case 'snapshot-taken':
      return only(snapshotCreated(state, command));
    case 'arm-snapshot':
      return armSnapshot(state, snapshotId(nextUlid(state.lastUlid, nowMs, command.random)));
    case 'disarm-snapshot':
      assert(state.armed !== null, 'what is disarmed was armed');
      return only({ type: 'snapshot.disarmed', id: state.armed });
    case 'snapshot-missing':
      return only({ type: 'snapshot.lost', id: command.id });
    case 'start-turn':
      return startTurn(command, newOperation(state, command.random, nowMs));
    case 'complete-turn':
      return only(turnCompleted(state, command));
    case 'abandon-turn':
      assert(state.inFlight?.type === 'turn', 'a turn that is abandoned was started');
      return only({
        type: 'turn.abandoned',
        operation: state.inFlight.operation,
        reason: command.reason,
      });
    case 'start-delete': {
      const operation = newOperation(state, command.random, nowMs);
      const { ids, rule } = command;
      return {
        bodies: [{ type: 'snapshots.deleting', operation, ids, rule }],
        effects: [{ type: 'delete-snapshots', ids }],
      };
    }
    case 'complete-delete': {
      assert(state.inFlight?.type === 'delete', 'a deletion that completes was started');
      const { operation, snapshots: ids } = state.inFlight;
      return only({ type: 'snapshots.deleted', operation, ids, rule: command.rule });
    }
    case 'label-snapshot':
      return only({ type: 'snapshot.labelled', id: command.id, label: command.label });
    case 'pin-snapshot':
      return only({ type: 'snapshot.pinned', id: command.id });
    case 'unpin-snapshot':
      return only({ type: 'snapshot.unpinned', id: command.id });
    case 'start-destroy': {
      const operation = newOperation(state, command.random, nowMs);
      return {
        bodies: [{ type: 'workspace.destroying', operation, ...removedOnly(command.tree) }],
        effects: [{ type: 'release-workspace' }],
      };
    }
    case 'complete-destroy': {
      assert(state.inFlight?.type === 'destroy', 'a destruction that completes was started');
      return only({ type: 'workspace.destroyed', operation: state.inFlight.operation });
    }
  }
}

/** Left out where it says nothing: what was written before there was a choice means the same. */
function removedOnly(tree: KeptTree): { readonly tree?: 'removed' } {
  return tree === 'removed' ? { tree } : {};
}

function armSnapshot(state: WorkspaceState, id: SnapshotId): Decision {
  assert(state.armed === null, 'at most one snapshot is armed');
  return { bodies: [{ type: 'snapshot.armed', id }], effects: [{ type: 'arm-snapshot', id }] };
}

function only(body: EventBody): Decision {
  return { bodies: [body], effects: [] };
}

function newOperation(state: WorkspaceState, random: Uint8Array, nowMs: number): OperationId {
  return operationId(nextUlid(state.lastUlid, nowMs, random));
}

function snapshotCreated(
  state: WorkspaceState,
  command: Extract<Command, { type: 'snapshot-taken' }>,
): EventBody {
  const { id, role, label, tool, session, call } = command;
  return { type: 'snapshot.created', id, role, parent: state.head, label, tool, session, call };
}

function startTurn(
  command: Extract<Command, { type: 'start-turn' }>,
  operation: OperationId,
): Decision {
  const { kind, target, precautionary, mode, cursor, paths, token } = command;
  return {
    bodies: [
      { type: 'turn.started', operation, kind, target, precautionary, mode, cursor, paths, token },
    ],
    effects: [{ type: 'turn-tree', operation, mode }],
  };
}

function turnCompleted(
  state: WorkspaceState,
  command: Extract<Command, { type: 'complete-turn' }>,
): EventBody {
  assert(state.inFlight?.type === 'turn', 'a turn that completes was started');
  const { changes, recovered } = command;
  return { type: 'turn.completed', operation: state.inFlight.operation, changes, recovered };
}

/**
 * The armed snapshot that may become the next one: none when a later id was issued meanwhile, by whatever
 * process, as ids are in the order of the states they name.
 */
export function adoptableSnapshot(state: WorkspaceState): SnapshotId | null {
  const { armed, lastUlid } = state;
  return armed !== null && ulidOf(armed) === lastUlid ? armed : null;
}
