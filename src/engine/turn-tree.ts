/**
 * Turning the live tree into a snapshot: rollback, restore, undo and redo are this with other targets.
 *
 * Order, and why: a precautionary snapshot first, so that nothing is lost whatever follows; then the
 * intent, durable, so that a crash is finished or taken back; then the tree; then the end. An error or an
 * interruption half-way turns the tree back to the precautionary snapshot. If even that fails, the
 * intent stays in flight, both states are whole on disk, and `recover` goes on.
 */
import type { ApplyResult } from '../backend/backend.ts';
import { assert, GhostsnapError } from '../core/errors.ts';
import type { SnapshotId } from '../core/ids.ts';
import { displayPath, type RawPath } from '../core/raw-path.ts';
import type { TurnKind } from '../core/state.ts';
import { METRIC, OUTCOME, SPAN } from '../core/telemetry-names.ts';
import { type ChosenMode, modeByChanges, settledMode } from './choose-mode.ts';
import { NO_LABELS } from './labels.ts';
import type { RollbackRequest, TurnResult } from './results.ts';
import { takeSnapshot } from './take-snapshot.ts';
import { pathsBack } from './way-back.ts';
import type { WorkspaceSession } from './workspace-session.ts';

export interface TurnRequest extends RollbackRequest {
  readonly kind: TurnKind;
  readonly target: SnapshotId;
  /** Where the undo cursor goes; null makes a new entry. */
  readonly cursor: number | null;
  /** Empty: the whole tree. */
  readonly paths: readonly RawPath[];
}

/** Labelled steps of a turn, in order; a test kills the process at each. */
export const TURN_STEPS = [
  'turn:begin',
  'turn:precautionary-taken',
  'turn:intent-written',
  'turn:tree-turned',
  'turn:completed',
] as const;

/**
 * Inside `session.run`.
 * @throws GhostsnapError SNAPSHOT_NOT_FOUND, UNSUPPORTED_MODE, POOL_FULL, INTERRUPTED, RESTORE_FAILED
 */
export async function turnTree(
  session: WorkspaceSession,
  request: TurnRequest,
): Promise<TurnResult> {
  const { backend, clock } = session.ports;
  const startedMs = clock.monotonicMs();
  request.onStep?.('turn:begin');
  await bringBackRoot(session, request);
  // A swap that is refused takes no snapshot. Where changes are to be counted, it is those between the
  // snapshot and the target, which the turn goes by as well: both are found once.
  const settled = settledTurnMode(session, request);
  const precautionary = await takePrecautionary(session, request);
  const trees = { from: precautionary, to: request.target };
  const chosen = settled ?? (await modeByChanges(backend, session.ref, trees));
  request.onStep?.('turn:precautionary-taken');
  const token =
    chosen.mode === 'swap' ? backend.prepareSwap(session.ref, request.target, precautionary) : '';
  session.decide(
    {
      type: 'start-turn',
      random: session.ports.entropy.ulidRandom(),
      kind: request.kind,
      target: request.target,
      precautionary,
      mode: chosen.mode,
      cursor: request.cursor,
      paths: request.paths.map((path) => displayPath(path)),
      token,
    },
    'power-loss',
  );
  const turn = session.state.inFlight;
  assert(turn?.type === 'turn', 'a started turn is in flight');
  request.onStep?.('turn:intent-written');
  const { telemetry, trace } = session;
  const startNs = telemetry.nowNs();
  const applied = await carryOut(session, request, { chosen, precautionary, token });
  telemetry.span(SPAN.backendTurn, trace, startNs, telemetry.nowNs(), OUTCOME.ok);
  telemetry.count(METRIC.treeChanges, applied.changes);
  request.onStep?.('turn:tree-turned');
  const changes = chosen.mode === 'swap' ? null : applied.changes;
  recordTurned(session, { kind: request.kind, precautionary, changes });
  request.onStep?.('turn:completed');
  return {
    operation: turn.operation,
    kind: request.kind,
    target: request.target,
    precautionary,
    mode: chosen.mode,
    modeReason: chosen.reason,
    changes,
    durationMs: clock.monotonicMs() - startedMs,
    notes: applied.notes.map(({ path, what }) => ({ path: displayPath(path), what })),
  };
}

/**
 * The tree is turned by now. A record that is refused, for want of room mostly, leaves the turn in flight;
 * whoever comes next ends it.
 * @throws GhostsnapError RESTORE_FAILED
 */
export function recordTurned(
  session: WorkspaceSession,
  turned: {
    readonly kind: TurnKind;
    readonly precautionary: SnapshotId;
    readonly changes: number | null;
  },
): void {
  const { kind, precautionary, changes } = turned;
  try {
    session.decide({ type: 'complete-turn', changes, recovered: false }, 'power-loss');
  } catch (failure) {
    const reason = failure instanceof Error ? failure.message : String(failure);
    throw new GhostsnapError(
      'RESTORE_FAILED',
      `The ${kind} was carried out, but that could not be recorded (${reason}). ` +
        `What was there before is ${precautionary}, whole.`,
      { hint: 'Mend the cause, then run "ghostsnap recover".', cause: failure },
    );
  }
}

