/**
 * Which tool call a person means: a full id, the beginning of one, the agent's own id of the call, or `@`
 * for the last one that may have changed something.
 */
import { GhostsnapError } from '../core/errors.ts';
import type { CallInfo } from '../engine/call-results.ts';
import type { CommandTarget } from './cli-context.ts';

/** Calls looked through for a name that is not a full id. */
const CALLS_SEARCHED = 10_000;
/** Ids named when several are meant. */
const NAMED_MAX = 5;

/** @throws GhostsnapError CALL_NOT_FOUND, AMBIGUOUS_ID */
export async function resolveCall(workspace: CommandTarget, spec: string): Promise<CallInfo> {
  const calls = await workspace.listCalls({ limit: CALLS_SEARCHED });
  if (spec === '@') {
    const last = calls.find(({ readOnly, snapshot }) => !readOnly && snapshot !== null);
    if (last !== undefined) return last;
    throw notFound('No tool call that may change things is recorded.');
  }
  const begins = spec.startsWith('call_') ? spec : `call_${spec.toUpperCase()}`;
  const meant = calls.filter(({ call, key }) => call.startsWith(begins) || key === spec);
  const [first] = meant;
  if (first === undefined) throw notFound(`There is no call ${spec} in this workspace.`);
  if (meant.length === 1) return first;
  const ids = meant.slice(0, NAMED_MAX).map(({ call }) => call);
  throw new GhostsnapError('AMBIGUOUS_ID', `${spec} is the beginning of several calls.`, {
    hint: `Write more of it: ${ids.join(', ')}`,
    data: { spec, ids },
  });
}

function notFound(message: string): GhostsnapError {
  return new GhostsnapError('CALL_NOT_FOUND', message, {
    hint: 'List the calls with "ghostsnap log".',
  });
}
