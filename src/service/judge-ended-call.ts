/**
 * What the operator's policy says of a tool call that ended, and the rollback that it may demand.
 *
 * The end is recorded before anything here begins, so that a judgement that has to wait, or fails, loses
 * no end: the caller repeats its request and is judged then. Looking competes with reads, going back with
 * other turns, and neither with the begins and ends of others. A verdict that was recorded once is the
 * verdict, however often the end is reported.
 */
import type { z } from 'zod';
import type { callVerdict } from '../api/schema/calls.ts';
import { GhostsnapError } from '../core/errors.ts';
import type { CallJudgement } from '../core/event.ts';
import type { CallId } from '../core/ids.ts';
import { verdictForAgent } from '../core/policy/verdict-text.ts';
import type { Judgement } from '../engine/judge-call.ts';
import type { Workspace } from '../engine/workspace-api.ts';

export type CallVerdict = z.output<typeof callVerdict>;

/** Places for the two parts of it. */
export interface JudgingPlaces {
  look<T>(work: (workspace: Workspace) => Promise<T> | T): Promise<T>;
  /** Once it runs, the workspace goes back. */
  turn<T>(work: (workspace: Workspace) => Promise<T>): Promise<T>;
}

/**
 * @returns null: nothing was found, or the states are not kept any more and nothing is known
 * @throws GhostsnapError what waiting for a place throws; what a rollback that is not begun throws
 */
export async function judgeEndedCall(
  call: CallId,
  places: JudgingPlaces,
  signal: AbortSignal,
): Promise<CallVerdict | null> {
  try {
    const looked = await places.look(async (workspace): Promise<CallVerdict | 'turn' | null> => {
      const { judged } = workspace.showCall(call);
      if (judged !== null) return recordedVerdict(judged);
      const judgement = await workspace.judgeCall(call, { act: 'hold', signal });
      return judgement.action === 'rollback' ? 'turn' : verdictOf(judgement);
    });
    if (looked !== 'turn') return looked;
    return verdictOf(await places.turn((workspace) => workspace.judgeCall(call, { signal })));
  } catch (error) {
    if (error instanceof GhostsnapError && error.code === 'SNAPSHOT_NOT_FOUND') return null;
    throw error;
  }
}

function verdictOf(judgement: Judgement): CallVerdict | null {
  const { action, message, rolledBack } = judgement;
  if (action === 'none') return null;
  const findings = judgement.findings.map((finding) => ({
    ...{ rule: finding.rule, action: finding.action, message: finding.message },
  }));
  return { action, message, findings, operation: rolledBack?.operation ?? null };
}

/** The end was reported before; what was said then is said again, from what was kept of it. */
function recordedVerdict({ action, findings, operation }: CallJudgement): CallVerdict {
  const sourced = findings.map((one) => ({ ...one, source: 'user' as const, paths: [] }));
  const outcome = operation === null ? 'failed' : 'done';
  const message = verdictForAgent({ action, findings: sourced }, outcome);
  return { action, message, findings: findings.map((one) => ({ ...one })), operation };
}