/** The tool call may have removed the workspace itself: a rollback then begins by making it again. */
async function bringBackRoot(session: WorkspaceSession, request: TurnRequest): Promise<void> {
  const { backend } = session.ports;
  try {
    backend.identify(session.ref);
  } catch (error) {
    const isGone = error instanceof GhostsnapError && error.code === 'WORKSPACE_GONE';
    if (!isGone || request.kind !== 'rollback') throw error;
    await backend.recreateWorkspace(session.ref, request.target);
  }
}

/** A restore of single paths is always in place: an exchange would turn everything. */
function settledTurnMode(session: WorkspaceSession, request: TurnRequest): ChosenMode | null {
  if (request.kind === 'restore') {
    return { mode: 'in-place', reason: 'single paths are restored in place' };
  }
  return settledMode(session.ports.backend, session.ref, request.mode ?? 'auto');
}

export async function takePrecautionary(
  session: WorkspaceSession,
  request: TurnRequest,
): Promise<SnapshotId> {
  const label = `before ${request.kind} to ${request.target}`;
  const taken = await takeSnapshot(
    session,
    'precautionary',
    { ...NO_LABELS, label },
    workOf(request),
  );
  return taken.id;
}

interface Turning {
  readonly chosen: ChosenMode;
  readonly precautionary: SnapshotId;
  readonly token: string;
}

async function carryOut(
  session: WorkspaceSession,
  request: TurnRequest,
  turning: Turning,
): Promise<ApplyResult> {
  const { backend } = session.ports;
  try {
    if (turning.chosen.mode === 'swap') {
      await backend.swapIn(session.ref, request.target, turning.token, stepsOf(request));
      return { changes: 0, notes: [] };
    }
    return await backend.applyInPlace(session.ref, request.target, {
      ...workOf(request),
      ...stepsOf(request),
      since: turning.precautionary,
      ...(request.paths.length === 0 ? {} : { paths: request.paths }),
    });
  } catch (failure) {
    const end = await takeBack(session, request, turning, failure);
    if (end !== 'taken-back') throw carriedOutAllTheSame(request, turning, failure);
    const { takenBack } = await import('./taken-back.ts');
    throw takenBack(failure, request.kind);
  }
}

/** An exchange has no half-way: what failed came after it. */
function carriedOutAllTheSame(
  request: TurnRequest,
  { precautionary }: Turning,
  failure: unknown,
): GhostsnapError {
  const reason = failure instanceof Error ? failure.message : String(failure);
  return new GhostsnapError(
    'RESTORE_FAILED',
    `The ${request.kind} was carried out, but what follows it failed (${reason}). ` +
      `What was there before is ${precautionary}, whole.`,
    { hint: 'Mend the cause; "ghostsnap undo" takes the turn back.', cause: failure },
  );
}

/**
 * Turns back to the precautionary snapshot and records why, or records that an exchange had happened. A
 * failure here leaves the intent in flight.
 */
export async function takeBack(
  session: WorkspaceSession,
  request: TurnRequest,
  turning: Turning,
  failure: unknown,
): Promise<'taken-back' | 'carried-out'> {
  const reason = failure instanceof Error ? failure.message : String(failure);
  try {
    return await backToPrecautionary(session, request, turning);
  } catch (second) {
    throw new GhostsnapError(
      'RESTORE_FAILED',
      `The ${request.kind} failed half-way (${reason}) and could not be taken back. ` +
        `Before: ${turning.precautionary}, wanted: ${request.target}; both are whole.`,
      {
        hint: 'Mend the cause, then run "ghostsnap recover".',
        cause: new AggregateError([failure, second], reason),
      },
    );
  }
}

async function backToPrecautionary(
  session: WorkspaceSession,
  request: TurnRequest,
  turning: Turning,
): Promise<'taken-back' | 'carried-out'> {
  const { backend } = session.ports;
  if (turning.chosen.mode === 'swap') {
    const outcome = await backend.finishSwap(session.ref, request.target, turning.token);
    if (outcome === 'done') {
      session.decide({ type: 'complete-turn', changes: null, recovered: true }, 'power-loss');
      return 'carried-out';
    }
  } else {
    const paths = await pathsBack(session, turning.precautionary, request.paths);
    const back = { ...(paths.length === 0 ? {} : { paths }), links: 'across' } as const;
    await backend.applyInPlace(session.ref, turning.precautionary, back);
  }
  session.decide({ type: 'abandon-turn', reason: 'failed or interrupted' }, 'power-loss');
  return 'taken-back';
}

export function workOf(request: RollbackRequest): {
  onProgress?: (done: number, total: number | null) => void;
  signal?: AbortSignal;
} {
  return {
    ...(request.onProgress === undefined ? {} : { onProgress: request.onProgress }),
    ...(request.signal === undefined ? {} : { signal: request.signal }),
  };
}

function stepsOf(request: RollbackRequest): { onStep?: (label: string) => void } {
  return request.onStep === undefined ? {} : { onStep: request.onStep };
}
