/** Tool calls: begin, end, look. */
import type { z } from 'zod';
import type { callAdvice } from '../api/schema/calls.ts';
import type { InputOf, OutputOf } from '../api/schema/operations.ts';
import { GhostsnapError } from '../core/errors.ts';
import { type CallId, isCallId } from '../core/ids.ts';
import type { Workspace } from '../engine/workspace-api.ts';
import type { CallContext } from './call-context.ts';
import { decodeCursor, encodeCursor } from './page-cursor.ts';
import { begunView, callViewOf } from './wire-views.ts';

type Advice = z.output<typeof callAdvice>;

const PAGE_DEFAULT = 100;

export async function beginCall(
  workspace: Workspace,
  input: InputOf<'beginCall'>,
  { signal, trace }: CallContext,
): Promise<OutputOf<'beginCall'>> {
  const { session, harness, tool, key, readOnly, onSnapshotFailure } = input;
  const begun = await workspace.beginCall({
    ...{ session, harness, tool, key, onSnapshotFailure, signal, trace },
    readOnly: readOnly ? 'yes' : 'no',
    ...(input.input === undefined ? {} : { input: input.input }),
  });
  return begunView(begun);
}

/**
 * What the policy says before the tool runs. The call has begun by then, so that a policy that cannot be
 * asked stops no tool: the agent is told, and so is the log.
 */
export async function adviseOnCall(
  workspace: Pick<Workspace, 'adviseCall'>,
  { call, input }: { readonly call: CallId; readonly input: unknown },
  onError: (error: unknown) => void,
): Promise<Advice | null> {
  try {
    const advice = await workspace.adviseCall(call, input);
    return advice === null ? null : { ...advice };
  } catch (error) {
    if (!(error instanceof GhostsnapError)) throw error;
    onError(error);
    const message = `ghostsnap: the policy could not be asked. ${error.message}`;
    return { action: 'warn', message };
  }
}

/**
 * A call that has ended already with the same outcome has ended: the answer to the first report may have
 * been lost with its process.
 * @throws GhostsnapError CALL_NOT_FOUND
 */
export async function endCall(
  workspace: Workspace,
  { call, outcome }: InputOf<'endCall'>,
): Promise<OutputOf<'endCall'>> {
  try {
    await workspace.endCall({ call, outcome });
  } catch (error) {
    const isUnknown = error instanceof GhostsnapError && error.code === 'CALL_NOT_FOUND';
    if (!isUnknown || workspace.showCall(call).outcome !== outcome) throw error;
  }
  return { call, outcome };
}

export function getCall(workspace: Workspace, input: InputOf<'getCall'>): OutputOf<'getCall'> {
  return callViewOf(workspace.showCall(input.call));
}

export function listCalls(
  workspace: Workspace,
  input: InputOf<'listCalls'>,
): OutputOf<'listCalls'> {
  const { session, cursor, limit = PAGE_DEFAULT } = input;
  const before = cursor === undefined ? undefined : decodeCursor(cursor, parseCallId);
  const found = workspace.listCalls({
    limit: limit + 1,
    ...(session === undefined ? {} : { session }),
    ...(before === undefined ? {} : { before }),
  });
  const calls = found.slice(0, limit).map(callViewOf);
  const last = found.length > limit ? calls.at(-1) : undefined;
  return { calls, nextCursor: last === undefined ? null : encodeCursor(last.call) };
}

function parseCallId(value: unknown): OutputOf<'getCall'>['call'] | null {
  return typeof value === 'string' && isCallId(value) ? value : null;
}
