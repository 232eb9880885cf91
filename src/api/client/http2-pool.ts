/**
 * Connections to one or several endpoints of a service: HTTP/2 over TLS 1.3, opened when they are needed.
 *
 * Requests share a connection until it has as many as the other side takes; then another is opened. One
 * that was told to go (GOAWAY) gets no new requests and ends what it has. Where there are several
 * endpoints, requests go around, and an endpoint that has just failed comes last. A connection that says
 * nothing is asked whether it lives before a request is lost on it.
 */
import http2, { type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import { ArrivingChunks } from './arriving-chunks.ts';
import {
  NoAnswer,
  type Transport,
  type WireReply,
  type WireRequest,
  type WireStream,
} from './transport.ts';

export interface PoolOptions {
  /** `https://host:port`; one at least. */
  readonly endpoints: readonly string[];
  readonly tls: ClientCredentials;
  readonly nowMs: () => number;
}

/** PEM: who the client is, and which authority the service's certificate must come from. */
export interface ClientCredentials {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

/** Connections to one endpoint: each takes a few hundred requests at once. */
const CONNECTIONS_MAX = 8;
/** Requests on one connection, unless the other side takes fewer. */
const STREAMS_MAX = 128;
const CONNECT_TIMEOUT_MS = 10_000;
/** An endpoint that failed is tried after all others for this long. */
const AVOIDED_MS = 5000;
/** Silence after which a connection is asked whether it lives, and how long it may think about it. */
const SILENT_MS = 10_000;
const PING_TIMEOUT_MS = 5000;
/** Bytes of one answer: the largest page is some hundred KiB. */
const ANSWER_BYTES_MAX = 16_777_216;

interface Connection {
  readonly session: ClientHttp2Session;
  readonly ready: Promise<void>;
  streams: number;
  heardMs: number;
}

interface Endpoint {
  readonly url: string;
  connections: Connection[];
  failedMs: number;
}

export class Http2Pool implements Transport {
  readonly #options: PoolOptions;
  readonly #endpoints: Endpoint[];
  #turn = 0;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#endpoints = options.endpoints.map((url) => ({
      ...{ url, connections: [], failedMs: Number.NEGATIVE_INFINITY },
    }));
  }

  async send(request: WireRequest, signal: AbortSignal): Promise<WireReply> {
    const { status, headers, chunks } = await this.stream(request, signal);
    const parts: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of chunks) {
      bytes += chunk.length;
      if (bytes > ANSWER_BYTES_MAX)
        throw new NoAnswer('The answer is too long.', { begun: 'perhaps' });
      parts.push(chunk);
    }
    return { status, headers, body: Buffer.concat(parts) };
  }

  async stream(request: WireRequest, signal: AbortSignal): Promise<WireStream> {
    for (let left = this.#endpoints.length - 1; ; left -= 1) {
      signal.throwIfAborted();
      const endpoint = this.#nextEndpoint();
      try {
        return await this.#streamTo(endpoint, request, signal);
      } catch (error) {
        if (!(error instanceof NoAnswer)) throw error;
        if (!error.isMovedOn) endpoint.failedMs = this.#options.nowMs();
        // Another endpoint may have it: the one that was not reached has no load of it.
        if (error.begun !== 'never' || error.isMovedOn || left === 0) throw error;
      }
    }
  }

  async #streamTo(
    endpoint: Endpoint,
    request: WireRequest,
    signal: AbortSignal,
  ): Promise<WireStream> {
    const connection = this.#connectionTo(endpoint);
    connection.streams += 1;
    try {
      await untilAborted(connection.ready, signal);
    } catch (error) {
      connection.streams -= 1;
      throw error;
    }
    return await this.#ask(connection, request, signal);
  }

  async close(): Promise<void> {
    for (const endpoint of this.#endpoints) {
      for (const { session } of endpoint.connections) session.destroy();
      endpoint.connections = [];
    }
  }

  #nextEndpoint(): Endpoint {
    this.#turn = (this.#turn + 1) % this.#endpoints.length;
    const around = [...this.#endpoints.slice(this.#turn), ...this.#endpoints.slice(0, this.#turn)];
    const since = this.#options.nowMs() - AVOIDED_MS;
    const [first] = around;
    const found = around.find(({ failedMs }) => failedMs < since) ?? first;
    if (found === undefined) throw new NoAnswer('No endpoint is named.', { begun: 'never' });
    return found;
  }

  #connectionTo(endpoint: Endpoint): Connection {
    const usable = endpoint.connections.filter(
      ({ session }) => !session.closed && !session.destroyed,
    );
    endpoint.connections = usable;
    const free = usable.find(({ session, streams }) => streams < streamsMax(session));
    if (free !== undefined) return free;
    if (usable.length >= CONNECTIONS_MAX) {
      throw new NoAnswer('Every connection has as many requests as it takes.', { begun: 'never' });
    }
    const connection = this.#open(endpoint);
    endpoint.connections.push(connection);
    return connection;
  }

  #open({ url }: Endpoint): Connection {
    const session = http2.connect(url, {
      ...this.#options.tls,
      minVersion: 'TLSv1.3',
      settings: { enablePush: false },
    });
    const { promise: ready, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(() => session.destroy(), CONNECT_TIMEOUT_MS);
    let cause: unknown;
    // Also after it has connected: each request on it learns of it from its own stream.
    session.on('error', (error: Error) => {
      cause = error;
    });
    // In TLS 1.3 a client has connected before it was let in; the settings come from one who was.
    session.once('remoteSettings', () => resolve());
    session.once('close', () => {
      clearTimeout(timer);
      const why = cause instanceof Error ? `: ${cause.message}` : '';
      reject(new NoAnswer(`There is no connection to ${url}${why}`, { begun: 'never', cause }));
    });
    // Nobody may be waiting for it any more.
    ready.then(() => clearTimeout(timer)).catch(() => undefined);
    session.unref();
    return { session, ready, streams: 0, heardMs: this.#options.nowMs() };
  }

  async #ask(
    connection: Connection,
    request: WireRequest,
    signal: AbortSignal,
  ): Promise<WireStream> {
    const { session } = connection;
    const release = once(() => {
      connection.streams -= 1;
      // A program that waits for nothing else may end.
      if (connection.streams === 0 && !session.destroyed) session.unref();
    });
    try {
      this.#wake(connection);
      session.ref();
      const { method, target, headers, body } = request;
      const stream = session.request(
        { ...headers, ':method': method, ':path': target },
        { endStream: body === null, signal },
      );
      stream.once('close', release);
      const arriving = new ArrivingChunks(stream);
      if (body !== null) stream.end(body);
      const head = await headOf(stream, signal);
      const chunks = this.#chunksOf(connection, { stream, arriving, signal });
      return { status: Number(head[':status']), headers: head, chunks };
    } catch (error) {
      release();
      throw noAnswer(error, null, signal);
    }
  }

  async *#chunksOf(
    connection: Connection,
    { stream, arriving, signal }: Answering,
  ): AsyncGenerator<Buffer> {
    try {
      for await (const chunk of arriving.read()) {
        connection.heardMs = this.#options.nowMs();
        yield chunk;
      }
    } catch (error) {
      throw noAnswer(error, 'perhaps', signal);
    } finally {
      stream.close();
    }
  }

  /** One that has been silent is asked, beside the request; when it does not answer, it is dead. */
  #wake(connection: Connection): void {
    const { session } = connection;
    const nowMs = this.#options.nowMs();
    if (nowMs - connection.heardMs < SILENT_MS) return;
    connection.heardMs = nowMs;
    const timer = setTimeout(() => session.destroy(), PING_TIMEOUT_MS);
    session.ping(() => clearTimeout(timer));
  }
}

