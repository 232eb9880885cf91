/**
 * A hook that runs as a command: through the daemon, or without one.
 *
 * The daemon has everything warm. When none answers, one is started for the next call and this one is
 * done here: a hook never waits for a start. A daemon that died after it had recorded the call and
 * before it answered does no harm, because a call that is reported twice is one call.
 */
import { parseTraceVariables, traceFields } from '../core/trace-context.ts';
import { askDaemon } from './daemon-client.ts';
import { daemonPlace } from './daemon-place.ts';
import type { Environment } from './home.ts';
import { resolveHome } from './home.ts';
import { isReportedTwice } from './reported-twice.ts';

export interface RunHookRequest {
  readonly harness: string;
  /** '' when the payload says it. */
  readonly event: string;
  readonly body: Uint8Array;
  readonly environment: Environment;
  /** Prints the reply, before anything that nobody waits for. */
  readonly onReply: (stdout: string) => void;
}

export interface HookRun {
  /** Its snapshot is not ready yet, and the harness was told so: this process must end all the same. */
  readonly isOverdue: boolean;
}

/** @throws GhostsnapError BAD_ARGUMENT, BAD_CONFIG, LOCKED; a bug of ours as it is */
export async function runHook(request: RunHookRequest): Promise<HookRun> {
  const { harness, event, body, environment, onReply } = request;
  if (isReportedTwice(harness, environment.env)) return { isOverdue: false };
  const place = daemonPlace(resolveHome(environment), environment);
  const path = `/hook/${encodeURIComponent(harness)}${event === '' ? '' : `/${event}`}`;
  const trace = parseTraceVariables(environment.env);
  const headers = trace === null ? {} : traceFields(trace);
  const reply = await askDaemon(place, { method: 'POST', path, body, headers });
  if (reply?.status === 200) {
    onReply(reply.body);
    return { isOverdue: false };
  }
  return await (await import('./run-hook-here.ts')).runHookHere(request, {
    isDaemonMissing: reply === null,
  });
}
