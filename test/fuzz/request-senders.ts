/**
 * Ways by which a broken request gets to the service: bytes on its unix socket, and HTTP/2 over TLS.
 *
 * HTTP/1.1 is written by hand, so that a head can be as broken as a body. A request that is broken so that
 * the service still waits for the rest of it has no answer: `isEnough` says when others that came later
 * have been answered, and it is hung up.
 */
import { once } from 'node:events';
import http2, { type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import net from 'node:net';
import { text } from 'node:stream/consumers';
import type { ServiceAnswer } from './answer-rules.ts';
import type { Chance } from './chance.ts';
import type { SentRequest } from './request-samples.ts';

/** `reset`: the other side ended it without an answer. null: it had none when it was hung up. */
export type Answered = ServiceAnswer | 'reset' | null;

export interface Sender extends Disposable {
  /** @param isEnough aborts when nothing more is to be waited for */
  send(request: SentRequest, isEnough: AbortSignal): Promise<Answered>;
}

const ODD_BYTES = ['\r', '\n', '\0', ' ', ':', '\xff', '\t', '"', '\r\n', '\r\n '];

export class UnixSender implements Sender {
  readonly #socketPath: string;
  readonly #chance: Chance;

  constructor(socketPath: string, chance: Chance) {
    this.#socketPath = socketPath;
    this.#chance = chance;
  }

  async send(request: SentRequest, isEnough: AbortSignal): Promise<Answered> {
    const socket = net.connect(this.#socketPath);
    // Half: the service hangs up once it has read all of it, and what it did of it is begun by then.
    const hangUp = (): void => void socket.end();
    isEnough.addEventListener('abort', hangUp, { once: true });
    // A reset is one way of being refused.
    socket.on('error', () => undefined);
    let seen: Buffer = Buffer.alloc(0);
    let answer: ServiceAnswer | null = null;
    socket.on('data', (chunk: Buffer) => {
      seen = Buffer.concat([seen, chunk]);
      answer ??= parseAnswer(seen, request.method);
      if (answer !== null) socket.destroy();
    });
    socket.write(this.#encode(request));
    await once(socket, 'close');
    isEnough.removeEventListener('abort', hangUp);
    // A good request with bytes behind it that are none has no answer either, and may be done.
    return answer;
  }

  [Symbol.dispose](): void {}

  #encode({ method, target, headers, body }: SentRequest): Buffer {
    const names = new Set(headers.map(([name]) => name));
    const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`);
    if (!names.has('host')) lines.unshift('host: local\r\n');
    const bytes = Buffer.from(body);
    const isFramed = names.has('content-length') || names.has('transfer-encoding');
    if (!isFramed) lines.push(`content-length: ${bytes.length}\r\n`);
    let head = `${method} ${target} HTTP/1.1\r\n${lines.join('')}\r\n`;
    if (this.#chance.below(8) === 0) {
      const at = this.#chance.below(head.length);
      head = head.slice(0, at) + this.#chance.pick(ODD_BYTES) + head.slice(at + 1);
    }
    return Buffer.concat([Buffer.from(head), bytes]);
  }
}

const CONTINUE = /^HTTP\/1\.1 1\d\d .*?\r\n\r\n/s;

/** @returns the first whole answer; null: there is none yet */
export function parseAnswer(bytes: Buffer, method: string): ServiceAnswer | null {
  const all = bytes.toString('latin1').replace(CONTINUE, '');
  const end = all.indexOf('\r\n\r\n');
  if (end < 0) return null;
  const head = all.slice(0, end);
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0);
  const contentType = /^content-type: (.*)$/im.exec(head)?.[1]?.trim() ?? '';
  if (contentType === 'text/event-stream') return { status, contentType, body: null };
  const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0);
  const body = all.slice(end + 4, end + 4 + length);
  if (method === 'HEAD') return { status, contentType, body: null };
  if (body.length < length) return null;
  return { status, contentType, body: Buffer.from(body, 'latin1').toString() };
}

export interface Http2SenderOptions {
  readonly port: number;
  readonly tls: { readonly cert: string; readonly key: string; readonly ca: string };
}

export class Http2Sender implements Sender {
  readonly #options: Http2SenderOptions;
  #session: ClientHttp2Session | null = null;

  constructor(options: Http2SenderOptions) {
    this.#options = options;
  }

  async send(request: SentRequest, isEnough: AbortSignal): Promise<Answered> {
    let stream: ClientHttp2Stream;
    try {
      stream = this.#usable().request(headersOf(request), { endStream: request.body === '' });
    } catch {
      // Node's client sends no such thing; the bytes of HTTP/1.1 have no such scruples.
      return UNSENDABLE;
    }
    const hangUp = (): void => void stream.close(http2.constants.NGHTTP2_CANCEL);
    isEnough.addEventListener('abort', hangUp, { once: true });
    try {
      return (await answerOf(stream, request)) ?? endOf(stream);
    } catch {
      return endOf(stream);
    } finally {
      isEnough.removeEventListener('abort', hangUp);
    }
  }

  [Symbol.dispose](): void {
    this.#session?.destroy();
  }

  #usable(): ClientHttp2Session {
    const known = this.#session;
    if (known !== null && !known.closed && !known.destroyed) return known;
    const { port, tls } = this.#options;
    const session = http2.connect(`https://localhost:${port}`, tls);
    session.on('error', () => undefined);
    this.#session = session;
    return session;
  }
}

/** Told apart from what had no answer: nothing left this process. */
export const UNSENDABLE: ServiceAnswer = { status: 0, contentType: '', body: null };

/** A connection that is ended takes good requests with it, whose answers are lost; a reset is of one. */
function endOf(stream: ClientHttp2Stream): 'reset' | null {
  const { session, rstCode } = stream;
  const isAlive = session !== undefined && !session.closed && !session.destroyed;
  return isAlive && rstCode === http2.constants.NGHTTP2_PROTOCOL_ERROR ? 'reset' : null;
}

function headersOf({ method, target, headers }: SentRequest): http2.OutgoingHttpHeaders {
  const named: Record<string, string[]> = {};
  for (const [name, value] of headers) named[name] = [...(named[name] ?? []), value];
  return { ...named, ':method': method, ':path': target };
}

async function answerOf(
  stream: ClientHttp2Stream,
  request: SentRequest,
): Promise<ServiceAnswer | null> {
  const ended = once(stream, 'close').then(() => null);
  // Told by the close that follows.
  stream.on('error', () => undefined);
  if (request.body !== '') stream.end(request.body);
  const response = await Promise.race([once(stream, 'response'), ended]);
  if (response === null) return null;
  const [head] = response as [http2.IncomingHttpHeaders];
  const [status, contentType] = [Number(head[':status']), String(head['content-type'] ?? '')];
  if (contentType === 'text/event-stream') {
    stream.close(http2.constants.NGHTTP2_CANCEL);
    return { status, contentType, body: null };
  }
  const body = await text(stream);
  return { status, contentType, body: request.method === 'HEAD' ? null : body };
}
