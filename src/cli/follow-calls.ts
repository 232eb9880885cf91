/**
 * Following tool calls as they end, for `log --follow`.
 *
 * The catalog is looked at a few times a second and nothing is read but the newest calls: a follower costs a
 * query of a page each time, whatever the history. It ends with the signal, never by itself.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { CallInfo } from '../engine/call-results.ts';
import type { Workspace } from '../engine/workspace-api.ts';

/** Milliseconds between two looks: soon enough for a person, nothing for the machine. */
const LOOK_EVERY_MS = 400;
/** Calls that may end between two looks and still be told. */
const CALLS_PER_LOOK = 100;
/** Looks that a call that ended waits to be counted before it is told without. */
const LOOKS_FOR_COUNT = 5;

/**
 * Calls that end after the start, oldest first; each once.
 * @param signal ends the following; that is no error
 */
export async function* followCalls(
  workspace: Pick<Workspace, 'listCalls'>,
  signal: AbortSignal,
): AsyncGenerator<CallInfo> {
  /** Looks at which a call had ended; -1: it was told. */
  let seen = new Map<string, number>(ended(workspace).map(({ call }) => [call, TOLD]));
  while (!signal.aborted) {
    const next = new Map<string, number>();
    for (const call of ended(workspace).toReversed()) {
      const looks = seen.get(call.call) ?? 0;
      const isReady = call.changes !== null || call.readOnly || looks >= LOOKS_FOR_COUNT;
      if (looks !== TOLD && isReady) yield call;
      next.set(call.call, looks === TOLD || isReady ? TOLD : looks + 1);
    }
    seen = next;
    await pause(LOOK_EVERY_MS, undefined, { signal }).catch(() => {
      // The only failure of a pause is that it was interrupted, which the loop sees.
    });
  }
}

const TOLD = -1;

function ended(workspace: Pick<Workspace, 'listCalls'>): readonly CallInfo[] {
  return workspace.listCalls({ limit: CALLS_PER_LOOK }).filter(({ outcome }) => outcome !== null);
}
