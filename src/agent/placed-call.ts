/**
 * One tool call in every workspace that it is known to reach; mostly that is one.
 *
 * Each has its snapshot before the tool runs. Where one of them could take none the tool does not run, and the
 * others' logs say so.
 */
import { GhostsnapError } from '../core/errors.ts';
import type { BeginCallRequest, BegunCall } from '../engine/call-results.ts';
import type { CallAdvice, Workspace } from '../engine/workspace-api.ts';

export interface PlacedCall {
  readonly workspace: Workspace;
  readonly begun: BegunCall;
}

/** @throws GhostsnapError what beginning throws in the first that could not */
export async function beginInAll(
  workspaces: readonly Workspace[],
  request: BeginCallRequest,
): Promise<readonly PlacedCall[]> {
  const calls: PlacedCall[] = [];
  try {
    for (const workspace of workspaces) {
      calls.push({ workspace, begun: await workspace.beginCall(request) });
    }
    return calls;
  } catch (error) {
    await takeBack(calls);
    throw error;
  }
}

/** It did not run. @throws GhostsnapError when that cannot be recorded */
export async function endBlocked(calls: readonly PlacedCall[]): Promise<void> {
  for (const { workspace, begun } of calls) {
    await workspace.endCall({ call: begun.call, outcome: 'blocked' });
  }
}

async function takeBack(calls: readonly PlacedCall[]): Promise<void> {
  try {
    await endBlocked(calls);
  } catch (error) {
    // The agent is told of the failure that stopped its call; without an end it ends as unknown.
    if (!(error instanceof GhostsnapError)) throw error;
  }
}

/** What the policies of all say before the tool runs; the strongest counts. */
export async function adviseInAll(
  calls: readonly PlacedCall[],
  input: unknown,
): Promise<CallAdvice | null> {
  const given: CallAdvice[] = [];
  for (const { workspace, begun } of calls) {
    const advice = await workspace.adviseCall(begun.call, input);
    if (advice !== null) given.push(advice);
  }
  const [first] = given;
  if (first === undefined) return null;
  const action = given.some((advice) => advice.action === 'ask') ? 'ask' : first.action;
  const messages = given.filter((advice) => advice.action === action).map(({ message }) => message);
  return { action, message: [...new Set(messages)].join('\n') };
}
