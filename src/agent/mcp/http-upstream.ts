/**
 * A server behind streamable HTTP: each message of the client is one POST, what comes back (JSON or
 * events) becomes lines.
 *
 * Messages go through as bytes; only the line breaks that JSON allows between its tokens become spaces.
 * The session and the protocol version of `initialize` go with every later request. A stream that ends
 * before its answer came is taken up again where it ended. What cannot be delivered is answered, so that
 * no request of the client waits for ever. Redirects are not followed: they would carry credentials.
 */
import http from 'node:http';
import https from 'node:https';
import { PassThrough, type Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { MCP_MESSAGE_BYTES_MAX } from '../../core/limits.ts';
import { idKey } from './client-message.ts';
import { type Envelope, readEnvelope } from './envelope.ts';
import { EventStreamReader } from './event-stream.ts';
import { type Upstream, writeTo } from './proxy.ts';
import { transportError } from './refusal.ts';

export interface HttpUpstreamOptions {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** What went wrong where no request can be answered. */
  readonly onProblem: (text: string) => void;
}

/** Milliseconds before a stream that ended is asked for again, unless the server says. */
const RECONNECT_MS = 1000;
/** Attempts in a row that bring nothing. */
const RECONNECTS_MAX = 5;
/** Milliseconds that the end of a session may take. */
const FAREWELL_MS = 2000;
/** Characters of an error page that are shown. */
const PAGE_CHARACTERS_MAX = 500;

export class HttpUpstream implements Upstream {
  readonly output = new PassThrough();
  readonly #options: HttpUpstreamOptions;
  readonly #agent: http.Agent;
  readonly #abort = new AbortController();
  readonly #underWay = new Set<Promise<void>>();
  #sessionId: string | null = null;
  #protocolVersion: string | null = null;
  #hasStream = false;

  constructor(options: HttpUpstreamOptions) {
    this.#options = options;
    const { Agent } = options.url.protocol === 'https:' ? https : http;
    this.#agent = new Agent({ keepAlive: true });
  }

  /**
   * Resolves once the message is on its way: after the answer to `initialize` (what follows needs its
   * session) and after the acknowledgement of a notification, but never after the answer to another
   * request, which may take hours.
   */
  async send(bytes: Buffer): Promise<void> {
    const message = trimmed(bytes);
    if (message.length === 0) return;
    const envelope = readEnvelope(message);
    const { promise: sent, resolve: onSent } = Promise.withResolvers<void>();
    const exchange = this.#post(message, envelope, onSent);
    this.#track(exchange);
    const isAwaited = envelope.requests.length === 0 || envelope.methods.includes('initialize');
    await (isAwaited ? exchange : Promise.race([sent, exchange]));
    if (envelope.methods.includes('notifications/initialized')) this.#openStream();
  }

  end(): void {
    void this.#close();
  }

  async #close(): Promise<void> {
    this.#abort.abort();
    await Promise.allSettled(this.#underWay);
    if (this.#sessionId !== null) {
      try {
        const response = await this.#request('DELETE', null, AbortSignal.timeout(FAREWELL_MS));
        response.resume();
      } catch (error) {
        this.#options.onProblem(`The session was not ended: ${reasonOf(error)}`);
      }
    }
    this.#agent.destroy();
    this.output.end();
  }

  #track(work: Promise<void>): void {
    const tracked = work.finally(() => this.#underWay.delete(tracked));
    this.#underWay.add(tracked);
    tracked.catch((error) => this.#options.onProblem(reasonOf(error)));
  }

  async #post(message: Buffer, envelope: Envelope, onSent: () => void): Promise<void> {
    const open = new Map(envelope.requests.map((id) => [idKey(id), id]));
    try {
      const response = await this.#request('POST', message, this.#abort.signal, onSent);
      if (envelope.methods.includes('initialize')) this.#beginSession(response);
      await this.#read(response, open);
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      if (open.size === 0) this.#options.onProblem(reasonOf(error));
      await this.#fail(open, reasonOf(error));
    }
  }

  async #read(response: http.IncomingMessage, open: Map<string, Buffer>): Promise<void> {
    const status = response.statusCode ?? 0;
    const type = (response.headers['content-type'] ?? '').split(';')[0]?.trim();
    if (status === 200 && type === 'text/event-stream') {
      await this.#readEvents(response, open);
    } else if (status === 202 || status === 204) {
      response.resume();
      await this.#fail(open, `The server accepted the request (${status}) and gave no answer.`);
    } else if (type === 'application/json') {
      await this.#deliver(await bodyOf(response), open);
      await this.#fail(open, `The server gave ${status} and no answer to the request.`);
    } else {
      const page = (await text(response)).slice(0, PAGE_CHARACTERS_MAX);
      throw new Error(`The server gave ${status} ${response.statusMessage ?? ''} ${page}`.trim());
    }
  }

  /** Reads a stream and takes it up again until every open request is answered. */
  async #readEvents(first: Readable, open: Map<string, Buffer>): Promise<void> {
    const isPost = open.size > 0;
    let stream: Readable | null = first;
    let lastEventId = '';
    let waitMs = RECONNECT_MS;
    for (let failures = 0; failures <= RECONNECTS_MAX; ) {
      if (stream !== null) {
        const read = await this.#readStream(stream, open);
        lastEventId = read.lastEventId || lastEventId;
        waitMs = read.retryMs ?? waitMs;
        // A server may end an idle stream as often as it likes; one that owes an answer may not.
        failures = read.events > 0 || !isPost ? 0 : failures + 1;
        if (isPost && (open.size === 0 || lastEventId === '')) break;
      } else failures += 1;
      await delay(waitMs, undefined, { signal: this.#abort.signal });
      stream = await this.#reopen(lastEventId);
    }
    await this.#fail(open, 'The stream ended before the answer came.');
  }

  async #readStream(
    stream: Readable,
    open: Map<string, Buffer>,
  ): Promise<{ lastEventId: string; retryMs: number | null; events: number }> {
    const found: Buffer[] = [];
    let events = 0;
    const reader = new EventStreamReader({
      eventBytesMax: MCP_MESSAGE_BYTES_MAX,
      onEvent: ({ type, data }) => {
        if ((type === '' || type === 'message') && data.length > 0) found.push(data);
      },
      onTooLong: (sizeBytes) => {
        this.#options.onProblem(`An event of ${sizeBytes} bytes was dropped: it is too long.`);
      },
    });
    try {
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        reader.feed(chunk);
        events += found.length;
        for (const data of found.splice(0)) await this.#deliver(data, open);
      }
    } catch (error) {
      // A connection that broke is one that ended: it is taken up again, or its requests are answered.
      if (this.#abort.signal.aborted) throw error;
    }
    return { lastEventId: reader.lastEventId, retryMs: reader.retryMs, events };
  }

  /** null when it could not be opened this time. @throws Error when the server never will */
  async #reopen(lastEventId: string): Promise<Readable | null> {
    try {
      const response = await this.#request('GET', null, this.#abort.signal, () => {}, lastEventId);
      if (response.statusCode === 200) return response;
      response.resume();
    } catch (error) {
      // Refused or unreachable: the attempt counts as one that brought nothing.
      if (this.#abort.signal.aborted) throw error;
    }
    return null;
  }

  /** The stream for what the server says unasked; 405 means that there is none. */
  #openStream(): void {
    if (this.#hasStream) return;
    this.#hasStream = true;
    this.#track(this.#listen());
  }

  async #listen(): Promise<void> {
    try {
      const response = await this.#request('GET', null, this.#abort.signal);
      if (response.statusCode === 200) await this.#readEvents(response, new Map());
      else response.resume();
    } catch (error) {
      if (!this.#abort.signal.aborted) this.#options.onProblem(reasonOf(error));
    }
  }

  async #deliver(message: Buffer, open: Map<string, Buffer>): Promise<void> {
    const { answered, protocolVersion } = readEnvelope(message);
    this.#protocolVersion ??= protocolVersion;
    for (const id of answered) open.delete(id);
    await writeTo(this.output, asLine(message));
  }

  async #fail(open: Map<string, Buffer>, why: string): Promise<void> {
    const ids = [...open.values()];
    open.clear();
    for (const id of ids) await writeTo(this.output, transportError(id, why));
  }

  #beginSession(response: http.IncomingMessage): void {
    const id = response.headers['mcp-session-id'];
    this.#sessionId = typeof id === 'string' ? id : null;
    this.#protocolVersion = null;
  }

  #request(
    method: 'POST' | 'GET' | 'DELETE',
    body: Buffer | null,
    signal: AbortSignal,
    onSent: () => void = () => {},
    lastEventId = '',
  ): Promise<http.IncomingMessage> {
    const { url, headers } = this.#options;
    const { promise, resolve, reject } = Promise.withResolvers<http.IncomingMessage>();
    const { request } = url.protocol === 'https:' ? https : http;
    const sent = request(url, {
      method,
      agent: this.#agent,
      headers: {
        accept: method === 'GET' ? 'text/event-stream' : 'application/json, text/event-stream',
        ...(body === null
          ? {}
          : { 'content-type': 'application/json', 'content-length': body.length }),
        ...(this.#sessionId === null ? {} : { 'mcp-session-id': this.#sessionId }),
        ...(this.#protocolVersion === null
          ? {}
          : { 'mcp-protocol-version': this.#protocolVersion }),
        ...(lastEventId === '' ? {} : { 'last-event-id': lastEventId }),
        ...headers,
      },
    });
    // Destroyed here and not by the option "signal": that one gives the socket an error, which ends the
    // program when it comes between an answer's end and the socket's return to the pool.
    const stop = (): void => {
      sent.destroy();
    };
    signal.addEventListener('abort', stop, { once: true });
    sent.once('close', () => signal.removeEventListener('abort', stop));
    if (signal.aborted) stop();
    sent.on('error', reject);
    sent.once('response', (response) => {
      // Whoever reads the answer sees it as well.
      response.on('error', reject);
      resolve(response);
    });
    sent.once('finish', onSent);
    sent.end(body ?? undefined);
    return promise;
  }
}

async function bodyOf(response: http.IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > MCP_MESSAGE_BYTES_MAX) {
      response.destroy();
      throw new Error(`The answer has more than ${MCP_MESSAGE_BYTES_MAX} bytes.`);
    }
    parts.push(chunk);
  }
  return Buffer.concat(parts);
}

function trimmed(bytes: Buffer): Buffer {
  let end = bytes.length;
  while (end > 0 && (bytes[end - 1] === 0x0a || bytes[end - 1] === 0x0d)) end -= 1;
  return bytes.subarray(0, end);
}

/** Line breaks stand between tokens only, or it is no JSON: a space means the same. */
function asLine(message: Buffer): Buffer {
  const line = Buffer.allocUnsafe(message.length + 1);
  message.copy(line);
  for (const breaking of [0x0a, 0x0d]) {
    let at = line.subarray(0, message.length).indexOf(breaking);
    while (at >= 0) {
      line[at] = 0x20;
      at = line.subarray(0, message.length).indexOf(breaking, at + 1);
    }
  }
  line[message.length] = 0x0a;
  return line;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
