/**
 * Finds where the values of a JSON text lie, without building any of them.
 *
 * Bytes come in pieces of any size, memory does not grow with them, and strings are leapt over. A proxy
 * must know what a message is and pass it on unchanged; parsing it would lose 2^53+1, 1e999, duplicate
 * keys and the order of keys. The grammar is JSON with loose bare words: what this accepts has one
 * structure for every parser, and what it does not accept is `broken`, which callers treat as "could be
 * anything".
 */

/** Where a value lies: bytes from the start of the text, `end` exclusive. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A key of an object, or null for an element of an array, one a level. */
export type ScanPath = readonly (string | null)[];

export interface ScanOptions {
  /** Values with at most this many levels above them are reported. */
  readonly depthMax: number;
  /**
   * `path` is reused: copy what you keep. A container is reported after what it holds. `raw` is the
   * text of a string (with its quotes), number or word; null for a container and for a longer text.
   */
  readonly onValue: (path: ScanPath, span: Span, raw: string | null) => void;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** Nested deeper than any message means anything: such a text is `broken`. */
const DEPTH_MAX = 10_000;

/** Bytes of a key or a single value that are kept; a longer one is nothing that anybody asks for. */
const TOKEN_BYTES_MAX = 1024;

const NOTHING = Buffer.alloc(0);

type Expect = 'value' | 'first-value' | 'key' | 'first-key' | 'colon' | 'separator' | 'nothing';

export class JsonScanner {
  readonly #options: ScanOptions;
  /** What each open container is, outermost first. */
  readonly #containers: number[] = [];
  readonly #starts: number[] = [];
  readonly #path: (string | null)[] = [];
  #expect: Expect = 'value';
  #token: 'none' | 'key' | 'string' | 'bare' = 'none';
  #tokenStart = 0;
  #isEscaped = false;
  #tokenParts: Buffer[] = [];
  #offset = 0;
  #isBroken = false;

  constructor(options: ScanOptions) {
    this.#options = options;
  }

  /** Not JSON as far as it was seen. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  feed(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length && !this.#isBroken) {
      if (this.#token === 'key' || this.#token === 'string') at = this.#string(chunk, at);
      else {
        const byte = chunk[at] ?? 0;
        if (this.#token === 'bare') {
          if (isBare(byte)) {
            at += 1;
            continue;
          }
          this.#endToken(chunk, at);
        }
        if (!isSpace(byte)) this.#structure(byte, this.#offset + at);
        at += 1;
      }
    }
    // A string that has just begun was not looked into yet; any other has kept its part by itself.
    const hasJustBegun = this.#tokenStart === this.#offset + chunk.length - 1;
    if (this.#token === 'bare' || (this.#token !== 'none' && hasJustBegun)) {
      this.#keep(chunk, chunk.length);
    }
    this.#offset += chunk.length;
  }

  /** @returns whether the text was one whole value */
  end(): boolean {
    if (this.#token === 'bare') this.#endToken(NOTHING, 0);
    return !this.#isBroken && this.#expect === 'nothing' && this.#token === 'none';
  }

  /** Leaps to the end of the string that is under way. @returns where to go on in `chunk` */
  #string(chunk: Buffer, from: number): number {
    let at = from;
    if (this.#isEscaped) {
      this.#isEscaped = false;
      at += 1;
    }
    for (;;) {
      const quote = chunk.indexOf(QUOTE, at);
      const end = quote < 0 ? chunk.length : quote;
      const isOdd = backslashesBefore(chunk, end, at) % 2 === 1;
      if (quote < 0) {
        this.#isEscaped = isOdd;
        this.#keep(chunk, chunk.length);
        return chunk.length;
      }
      at = quote + 1;
      if (isOdd) continue;
      this.#endToken(chunk, at);
      return at;
    }
  }

  #structure(byte: number, at: number): void {
    switch (byte) {
      case QUOTE:
        this.#beginString(at);
        break;
      case OPEN_OBJECT:
      case OPEN_ARRAY:
        this.#open(byte, at);
        break;
      case CLOSE_OBJECT:
      case CLOSE_ARRAY:
        this.#close(byte, at);
        break;
      case COLON:
        if (this.#expect === 'colon') this.#expect = 'value';
        else this.#isBroken = true;
        break;
      case COMMA:
        if (this.#expect === 'separator') {
          this.#expect = this.#containers.at(-1) === OPEN_OBJECT ? 'key' : 'value';
        } else this.#isBroken = true;
        break;
      default:
        if (this.#takesValue() && isBare(byte)) {
          this.#token = 'bare';
          this.#tokenStart = at;
        } else this.#isBroken = true;
    }
  }

