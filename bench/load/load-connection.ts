/**
 * One HTTP/2 connection with a client certificate, which many sessions share.
 *
 * Two ways over it: a request for each question, or one stream of frames for all. It reconnects by itself
 * and asks again what was not answered, with the same key: the server answers a repeated question
 * with its first answer. Waiting between two attempts grows, with full jitter, and is never shorter than
 * the service asks for: clients that did not heed it would take its processor with what it refuses.
 */
import { readFileSync } from 'node:fs';
import http2 from 'node:http2';
import type { LoadTarget, Transport } from './load-plan.ts';

export interface Question {
  readonly operation: 'beginCall' | 'endCall' | 'startSession';
  readonly method: 'POST';
  readonly path: string;
  /** Without the fields that are in the path. */
  readonly body: Readonly<Record<string, unknown>>;
  /** The fields that are in the path. */
  readonly inPath: Readonly<Record<string, unknown>>;
  readonly key: string;
}

export interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
  /** Seconds; 0: the service does not say. */
  readonly retryAfterS: number;
}

export interface ConnectionCounts {
  connects: number;
  retries: number;
}

interface Waiting {
  readonly question: Question;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
  attempts: number;
}

const RETRY_BASE_MS = 20;
const RETRY_MAX_MS = 2000;
const ATTEMPTS_MAX = 40;
const RETRYABLE = new Set([429, 503]);

export class LoadConnection {
  readonly #target: LoadTarget;
  readonly #transport: Transport;
  readonly #counts: ConnectionCounts;
  readonly #tls: { readonly ca: Buffer; readonly cert: Buffer; readonly key: Buffer };
  #session: http2.ClientHttp2Session | null = null;
  #frames: FrameClient | null = null;
  #isClosed = false;

  constructor(target: LoadTarget, transport: Transport, counts: ConnectionCounts) {
    this.#target = target;
    this.#transport = transport;
    this.#counts = counts;
    this.#tls = {
      ca: readFileSync(target.caFile),
      cert: readFileSync(target.certFile),
      key: readFileSync(target.keyFile),
    };
  }

  ask(question: Question): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#attempt({ question, resolve, reject, attempts: 0 });
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#frames?.end();
    this.#session?.close();
  }

  #attempt(waiting: Waiting): void {
    waiting.attempts += 1;
    const done = (answer: Answer | null): void => {
      if (answer !== null && !RETRYABLE.has(answer.status)) waiting.resolve(answer);
      else this.#again(waiting, answer);
    };
    const session = this.#connected();
    if (this.#transport === 'frames') {
      this.#frames ??= new FrameClient(session);
      this.#frames.ask(waiting.question, done);
    } else {
      request(session, waiting.question, done);
    }
  }

  #again(waiting: Waiting, answer: Answer | null): void {
    if (this.#isClosed || waiting.attempts >= ATTEMPTS_MAX) {
      if (answer !== null) waiting.resolve(answer);
      else waiting.reject(new Error(`No answer to ${waiting.question.operation}.`));
      return;
    }
    this.#counts.retries += 1;
    const mostMs = Math.min(RETRY_MAX_MS, RETRY_BASE_MS * 2 ** waiting.attempts);
    const askedMs = (answer?.retryAfterS ?? 0) * 1000;
    setTimeout(() => this.#attempt(waiting), askedMs + Math.random() * mostMs);
  }

  #connected(): http2.ClientHttp2Session {
    if (this.#session !== null && !this.#session.closed && !this.#session.destroyed) {
      return this.#session;
    }
    this.#counts.connects += 1;
    const session = http2.connect(this.#target.url, { ...this.#tls, servername: 'localhost' });
    // What was under way fails by its own stream; the next attempt connects anew.
    session.on('error', () => session.destroy());
    session.on('goaway', () => this.#leave(session));
    session.on('close', () => this.#leave(session));
    this.#session = session;
    return session;
  }

  #leave(session: http2.ClientHttp2Session): void {
    if (this.#session !== session) return;
    this.#session = null;
    this.#frames?.end();
    this.#frames = null;
  }
}

function request(
  session: http2.ClientHttp2Session,
  question: Question,
  done: (answer: Answer | null) => void,
): void {
  const stream = session.request({
    ':method': question.method,
    ':path': question.path,
    'content-type': 'application/json',
    'idempotency-key': question.key,
  });
  let status = 0;
  let retryAfterS = 0;
  let text = '';
  let isDone = false;
  const end = (answer: Answer | null): void => {
    if (isDone) return;
    isDone = true;
    done(answer);
  };
  stream.setEncoding('utf8');
  stream.on('response', (headers) => {
    status = headers[':status'] ?? 0;
    retryAfterS = Number(headers['retry-after'] ?? 0);
  });
  stream.on('data', (chunk: string) => {
    text += chunk;
  });
  stream.on('end', () => end(status === 0 ? null : { status, body: parse(text), retryAfterS }));
  stream.on('error', () => end(null));
  stream.on('close', () => end(null));
  stream.end(JSON.stringify(question.body));
}

function parse(text: string): Answer['body'] {
  return text === '' ? {} : (JSON.parse(text) as Answer['body']);
}

interface FrameAnswer {
  readonly id: number | null;
  readonly status: number;
  readonly output?: Answer['body'];
  readonly problem?: Answer['body'];
  readonly retryAfterS?: number;
}

/** One long-lived stream of lines of JSON, each a question or an answer. */
class FrameClient {
  readonly #stream: http2.ClientHttp2Stream;
  readonly #waiting = new Map<number, (answer: Answer | null) => void>();
  #last = 0;
  #rest = '';
  #out = '';
  #isOver = false;

  constructor(session: http2.ClientHttp2Session) {
    this.#stream = session.request({
      ':method': 'POST',
      ':path': '/v1/frames',
      'content-type': 'application/x-ndjson',
    });
    this.#stream.setEncoding('utf8');
    this.#stream.on('data', (chunk: string) => this.#receive(chunk));
    this.#stream.on('error', () => this.#over());
    this.#stream.on('close', () => this.#over());
    this.#stream.on('end', () => this.#over());
  }

  ask({ operation, body, inPath, key }: Question, done: (answer: Answer | null) => void): void {
    if (this.#isOver) {
      done(null);
      return;
    }
    this.#last += 1;
    this.#waiting.set(this.#last, done);
    const frame = { id: this.#last, operation, key, input: { ...inPath, ...body } };
    // What is asked in one turn of the loop is one write.
    if (this.#out === '') setImmediate(() => this.#flush());
    this.#out += `${JSON.stringify(frame)}\n`;
  }

  end(): void {
    if (!this.#isOver) this.#stream.end();
  }

  #flush(): void {
    const out = this.#out;
    this.#out = '';
    if (!this.#isOver) this.#stream.write(out);
  }

  #receive(chunk: string): void {
    const lines = (this.#rest + chunk).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) {
      const { id, status, output, problem, retryAfterS = 0 } = JSON.parse(line) as FrameAnswer;
      const done = id === null ? undefined : this.#waiting.get(id);
      if (id !== null) this.#waiting.delete(id);
      done?.({ status, body: output ?? problem ?? {}, retryAfterS });
    }
  }

  #over(): void {
    this.#isOver = true;
    for (const done of this.#waiting.values()) done(null);
    this.#waiting.clear();
  }
}
