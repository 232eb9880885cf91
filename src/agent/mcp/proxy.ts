/**
 * A transparent proxy between an MCP client and a server, over two byte streams.
 *
 * Every byte passes in order and unchanged, in both directions, but for four things: a call of a tool
 * waits for its snapshot; it gets a trace when it has none; where its snapshot failed it is
 * answered here and not passed on; and its answer waits until the policy has judged the call, and carries
 * what the policy has to say. What follows a waiting call waits behind it, so that nothing overtakes
 * anything. Neither direction is read faster than the other side takes it.
 */
import type { Writable } from 'node:stream';
import { MCP_MESSAGE_BYTES_MAX, MCP_PENDING_MAX, MCP_RESULT_HELD_MAX } from '../../core/limits.ts';
import type { TraceContext } from '../../core/trace-context.ts';
import type { BegunCall, CallGuard } from '../call-guard.ts';
import { type CallRequest, idKey, readClientMessage, traceInsertion } from './client-message.ts';
import { splitLines } from './line-split.ts';
import { newTraceFields } from './new-trace-fields.ts';
import { refuseMessage, refuseTooLong, refuseUnclear } from './refusal.ts';
import { logNotification, withMessages } from './result-message.ts';
import { ServerObserver } from './server-observer.ts';
import { ToolHints } from './tool-hints.ts';

/** Where messages go: lines with their newline, the last one perhaps without. */
export interface Upstream {
  send(bytes: Buffer): Promise<void>;
  /** The client has ended. */
  end(): void;
  /** What the server says, in pieces of any size; ends when the server has ended. */
  readonly output: AsyncIterable<Buffer>;
}

export interface ProxyOptions {
  readonly client: { readonly input: AsyncIterable<Buffer>; readonly output: Writable };
  readonly upstream: Upstream;
  readonly guard: CallGuard;
  /** Whether a server's `readOnlyHint` spares a snapshot. */
  readonly readOnlyHint: 'trust' | 'ignore';
  /** 'off' leaves every call as it is; else a call without a trace joins `traceParent`'s or a new one. */
  readonly trace: 'on' | 'off';
  readonly traceParent: TraceContext | null;
  readonly messageBytesMax?: number;
}

const NEWLINE = 0x0a;

export class McpProxy {
  readonly #options: ProxyOptions;
  readonly #hints = new ToolHints();
  /** Calls under way and requests for the list of tools, by id. */
  readonly #calls = new Map<string, BegunCall>();
  readonly #lists = new Set<string>();
  readonly #observer: ServerObserver;
  /** Answers of ours that wait for the server to end its line. */
  #answers: Buffer[] = [];
  #unnamedCalls = 0;
  /** A line that may answer a call, as far as it has come. */
  #held: Buffer[] = [];
  #heldBytes = 0;
  /** What the client has read ends in the middle of a line. */
  #isMidLine = false;
  /** Calls that the line under way answers, and what the policy says of them. */
  readonly #judged: (readonly [id: string, message: Promise<string | null>])[] = [];

  constructor(options: ProxyOptions) {
    this.#options = options;
    this.#observer = new ServerObserver({
      onResponse: (id, outcome) => this.#onResponse(id, outcome),
      onToolsChanged: () => this.#hints.forget(),
      wantsText: () => this.#lists.size > 0,
      onText: (ids, text) => {
        if (ids.some((id) => this.#lists.has(id))) this.#hints.learn(text);
      },
    });
  }