  #beginString(at: number): void {
    if (this.#expect === 'key' || this.#expect === 'first-key') this.#token = 'key';
    else if (this.#takesValue()) this.#token = 'string';
    else this.#isBroken = true;
    this.#tokenStart = at;
  }

  #open(byte: number, at: number): void {
    if (!this.#takesValue() || this.#containers.length >= DEPTH_MAX) {
      this.#isBroken = true;
      return;
    }
    this.#containers.push(byte);
    this.#starts.push(at);
    this.#path.push(null);
    this.#expect = byte === OPEN_OBJECT ? 'first-key' : 'first-value';
  }

  #close(byte: number, at: number): void {
    const opened = byte === CLOSE_OBJECT ? OPEN_OBJECT : OPEN_ARRAY;
    const isEmpty = this.#expect === (byte === CLOSE_OBJECT ? 'first-key' : 'first-value');
    if (this.#containers.at(-1) !== opened || !(isEmpty || this.#expect === 'separator')) {
      this.#isBroken = true;
      return;
    }
    this.#containers.pop();
    this.#path.pop();
    this.#endValue(this.#starts.pop() ?? 0, at + 1, null);
  }

  /** The token ends before `end` in `chunk`. */
  #endToken(chunk: Buffer, end: number): void {
    this.#keep(chunk, end);
    const raw = this.#tokenText();
    const isKey = this.#token === 'key';
    this.#token = 'none';
    this.#tokenParts = [];
    if (!isKey) {
      this.#endValue(this.#tokenStart, this.#offset + end, raw);
      return;
    }
    // A key that is too long or has a broken escape is no key that anybody asks for.
    this.#path[this.#path.length - 1] = raw === null ? '' : (decodeString(raw) ?? '');
    this.#expect = 'colon';
  }

  #endValue(start: number, end: number, raw: string | null): void {
    if (this.#path.length <= this.#options.depthMax) {
      this.#options.onValue(this.#path, { start, end }, raw);
    }
    this.#expect = this.#containers.length === 0 ? 'nothing' : 'separator';
  }

  /** Keeps what `chunk` holds of the token under way; the first piece over the bound is the last. */
  #keep(chunk: Buffer, end: number): void {
    if (this.#path.length > this.#options.depthMax || this.#keptBytes() > TOKEN_BYTES_MAX) return;
    const from = Math.max(this.#tokenStart - this.#offset, 0);
    this.#tokenParts.push(chunk.subarray(from, Math.min(end, from + TOKEN_BYTES_MAX + 1)));
  }

  #keptBytes(): number {
    return this.#tokenParts.reduce((sum, part) => sum + part.length, 0);
  }

  #tokenText(): string | null {
    if (this.#keptBytes() > TOKEN_BYTES_MAX) return null;
    const [only = NOTHING] = this.#tokenParts;
    return (this.#tokenParts.length > 1 ? Buffer.concat(this.#tokenParts) : only).toString('utf8');
  }

  #takesValue(): boolean {
    return this.#expect === 'value' || this.#expect === 'first-value';
  }
}

function backslashesBefore(chunk: Buffer, end: number, from: number): number {
  let at = end;
  while (at > from && chunk[at - 1] === BACKSLASH) at -= 1;
  return end - at;
}

/** The text of a JSON string, quotes included; null when it is none. */
export function decodeString(raw: string): string | null {
  if (raw.startsWith('"') && !raw.includes('\\')) return raw.slice(1, -1);
  try {
    const value: unknown = JSON.parse(raw);
    return typeof value === 'string' ? value : null;
  } catch {
    // A broken escape: whoever reads the message will refuse it; here it only has no known text.
    return null;
  }
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d;
}

/** Numbers, true, false, null, and what lenient writers put there (NaN, Infinity). */
function isBare(byte: number): boolean {
  return (
    (byte >= 0x30 && byte <= 0x39) ||
    (byte >= 0x61 && byte <= 0x7a) ||
    (byte >= 0x41 && byte <= 0x5a) ||
    byte === 0x2d ||
    byte === 0x2b ||
    byte === 0x2e
  );
}