interface Answering {
  readonly stream: ClientHttp2Stream;
  readonly arriving: ArrivingChunks;
  readonly signal: AbortSignal;
}

function streamsMax({ remoteSettings }: ClientHttp2Session): number {
  return Math.min(STREAMS_MAX, remoteSettings?.maxConcurrentStreams ?? STREAMS_MAX);
}

function headOf(stream: ClientHttp2Stream, signal: AbortSignal): Promise<WireReply['headers']> {
  const { promise, resolve, reject } = Promise.withResolvers<WireReply['headers']>();
  stream.once('response', (headers) => resolve(headers as WireReply['headers']));
  const fail = (error: unknown): void => {
    const isRefused = stream.rstCode === http2.constants.NGHTTP2_REFUSED_STREAM;
    reject(noAnswer(error, isRefused ? 'never' : 'perhaps', signal));
  };
  stream.on('error', fail);
  stream.once('close', () => fail(new Error('The stream ended without an answer.')));
  return promise;
}

/** @param begun null: as the error says, when it is one of Node's that come before anything is sent */
function noAnswer(error: unknown, begun: 'never' | 'perhaps' | null, signal: AbortSignal): unknown {
  if (error instanceof NoAnswer) return error;
  if (signal.aborted) return signal.reason;
  const { code, message } = error as NodeJS.ErrnoException;
  const isGone = code === 'ERR_HTTP2_GOAWAY_SESSION' || code === 'ERR_HTTP2_INVALID_SESSION';
  const known = begun ?? (isGone ? 'never' : 'perhaps');
  return new NoAnswer(message, {
    begun: known,
    ...(known === 'never' ? { isMovedOn: true as const } : {}),
    cause: error,
  });
}

async function untilAborted(ready: Promise<void>, signal: AbortSignal): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await Promise.race([ready, promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function once(run: () => void): () => void {
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    run();
  };
}
