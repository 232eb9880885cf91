/**
 * Answers frames on one long-lived stream.
 *
 * The busiest path: a connection of a gateway carries the calls of hundreds of sessions, and a line costs a
 * tenth of a request. Each frame meets the same limits and the same checks as a request, one by one;
 * answers come as they are ready, under the number of their question. Memory is bounded: so many frames are
 * under way, and nothing more is read while the peer does not take its answers. A line that cannot be
 * read as a frame is answered and ends the stream, as nobody knows what it was.
 */
import type { Duplex } from 'node:stream';
import { GhostsnapError } from '../../core/errors.ts';
import { FRAME_BYTES_MAX, FRAMES_IN_FLIGHT_MAX } from '../../core/limits.ts';
import { LineSplitter } from './line-splitter.ts';
import { type Frame, FrameRefusal, parseFrame } from './parse-frame.ts';

/** What travels back: a status as HTTP has it, and the output or the problem. */
export type FrameAnswer =
  | { readonly status: number; readonly output: unknown }
  | { readonly status: number; readonly problem: unknown; readonly retryAfterS?: number };

export interface FrameService {
  /**
   * Checks, parses and answers one frame; what fails is an answer too. Never throws.
   * @param gone aborts when nobody is there any more to take the answer
   */
  answer(frame: Frame, gone: AbortSignal): Promise<FrameAnswer>;
  refuse(refusal: FrameRefusal): FrameAnswer;
  /**
   * Counts bytes that wait to be taken.
   * @param cut ends the stream, when they wait too long
   * @returns lets go of them; again does nothing
   */
  hold(bytes: number, cut: () => void): () => void;
  /** What takes the place of an answer of so many bytes; null: there is room for it. */
  noRoomFor(bytes: number): FrameAnswer | null;
  /** Aborts when no new frames are to be taken: what is under way is answered, then the stream ends. */
  readonly stopping: AbortSignal;
}

/** Returns when the stream has ended and everything that was taken is answered, or nobody reads it. */
export async function serveFrames(stream: Duplex, service: FrameService): Promise<void> {
  const connection = new FrameConnection(stream, service);
  await connection.serve();
}

/** Characters of an answer that is a page of something: what a change answers is always let out. */
const LARGE_CHARACTERS = 65_536;

class FrameConnection {
  readonly #stream: Duplex;
  readonly #service: FrameService;
  readonly #lines = new LineSplitter(FRAME_BYTES_MAX);
  readonly #ended = Promise.withResolvers<void>();
  readonly #gone = new AbortController();
  /** Lets go of what was written and not taken. */
  readonly #held = new Set<() => void>();
  #underWay = 0;
  /** Answers of this turn of the loop: one write, one TLS record. */
  #out = '';
  #isReading = true;
  #isBlocked = false;

  constructor(stream: Duplex, service: FrameService) {
    this.#stream = stream;
    this.#service = service;
  }

  async serve(): Promise<void> {
    const stream = this.#stream;
    const stop = (): void => this.#stopReading();
    this.#service.stopping.addEventListener('abort', stop, { once: true });
    stream.on('data', (chunk: Buffer) => this.#receive(chunk));
    stream.on('end', stop);
    stream.on('drain', () => {
      this.#isBlocked = false;
      this.#flow();
    });
    // Whoever asked has gone away: the answers have nobody to go to.
    stream.on('error', () => this.#ended.resolve());
    stream.on('close', () => this.#ended.resolve());
    if (this.#service.stopping.aborted) stop();
    try {
      await this.#ended.promise;
    } finally {
      this.#service.stopping.removeEventListener('abort', stop);
      this.#gone.abort();
      for (const letGo of this.#held) letGo();
    }
  }

  #receive(chunk: Buffer): void {
    if (!this.#isReading) return;
    const lines = this.#lines.push(chunk);
    if (lines === null) {
      this.#send(null, this.#service.refuse(lineTooLong()));
      this.#stopReading();
      return;
    }
    for (const line of lines) {
      if (!this.#isReading) return;
      this.#take(line);
    }
    this.#flow();
  }

  #take(line: Buffer): void {
    const frame = parseFrame(line);
    if (frame instanceof FrameRefusal) {
      this.#send(frame.id, this.#service.refuse(frame));
      if (frame.id === null) this.#stopReading();
      return;
    }
    this.#underWay += 1;
    void this.#answer(frame);
  }

  async #answer(frame: Frame): Promise<void> {
    const answer = await this.#service.answer(frame, this.#gone.signal);
    this.#underWay -= 1;
    this.#send(frame.id, answer);
    this.#flow();
    if (!this.#isReading && this.#underWay === 0) this.#end();
  }

  #send(id: number | null, answer: FrameAnswer): void {
    if (this.#out === '') setImmediate(() => this.#flush());
    const line = JSON.stringify({ id, ...answer });
    const refusal = line.length < LARGE_CHARACTERS ? null : this.#service.noRoomFor(line.length);
    this.#out += `${refusal === null ? line : JSON.stringify({ id, ...refusal })}\n`;
  }

  #flush(): void {
    const out = this.#out;
    this.#out = '';
    if (out === '' || !this.#stream.writable) return;
    const letGo = this.#service.hold(out.length, () => this.#stream.destroy());
    this.#held.add(letGo);
    const taken = (): void => {
      letGo();
      this.#held.delete(letGo);
    };
    if (!this.#stream.write(out, taken)) {
      this.#isBlocked = true;
      this.#flow();
    }
  }

  /** Lines of a chunk that was read already are taken even so: a chunk is small. */
  #flow(): void {
    if (!this.#isReading) return;
    const isFull = this.#isBlocked || this.#underWay >= FRAMES_IN_FLIGHT_MAX;
    if (isFull) this.#stream.pause();
    else if (this.#stream.isPaused()) this.#stream.resume();
  }

  #stopReading(): void {
    if (!this.#isReading) return;
    this.#isReading = false;
    // The rest is let through unread, or the end of the stream would never be seen.
    this.#stream.resume();
    if (this.#underWay === 0) this.#end();
  }

  #end(): void {
    this.#flush();
    if (this.#stream.writable) this.#stream.end();
  }
}

function lineTooLong(): FrameRefusal {
  const message = `A frame was refused: it has more than ${FRAME_BYTES_MAX} bytes.`;
  const hint = 'Send large inputs in parts, or leave them out.';
  return new FrameRefusal(null, new GhostsnapError('BAD_ARGUMENT', message, { hint }));
}
