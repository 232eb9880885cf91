/** What an agent is to be told of a call that ended, whatever way the call came. */
import { GhostsnapError } from '../core/errors.ts';
import type { CallId } from '../core/ids.ts';
import type { Workspace } from '../engine/workspace-api.ts';

/**
 * Judges the call, counts what it did, and does what the policy demands.
 * @returns null: nothing is to be told. States that are not kept any more cannot be judged: nothing is
 *   known, and nothing is said.
 */
export async function messageOfCall(
  workspace: Pick<Workspace, 'judgeCall'>,
  call: CallId,
): Promise<string | null> {
  try {
    return (await workspace.judgeCall(call)).message;
  } catch (error) {
    if (error instanceof GhostsnapError && error.code === 'SNAPSHOT_NOT_FOUND') return null;
    throw error;
  }
}