  /** Resolves when the server has ended and all it said has been handed on. */
  async run(): Promise<void> {
    const up = this.#passUp();
    try {
      await Promise.race([this.#passDown(), failureOf(up)]);
    } finally {
      for (const call of this.#calls.values()) void call.end('unknown');
      this.#calls.clear();
    }
  }

  async #passUp(): Promise<void> {
    const { client, upstream, messageBytesMax = MCP_MESSAGE_BYTES_MAX } = this.#options;
    for await (const line of splitLines(client.input, { lineBytesMax: messageBytesMax })) {
      if ('tooLongBytes' in line) {
        await this.#answer(refuseTooLong(line.tooLongBytes, messageBytesMax));
        continue;
      }
      const passed = await this.#beforePassing(line.bytes);
      if (passed !== null) await upstream.send(passed);
    }
    upstream.end();
  }

  async #passDown(): Promise<void> {
    const { upstream } = this.#options;
    for await (const chunk of upstream.output) {
      let from = 0;
      // While no call is under way nothing can be its answer, and pieces pass as they come.
      while (from < chunk.length && (this.#calls.size > 0 || this.#held.length > 0)) {
        const end = chunk.indexOf(NEWLINE, from) + 1;
        await this.#passPart(chunk.subarray(from, end === 0 ? chunk.length : end));
        from = end === 0 ? chunk.length : end;
      }
      if (from < chunk.length) await this.#passAsItIs(from === 0 ? chunk : chunk.subarray(from));
    }
    this.#observer.end();
    await this.#endLine();
    this.#isMidLine = false;
    await this.#flushAnswers();
  }

  async #passAsItIs(bytes: Buffer): Promise<void> {
    // Looked at before it is written: whoever reads the answer may call at once, and must find what
    // the answer says of its tools.
    this.#observer.observe(bytes);
    await this.#write(bytes);
    if (!this.#isMidLine) await this.#endLine();
  }

  /** A part of one line, with its end or not, that may answer a call: it is held until it is judged. */
  async #passPart(part: Buffer): Promise<void> {
    if (this.#isMidLine) {
      await this.#passAsItIs(part);
      return;
    }
    this.#observer.observe(part);
    this.#held.push(part);
    this.#heldBytes += part.length;
    if (part.at(-1) === NEWLINE) await this.#endLine();
    else if (this.#heldBytes > MCP_RESULT_HELD_MAX) await this.#release();
  }

  /** A line has ended: calls that it answers are judged, then it goes on its way. */
  async #endLine(): Promise<void> {
    const messages = new Map<string, string>();
    for (const [id, judged] of this.#judged.splice(0)) {
      const message = await judged;
      if (message !== null) messages.set(id, message);
    }
    if (messages.size > 0 && this.#held.length > 0) {
      const { line, left } = withMessages(Buffer.concat(this.#held), messages);
      this.#held = [line];
      this.#answers.push(...left.map(logNotification));
    } else this.#answers.push(...[...messages.values()].map(logNotification));
    await this.#release();
    await this.#flushAnswers();
  }

  async #release(): Promise<void> {
    const held = Buffer.concat(this.#held);
    this.#held = [];
    this.#heldBytes = 0;
    if (held.length > 0) await this.#write(held);
  }

  async #write(bytes: Buffer): Promise<void> {
    this.#isMidLine = bytes.at(-1) !== NEWLINE;
    await writeTo(this.#options.client.output, bytes);
  }

  /** What is to be sent for a line of the client; null when it was answered here. */
  async #beforePassing(bytes: Buffer): Promise<Buffer | null> {
    const message = readClientMessage(bytes);
    if (message.kind === 'other') return bytes;
    if (message.kind === 'unclear') return await this.#beforeUnclear(bytes);
    for (const id of message.lists) this.#awaitList(idKey(id));
    try {
      await this.#beginCalls(message.calls);
    } catch (failure) {
      const answer = refuseMessage(message, failure);
      if (answer !== null) await this.#answer(answer);
      return null;
    }
    return this.#options.trace === 'on' ? this.#withTrace(bytes, message.calls) : bytes;
  }

  async #beforeUnclear(bytes: Buffer): Promise<Buffer | null> {
    try {
      const call = await this.#begin({ tool: null, id: null, input: null });
      void call.end('unknown');
      return bytes;
    } catch (failure) {
      await this.#answer(refuseUnclear(failure));
      return null;
    }
  }

  /** All or none: the calls of a batch that have begun are ended when a later one is refused. */
  async #beginCalls(calls: readonly CallRequest[]): Promise<void> {
    const begun: { readonly id: string | null; readonly call: BegunCall }[] = [];
    try {
      for (const request of calls) {
        const id = request.id === null ? null : idKey(request.id);
        begun.push({ id, call: await this.#begin(request) });
      }
    } catch (failure) {
      for (const { call } of begun) void call.end('failed');
      throw failure;
    }
    for (const { id, call } of begun) {
      // Nobody reports the end of a call that has no id.
      if (id === null) void call.end('unknown');
      else this.#awaitResponse(id, call);
    }
  }

  async #begin(request: Pick<CallRequest, 'tool' | 'id' | 'input'>): Promise<BegunCall> {
    const { tool, id, input } = request;
    const isBelieved = this.#options.readOnlyHint === 'trust' && this.#hints.isReadOnly(tool);
    this.#unnamedCalls += id === null ? 1 : 0;
    return await this.#options.guard.begin({
      tool: tool ?? 'unknown tool',
      key: id === null ? `unnamed-${this.#unnamedCalls}` : id.toString('utf8'),
      input,
      readOnly: isBelieved ? 'yes' : 'no',
    });
  }

  #withTrace(bytes: Buffer, calls: readonly CallRequest[]): Buffer {
    const parts: Buffer[] = [];
    let from = 0;
    for (const { tracePlace } of calls) {
      if (tracePlace === null) continue;
      const fields = newTraceFields(this.#options.traceParent);
      parts.push(bytes.subarray(from, tracePlace.at));
      parts.push(Buffer.from(traceInsertion(tracePlace, fields)));
      from = tracePlace.at;
    }
    return parts.length === 0 ? bytes : Buffer.concat([...parts, bytes.subarray(from)]);
  }

  /** Never in the middle of a line of the server. */
  async #answer(bytes: Buffer): Promise<void> {
    this.#answers.push(bytes);
    await this.#flushAnswers();
  }

  async #flushAnswers(): Promise<void> {
    if (this.#isMidLine || this.#answers.length === 0) return;
    const answers = Buffer.concat(this.#answers);
    this.#answers = [];
    await writeTo(this.#options.client.output, answers);
  }

  #awaitResponse(id: string, call: BegunCall): void {
    // An id that is used twice: the earlier call can not be told apart any more.
    void this.#calls.get(id)?.end('unknown');
    this.#calls.set(id, call);
    if (this.#calls.size <= MCP_PENDING_MAX) return;
    const [oldest] = this.#calls;
    if (oldest === undefined) return;
    void oldest[1].end('unknown');
    this.#calls.delete(oldest[0]);
  }

  #awaitList(id: string): void {
    this.#lists.add(id);
    const [oldest] = this.#lists;
    if (this.#lists.size > MCP_PENDING_MAX && oldest !== undefined) this.#lists.delete(oldest);
  }

  #onResponse(id: string, outcome: 'ok' | 'failed'): void {
    this.#lists.delete(id);
    const call = this.#calls.get(id);
    if (call === undefined) return;
    this.#calls.delete(id);
    this.#judged.push([id, call.end(outcome)]);
  }
}

/** Writes and waits until the stream takes more. Rejects when it is broken. */
export function writeTo(stream: Writable, bytes: Buffer): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  stream.write(bytes, (error) => {
    if (error === null || error === undefined) resolve();
    else reject(error);
  });
  return promise;
}

/** Rejects when `work` does, and never resolves: its end is no reason to stop. */
function failureOf(work: Promise<void>): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  work.catch(reject);
  return promise;
}
