/**
 * `ghostsnap/client`: the service's operations as functions, from the same table and schemas.
 *
 * Every change carries an idempotency key that stays the same when it is sent again, and so every
 * operation may be: the service gives the first answer once more. It is sent again when the service says
 * that it makes sense (busy, stopping) or when no answer came, within a budget and never past the
 * deadline. An error is the GhostsnapError that the service made, whatever machine it came from; one
 * that had no answer is UNREACHABLE. No native code, nothing but Node.
 */
import { randomUUID } from 'node:crypto';
import type { z } from 'zod';
import { ERROR_CODES, type ErrorCode, GhostsnapError } from '../../core/errors.ts';
import { ROUTES, type Route } from '../routes.ts';
import type { EventView, OPERATIONS, OperationName, OutputOf } from '../schema/operations.ts';
import { type ClientCredentials, Http2Pool } from './http2-pool.ts';
import { requestOf } from './request-of.ts';
import { RetryBudget, retryAfterOf } from './retry-policy.ts';
import { serverSentEvents } from './server-sent-events.ts';
import { NoAnswer, type Transport, type WireReply, type WireRequest } from './transport.ts';

export type { ClientCredentials };

export type InputFor<Name extends OperationName> = z.input<(typeof OPERATIONS)[Name]['input']>;

export interface RequestOptions {
  /** Milliseconds for everything, repeats included; 30,000 without it. The service is told. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Of a change: its own, to be the same when a program asks again after a crash. */
  readonly idempotencyKey?: string;
  /** W3C trace context, passed on as it is. */
  readonly traceparent?: string;
  readonly tracestate?: string;
  readonly baggage?: string;
}

type Methods = {
  readonly [Name in OperationName]: (
    input: InputFor<Name>,
    options?: RequestOptions,
  ) => Promise<OutputOf<Name>>;
};

export interface Client extends Methods, AsyncDisposable {
  /** Events after a sequence and then each as it happens; a broken stream is taken up where it broke. */
  followEvents(
    input: { readonly workspace: string; readonly after?: number },
    options?: Omit<RequestOptions, 'timeoutMs' | 'idempotencyKey'>,
  ): AsyncIterable<EventView>;
  close(): Promise<void>;
}

export interface ClientOptions {
  /** `https://host:port`; several are taken in turn. */
  readonly endpoints: readonly string[];
  readonly tls: ClientCredentials;
  readonly timeoutMs?: number;
}

/** What a client asks of its machine: handed in, so that time and chance can be a test's. */
export interface ClientPorts {
  readonly transport: Transport;
  /** Milliseconds that only grow. */
  readonly nowMs: () => number;
  /** From 0 to 1. */
  readonly random: () => number;
  readonly newKey: () => string;
  /** Calls back once, unless it was cancelled. */
  readonly after: (ms: number, run: () => void) => () => void;
}

/** Milliseconds that the caller still waits, for the service. */
const TIMEOUT_HEADER = 'ghostsnap-timeout-ms';

const TIMEOUT_MS = 30_000;

export function createClient(options: ClientOptions): Client {
  const nowMs = (): number => performance.now();
  const transport = new Http2Pool({ endpoints: options.endpoints, tls: options.tls, nowMs });
  const after = (ms: number, run: () => void): (() => void) => {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  };
  const ports = { transport, nowMs, random: Math.random, newKey: randomUUID, after };
  return clientOver(ports, options.timeoutMs ?? TIMEOUT_MS);
}

/** The client over any transport. */
export function clientOver(ports: ClientPorts, timeoutMs: number): Client {
  const caller = new Caller(ports, timeoutMs);
  const operations = ROUTES.filter(({ operation }) => operation !== 'followEvents');
  const methods = Object.fromEntries(
    operations.map((route) => [
      route.operation,
      (input: Readonly<Record<string, unknown>>, options: RequestOptions = {}) =>
        caller.call(route, input, options),
    ]),
  );
  const close = async (): Promise<void> => await ports.transport.close();
  return {
    ...(methods as unknown as Methods),
    followEvents: (input, options = {}) => caller.follow(input, options),
    close,
    [Symbol.asyncDispose]: close,
  };
}

