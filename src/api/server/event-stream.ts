/**
 * Server-sent events: one event of a workspace after the other, resumable by `Last-Event-ID`.
 *
 * A reader that is slow is waited for, costs what the connection buffers, and is cut off when it takes
 * nothing for long: it comes back for what it has missed. A comment now and then
 * keeps proxies from closing a quiet stream and finds readers that are gone. The stream ends with the
 * connection or with the service; a client comes back with the last id it has seen.
 */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { EventView } from '../schema/operations.ts';

/** Shorter than the idle limits that proxies have. */
const KEEP_ALIVE_MS = 15_000;
/** Milliseconds a client waits before it comes back. */
const RETRY_MS = 2000;

/** Until the signal aborts, or `events` throws: then the stream ends, and the client comes back. */
export async function writeEvents(
  response: ServerResponse,
  events: AsyncIterable<EventView>,
  until: {
    readonly signal: AbortSignal;
    /** Of bytes that wait to be taken; gives back how to let go of them. */
    readonly hold: (bytes: number) => () => void;
  },
): Promise<void> {
  const { signal, hold } = until;
  response.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  response.write(`retry: ${RETRY_MS}\n\n`);
  const keepAlive = setInterval(() => response.write(': \n\n'), KEEP_ALIVE_MS);
  keepAlive.unref();
  try {
    for await (const event of events) {
      // JSON has no line breaks, and a type has none by its schema.
      const text = `id: ${event.sequence}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
      if (!response.write(text)) {
        const taken = hold(text.length);
        try {
          await drained(response, signal);
        } finally {
          taken();
        }
      }
      if (signal.aborted) break;
    }
  } finally {
    clearInterval(keepAlive);
    response.end();
  }
}

async function drained(response: ServerResponse, signal: AbortSignal): Promise<void> {
  try {
    await once(response, 'drain', { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

const SEQUENCE = /^[0-9]{1,15}$/;

/** undefined: there is none, or it is not one of ours. */
export function lastEventId(header: string | string[] | undefined): number | undefined {
  return typeof header === 'string' && SEQUENCE.test(header) ? Number(header) : undefined;
}
