/**
 * Reads server-sent events out of bytes, in pieces of any size.
 *
 * The data of an event is handed on as bytes, undecoded, so that what a server wrote is what a client
 * gets. Source: https://html.spec.whatwg.org/multipage/server-sent-events.html (interpretation).
 */

export interface ServerSentEvent {
  /** The `event` field; '' is "message". */
  readonly type: string;
  readonly data: Buffer;
}

export interface EventStreamOptions {
  /** An event over this is dropped; `onTooLong` says so. */
  readonly eventBytesMax: number;
  readonly onEvent: (event: ServerSentEvent) => void;
  readonly onTooLong: (sizeBytes: number) => void;
}

const LF = 0x0a;
const CR = 0x0d;
const COLON = 0x3a;
const SPACE = 0x20;
const BOM = Buffer.from([0xef, 0xbb, 0xbf]);

export class EventStreamReader {
  readonly #options: EventStreamOptions;
  #line: Buffer[] = [];
  #lineBytes = 0;
  #data: Buffer[] = [];
  #dataBytes = 0;
  #type = '';
  #lastEventId = '';
  #retryMs: number | null = null;
  #isAfterCr = false;
  #isFirstLine = true;

  constructor(options: EventStreamOptions) {
    this.#options = options;
  }

  /** '' until the server has given one. */
  get lastEventId(): string {
    return this.#lastEventId;
  }

  /** What the server asked a reconnection to wait; null when it did not. */
  get retryMs(): number | null {
    return this.#retryMs;
  }

  feed(chunk: Buffer): void {
    let from = 0;
    while (from < chunk.length) {
      if (this.#isAfterCr && chunk[from] === LF) from += 1;
      this.#isAfterCr = false;
      const end = lineEnd(chunk, from);
      this.#hold(chunk.subarray(from, end));
      if (end < chunk.length) {
        this.#isAfterCr = chunk[end] === CR;
        this.#endLine();
      }
      from = end + 1;
    }
  }

  #hold(part: Buffer): void {
    this.#lineBytes += part.length;
    if (this.#lineBytes <= this.#options.eventBytesMax) this.#line.push(part);
    else this.#line = [];
  }

  #endLine(): void {
    const sizeBytes = this.#lineBytes;
    let line = Buffer.concat(this.#line);
    this.#line = [];
    this.#lineBytes = 0;
    if (this.#isFirstLine && line.subarray(0, 3).equals(BOM)) line = line.subarray(3);
    this.#isFirstLine = false;
    if (sizeBytes > this.#options.eventBytesMax) this.#dataBytes += sizeBytes;
    else if (line.length === 0) this.#dispatch();
    else this.#field(line);
  }

  #field(line: Buffer): void {
    const colon = line.indexOf(COLON);
    if (colon === 0) return;
    const name = (colon < 0 ? line : line.subarray(0, colon)).toString('utf8');
    const skip = line[colon + 1] === SPACE ? 2 : 1;
    const value = colon < 0 ? Buffer.alloc(0) : line.subarray(colon + skip);
    if (name === 'data') {
      this.#data.push(value);
      this.#dataBytes += value.length + 1;
    } else if (name === 'event') this.#type = value.toString('utf8');
    else if (name === 'id' && !value.includes(0)) this.#lastEventId = value.toString('utf8');
    else if (name === 'retry' && /^\d{1,9}$/.test(value.toString('latin1'))) {
      this.#retryMs = Number(value.toString('latin1'));
    }
  }

  #dispatch(): void {
    const { eventBytesMax, onEvent, onTooLong } = this.#options;
    const sizeBytes = this.#dataBytes;
    const event = { type: this.#type, data: joinLines(this.#data) };
    this.#data = [];
    this.#dataBytes = 0;
    this.#type = '';
    if (sizeBytes > eventBytesMax) onTooLong(sizeBytes);
    else if (sizeBytes > 0) onEvent(event);
  }
}

function lineEnd(chunk: Buffer, from: number): number {
  const lf = chunk.indexOf(LF, from);
  const end = lf < 0 ? chunk.length : lf;
  // Only as far as the newline: a carriage return beyond it is looked for with its own line.
  const cr = chunk.subarray(from, end).indexOf(CR);
  return cr < 0 ? end : from + cr;
}

function joinLines(lines: readonly Buffer[]): Buffer {
  const parts = lines.flatMap((line, index) => (index === 0 ? [line] : [Buffer.from('\n'), line]));
  return parts.length === 1 ? (parts[0] ?? Buffer.alloc(0)) : Buffer.concat(parts);
}