class Caller {
  readonly #ports: ClientPorts;
  readonly #timeoutMs: number;
  readonly #budget: RetryBudget;

  constructor(ports: ClientPorts, timeoutMs: number) {
    this.#ports = ports;
    this.#timeoutMs = timeoutMs;
    this.#budget = new RetryBudget(ports);
  }

  async call(
    route: Route,
    input: Readonly<Record<string, unknown>>,
    options: RequestOptions,
  ): Promise<unknown> {
    const deadlineMs = this.#ports.nowMs() + (options.timeoutMs ?? this.#timeoutMs);
    const request = { ...requestOf(route, input), headers: this.#headersOf(route, options) };
    const deadline = new AbortController();
    const cancel = this.#ports.after(deadlineMs - this.#ports.nowMs(), () =>
      deadline.abort(tooLate(route)),
    );
    const signal =
      options.signal === undefined
        ? deadline.signal
        : AbortSignal.any([deadline.signal, options.signal]);
    this.#budget.request();
    try {
      return await this.#try(request, { route, deadlineMs, signal });
    } catch (error) {
      throw options.signal?.aborted === true ? interrupted(route, error) : error;
    } finally {
      cancel();
    }
  }

  async #try(request: WireRequest, about: Trying): Promise<unknown> {
    for (let attempt = 1; ; attempt += 1) {
      const leftMs = Math.ceil(about.deadlineMs - this.#ports.nowMs());
      const headers = { ...request.headers, [TIMEOUT_HEADER]: String(Math.max(1, leftMs)) };
      const outcome = await this.#once({ ...request, headers }, about.signal);
      if ('value' in outcome) return outcome.value;
      // A connection that was told to go has a successor: no cause to wait, and no load on the service.
      if (outcome.isMovedOn && attempt === 1) continue;
      const waitMs = outcome.isRetryable
        ? this.#budget.retryAfterMs(attempt, outcome.retryAfterMs)
        : null;
      if (waitMs === null) throw outcome.error;
      try {
        if (this.#ports.nowMs() + waitMs >= about.deadlineMs) throw outcome.error;
        await this.#wait(waitMs, about.signal);
      } finally {
        this.#budget.waited();
      }
    }
  }

  async #once(request: WireRequest, signal: AbortSignal): Promise<Outcome> {
    let reply: WireReply;
    try {
      reply = await this.#ports.transport.send(request, signal);
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      // Changes carry their key, so that also one that was perhaps begun may be sent again.
      return { ...failed(unreachable(error)), isRetryable: true, isMovedOn: error.isMovedOn };
    }
    if (reply.status < 300) return { value: jsonOf(reply) };
    const { error, isRetryable } = problemOf(reply);
    const retryAfterMs = retryAfterOf(reply.headers['retry-after']);
    return { ...failed(error), isRetryable, retryAfterMs };
  }

  /** Each event once and in order, across as many streams as it takes. */
  async *follow(
    input: { readonly workspace: string; readonly after?: number },
    options: Omit<RequestOptions, 'timeoutMs' | 'idempotencyKey'>,
  ): AsyncGenerator<EventView> {
    const route = ROUTES.find(({ operation }) => operation === 'followEvents');
    if (route === undefined) throw new Error('The table of routes has no stream of events.');
    const signal = options.signal ?? new AbortController().signal;
    let after = input.after ?? 0;
    for (let attempt = 0; ; attempt += 1) {
      try {
        const base = requestOf(route, { workspace: input.workspace, after });
        const headers = { ...this.#headersOf(route, options), 'last-event-id': String(after) };
        const {
          status,
          chunks,
          headers: head,
        } = await this.#ports.transport.stream(
          { ...base, headers: { ...headers, accept: 'text/event-stream' } },
          signal,
        );
        if (status !== 200) throw await refusedStream(status, head, chunks);
        for await (const { data } of serverSentEvents(chunks)) {
          const event = JSON.parse(data) as EventView;
          if (event.sequence <= after) continue;
          attempt = 0;
          after = event.sequence;
          yield event;
        }
      } catch (error) {
        if (signal.aborted) return;
        if (!mayFollowAgain(error)) throw error;
      }
      const pauseMs = this.#ports.random() * Math.min(30_000, 1000 * 2 ** attempt);
      // Given up while it waits is given up while it reads: an end, and no error.
      await this.#wait(pauseMs, signal).catch(() => undefined);
      if (signal.aborted) return;
    }
  }

