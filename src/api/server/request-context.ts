/**
 * What comes with a request beside its input: trace, deadline, the caller's presence, idempotency key.
 *
 * The signal aborts when the caller closes the stream before its answer and when the deadline passes. A
 * deadline is a header with the milliseconds that the caller still waits, so that no clocks are compared.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyReply } from 'fastify';
import { GhostsnapError } from '../../core/errors.ts';
import { parseTraceContext } from '../../core/trace-context.ts';
import type { CallContext } from '../../service/call-context.ts';

/** Milliseconds that the caller still waits. */
export const TIMEOUT_HEADER = 'ghostsnap-timeout-ms';

const MILLISECONDS = /^[0-9]{1,8}$/;

export interface RequestContext extends CallContext, Disposable {}

/** @throws GhostsnapError BAD_ARGUMENT */
export function requestContext(headers: IncomingHttpHeaders, reply: FastifyReply): RequestContext {
  const timeoutMs = parseTimeout(headers[TIMEOUT_HEADER]);
  const abort = new AbortController();
  const onClose = (): void => {
    // Whether it was answered, not whether that has left: a stream of HTTP/2 that was reset has "finished".
    if (!reply.raw.writableEnded) abort.abort();
  };
  reply.raw.once('close', onClose);
  const timer =
    timeoutMs === undefined ? undefined : setTimeout(() => abort.abort(tooLate()), timeoutMs);
  const { traceparent, tracestate, baggage, 'idempotency-key': key } = headers;
  return {
    trace: parseTraceContext({ traceparent, tracestate, baggage: textOf(baggage) }) ?? undefined,
    deadline: timeoutMs === undefined ? undefined : performance.now() + timeoutMs,
    signal: abort.signal,
    idempotencyKey: typeof key === 'string' ? key : undefined,
    [Symbol.dispose]: () => {
      clearTimeout(timer);
      reply.raw.removeListener('close', onClose);
    },
  };
}

function textOf(header: unknown): string | undefined {
  return typeof header === 'string' ? header : undefined;
}

function parseTimeout(text: string | string[] | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (typeof text === 'string' && MILLISECONDS.test(text)) return Number(text);
  throw new GhostsnapError('BAD_ARGUMENT', `The header ${TIMEOUT_HEADER} is no whole number.`, {
    hint: 'Send the milliseconds that you still wait.',
  });
}

function tooLate(): GhostsnapError {
  return new GhostsnapError('DEADLINE_EXCEEDED', 'The deadline of the request has passed.', {
    hint: 'Ask again with more time; a change is repeated with the same idempotency key.',
  });
}
