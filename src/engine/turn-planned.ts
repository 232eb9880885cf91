/**
 * A turn of single paths that were planned one by one: the order of a turn, with the plan made against
 * the precautionary snapshot.
 *
 * The intent names the paths, so that recovery can take them back to that snapshot; it cannot finish them,
 * as planned contents live in memory. So a failure half-way, here or in a process that died, is taken back.
 */
import type { PlannedPath } from '../backend/backend.ts';
import { assert } from '../core/errors.ts';
import type { SnapshotId } from '../core/ids.ts';
import { displayPath, type RawPath } from '../core/raw-path.ts';
import type { TurnKind } from '../core/state.ts';
import type { RollbackRequest, TurnResult } from './results.ts';
import { takenBack } from './taken-back.ts';
import { recordTurned, takeBack, takePrecautionary, workOf } from './turn-tree.ts';
import type { WorkspaceSession } from './workspace-session.ts';

export interface PlannedTurnRequest extends Omit<RollbackRequest, 'mode'> {
  readonly kind: Extract<TurnKind, 'undo-call'>;
  readonly target: SnapshotId;
  readonly token: string;
  /** `paths`: what the plan lies within; empty: the whole tree. May throw: nothing was touched yet. */
  readonly plan: (precautionary: SnapshotId) => Promise<{
    readonly planned: readonly PlannedPath[];
    readonly paths: readonly RawPath[];
  }>;
}

/** Inside `session.run`. @throws GhostsnapError as `turnTree`; what `plan` throws */
export async function turnPlanned(
  session: WorkspaceSession,
  request: PlannedTurnRequest,
): Promise<TurnResult> {
  const { backend, clock, entropy } = session.ports;
  const { kind, target, token, onStep } = request;
  const startedMs = clock.monotonicMs();
  onStep?.('turn:begin');
  const precautionary = await takePrecautionary(session, { ...request, cursor: null, paths: [] });
  onStep?.('turn:precautionary-taken');
  const { planned, paths } = await request.plan(precautionary);
  session.decide(
    {
      ...{ type: 'start-turn', random: entropy.ulidRandom(), kind, target, precautionary, token },
      ...{ mode: 'in-place', cursor: null, paths: paths.map((path) => displayPath(path)) },
    },
    'power-loss',
  );
  const turn = session.state.inFlight;
  assert(turn?.type === 'turn', 'a started turn is in flight');
  onStep?.('turn:intent-written');
  const chosen = { mode: 'in-place', reason: 'single paths are turned in place' } as const;
  const work = { ...workOf(request), ...(onStep === undefined ? {} : { onStep }) };
  const applied = await backend
    .applyPlanned(session.ref, target, planned, work)
    .catch(async (failure: unknown) => {
      const back = { ...request, cursor: null, paths };
      await takeBack(session, back, { chosen, precautionary, token }, failure);
      throw takenBack(failure, kind);
    });
  onStep?.('turn:tree-turned');
  recordTurned(session, { kind, precautionary, changes: applied.changes });
  onStep?.('turn:completed');
  return {
    ...{ operation: turn.operation, kind, target, precautionary },
    ...{ mode: chosen.mode, modeReason: chosen.reason, changes: applied.changes },
    durationMs: clock.monotonicMs() - startedMs,
    notes: applied.notes.map(({ path, what }) => ({ path: displayPath(path), what })),
  };
}
