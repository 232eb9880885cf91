/** Progress of a tool for a client that asked for it, seldom enough to cost nothing. */
import type { ToolExtra } from './confirmation.ts';

/** Milliseconds between two notifications of one call. */
const INTERVAL_MS = 100;

/** Does nothing when the client has not asked. */
export function progressOf(extra: ToolExtra): (done: number, total: number | null) => void {
  const progressToken = extra._meta?.progressToken;
  if (progressToken === undefined) return () => {};
  let lastMs = Number.NEGATIVE_INFINITY;
  let last = -1;
  return (done, total) => {
    const nowMs = performance.now();
    // The protocol wants progress to grow; two halves of an operation may both start at nothing.
    if (done <= last || (nowMs - lastMs < INTERVAL_MS && done !== total)) return;
    lastMs = nowMs;
    last = done;
    const params = { progressToken, progress: done, ...(total === null ? {} : { total }) };
    extra.sendNotification({ method: 'notifications/progress', params }).catch(() => {
      // The client is gone; the call itself will be told so.
    });
  };
}