  #headersOf(
    { effect }: Route,
    { idempotencyKey, traceparent, tracestate, baggage }: RequestOptions,
  ): Record<string, string> {
    const key = effect === 'mutates' ? (idempotencyKey ?? this.#ports.newKey()) : undefined;
    return {
      accept: 'application/json',
      ...(effect === 'mutates' ? { 'content-type': 'application/json' } : {}),
      ...(key === undefined ? {} : { 'idempotency-key': key }),
      ...(traceparent === undefined ? {} : { traceparent }),
      ...(tracestate === undefined ? {} : { tracestate }),
      ...(baggage === undefined ? {} : { baggage }),
    };
  }

  #wait(ms: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const cancel = this.#ports.after(ms, resolve);
    const onAbort = (): void => {
      cancel();
      reject(signal.reason);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    return promise.finally(() => signal.removeEventListener('abort', onAbort));
  }
}

interface Trying {
  readonly route: Route;
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

type Outcome =
  | { readonly value: unknown }
  | {
      readonly error: GhostsnapError;
      readonly isRetryable: boolean;
      readonly isMovedOn: boolean;
      readonly retryAfterMs: number;
    };

function failed(error: GhostsnapError): Exclude<Outcome, { readonly value: unknown }> {
  return { error, isRetryable: false, isMovedOn: false, retryAfterMs: 0 };
}

function jsonOf({ body }: WireReply): unknown {
  return body.length === 0 ? undefined : JSON.parse(body.toString());
}

/** The service's own error; what is no problem document of ours came from something between. */
function problemOf({ status, body }: Pick<WireReply, 'status' | 'body'>): {
  readonly error: GhostsnapError;
  readonly isRetryable: boolean;
} {
  let problem: Readonly<Record<string, unknown>> = {};
  try {
    problem = JSON.parse(body.toString()) as typeof problem;
  } catch {
    // A proxy's page: its status is all there is to say.
  }
  const { code, detail, hint, data, retryable } = problem;
  if (typeof code === 'string' && Object.hasOwn(ERROR_CODES, code)) {
    const error = new GhostsnapError(code as ErrorCode, String(detail), {
      ...(typeof hint === 'string' ? { hint } : {}),
      ...(typeof data === 'object' && data !== null
        ? { data: data as GhostsnapError['data'] }
        : {}),
    });
    return { error, isRetryable: retryable === true };
  }
  const error = new GhostsnapError(
    'UNREACHABLE',
    `Something answered with HTTP status ${status}.`,
    {
      hint: 'Look at what is between this machine and the service.',
      data: { status },
    },
  );
  return { error, isRetryable: status === 429 || status >= 502 };
}

async function refusedStream(
  status: number,
  headers: WireReply['headers'],
  chunks: AsyncIterable<Buffer>,
): Promise<GhostsnapError> {
  const parts: Buffer[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return problemOf({ status, body: Buffer.concat(parts), ...{ headers } }).error;
}

function mayFollowAgain(error: unknown): boolean {
  if (error instanceof NoAnswer) return true;
  return (
    error instanceof GhostsnapError && (error.kind === 'transient' || error.kind === 'throttled')
  );
}

function unreachable(error: NoAnswer): GhostsnapError {
  return new GhostsnapError('UNREACHABLE', `The service gives no answer: ${error.message}.`, {
    hint: 'Look whether it runs, and whether this client has a certificate that it takes.',
    data: { begun: error.begun },
    cause: error,
  });
}

function tooLate({ operation }: Route): GhostsnapError {
  return new GhostsnapError('DEADLINE_EXCEEDED', `${operation} had no answer in time.`, {
    hint: 'Ask again with more time; a change is repeated with the same idempotency key.',
  });
}

function interrupted({ operation }: Route, cause: unknown): GhostsnapError {
  return new GhostsnapError('INTERRUPTED', `${operation} was given up.`, {
    hint: 'It may have been done all the same: ask again with the same idempotency key.',
    cause,
  });
}
