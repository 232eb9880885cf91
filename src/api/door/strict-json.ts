/**
 * JSON from outside, refused before it is parsed when it is too large, too deep or ambiguous.
 *
 * `JSON.parse` blocks on deep nesting, keeps the last of two equal keys, makes `__proto__` an ordinary
 * key, turns 1e999 into Infinity and takes the last digit of 2^53+1 away: each has been used to make two
 * readers of one text disagree. The bytes are looked at once, without recursion and without building
 * anything; only what passes is parsed. Whatever passes is JSON, and means the same to every reader.
 *
 * A refusal is a value and not an exception: a stack trace costs more than a good request does, and a
 * flood of bad ones must be cheaper than that.
 */
import { isUtf8 } from 'node:buffer';
import { GhostsnapError } from '../../core/errors.ts';

export interface JsonBounds {
  readonly bytesMax: number;
  readonly depthMax: number;
  /**
   * `exact` also refuses what no two programs agree about: numbers that a double can not hold, half
   * characters, a byte-order mark. `lenient` lets them pass, for texts that are looked at and handed on:
   * a harness may well send its agent's half an emoji.
   */
  readonly values: 'exact' | 'lenient';
}

/** A tool's input may be a whole file; nesting beyond this is nobody's payload. */
export const HOOK_PAYLOAD: JsonBounds = { bytesMax: 16_777_216, depthMax: 64, values: 'lenient' };

/** A request to the service: its largest, a list of paths to restore, stays below. */
export const REQUEST_BODY: JsonBounds = { bytesMax: 65_536, depthMax: 32, values: 'exact' };

export type JsonReading =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly why: string };

/** Reads bytes as JSON within bounds. Never throws. */
export function readStrictJson(bytes: Uint8Array, bounds: JsonBounds): JsonReading {
  if (bytes.length > bounds.bytesMax) {
    return refusal(`it has ${bytes.length} bytes; ${bounds.bytesMax} is the most`);
  }
  if (!isUtf8(bytes)) return refusal('it is not UTF-8');
  const decoded = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8');
  const isMarked = bounds.values === 'lenient' && decoded.startsWith(BYTE_ORDER_MARK);
  const text = isMarked ? decoded.slice(1) : decoded;
  const why = new Scan(text, bounds).run();
  if (why !== null) return refusal(why);
  try {
    return { ok: true, value: JSON.parse(text) };
  } catch {
    // The scan knows the grammar, so this is not reached; if it were, refusing is the safe side.
    return refusal(NOT_JSON);
  }
}

/**
 * @param subject begins the sentence: "The hook's payload"
 * @throws GhostsnapError BAD_ARGUMENT saying what is wrong with it
 */
export function parseStrictJson(
  bytes: Uint8Array,
  bounds: JsonBounds,
  { subject, hint }: { readonly subject: string; readonly hint: string },
): unknown {
  const reading = readStrictJson(bytes, bounds);
  if (reading.ok) return reading.value;
  throw new GhostsnapError('BAD_ARGUMENT', `${subject} was refused: ${reading.why}.`, { hint });
}

function refusal(why: string): JsonReading {
  return { ok: false, why };
}

const NOT_JSON = 'it is not JSON';
const BYTE_ORDER_MARK = '\ufeff';
const KEY_SHOWN_CHARACTERS = 80;

// Sticky: each is tried where the scan stands and nowhere else, and none can backtrack.
// biome-ignore lint/suspicious/noControlCharactersInRegex: the grammar forbids them in a string.
const PLAIN_CHARACTERS = /[^"\\\u0000-\u001f]*/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const WORD = /true|false|null/y;
const SPACE = /[ \t\n\r]*/y;

/** Keys of an object that is open, null for an array. */
type Frame = Set<string> | null;

class Scan {
  readonly #text: string;
  readonly #depthMax: number;
  readonly #isExact: boolean;
  readonly #frames: Frame[] = [];
  #at = 0;
  #why: string | null = null;

  constructor(text: string, bounds: JsonBounds) {
    this.#text = text;
    this.#depthMax = bounds.depthMax;
    this.#isExact = bounds.values === 'exact';
  }

  /** @returns why the text is refused, null when it is not */
  run(): string | null {
    // Each turn reads one value, or one container's opening, and then whatever closes behind it.
    let isMore = true;
    while (isMore && this.#why === null) {
      this.#skip(SPACE);
      const opened = this.#value();
      isMore = opened === 'opened' ? this.#first() : this.#next();
    }
    return this.#why;
  }

  #value(): 'opened' | 'whole' {
    const character = this.#text[this.#at];
    if (character === '{' || character === '[') {
      if (this.#frames.length === this.#depthMax) {
        this.#why = `it is nested deeper than ${this.#depthMax} levels`;
        return 'whole';
      }
      this.#frames.push(character === '{' ? new Set() : null);
      this.#at += 1;
      return 'opened';
    }
    if (character === '"') this.#string();
    else if (character === 't' || character === 'f' || character === 'n') this.#expect(WORD);
    else this.#number();
    return 'whole';
  }

  /** Behind an opening bracket. @returns whether a value follows */
  #first(): boolean {
    this.#skip(SPACE);
    const keys = this.#frames.at(-1);
    if (this.#text[this.#at] === (keys === null ? ']' : '}')) {
      this.#at += 1;
      this.#frames.pop();
      return this.#next();
    }
    return keys === null || keys === undefined ? true : this.#key(keys);
  }

  /** Behind a value: closes what ends here. @returns whether another value follows */
  #next(): boolean {
    while (this.#why === null) {
      this.#skip(SPACE);
      const keys = this.#frames.at(-1);
      const character = this.#text[this.#at];
      if (keys === undefined) {
        if (this.#at < this.#text.length) this.#why = NOT_JSON;
        return false;
      }
      this.#at += 1;
      if (character === ',') {
        this.#skip(SPACE);
        return keys === null ? true : this.#key(keys);
      }
      if (character !== (keys === null ? ']' : '}')) this.#why = NOT_JSON;
      else this.#frames.pop();
    }
    return false;
  }

  #key(keys: Set<string>): boolean {
    const start = this.#at;
    const hasEscape = this.#string();
    if (this.#why !== null) return false;
    const literal = this.#text.slice(start, this.#at);
    const key = hasEscape ? String(JSON.parse(literal)) : literal.slice(1, -1);
    if (key === '__proto__') this.#why = 'it has a key "__proto__"';
    else if (keys.has(key)) {
      this.#why = `it has the key ${JSON.stringify(key).slice(0, KEY_SHOWN_CHARACTERS)} twice`;
    }
    keys.add(key);
    this.#skip(SPACE);
    if (this.#text[this.#at] !== ':') this.#why ??= NOT_JSON;
    this.#at += 1;
    return this.#why === null;
  }

  /** @returns whether there is an escape in it */
  #string(): boolean {
    let hasEscape = false;
    if (this.#text[this.#at] !== '"') {
      this.#why = NOT_JSON;
      return false;
    }
    this.#at += 1;
    for (;;) {
      this.#skip(PLAIN_CHARACTERS);
      const character = this.#text[this.#at];
      if (character === '"') {
        this.#at += 1;
        return hasEscape;
      }
      hasEscape = true;
      const start = this.#at;
      // The end of the text and a bare control character are no escape either.
      if (!this.#expect(ESCAPE)) return hasEscape;
      if (this.#isExact && this.#text[start + 1] === 'u' && !this.#isWhole(start)) {
        this.#why = 'it has half of a surrogate pair';
        return hasEscape;
      }
    }
  }

  /** Steps over the second half of a pair. @param start of a `\uXXXX` that has been read */
  #isWhole(start: number): boolean {
    const first = Number.parseInt(this.#text.slice(start + 2, start + 6), 16);
    if (first < 0xd800 || first > 0xdfff) return true;
    const low = /^\\u[dD][c-fC-F][0-9a-fA-F]{2}$/;
    const isPair = first < 0xdc00 && low.test(this.#text.slice(start + 6, start + 12));
    if (isPair) this.#at += 6;
    return isPair;
  }

  #number(): void {
    const start = this.#at;
    if (!this.#expect(NUMBER) || !this.#isExact) return;
    const literal = this.#text.slice(start, this.#at);
    const value = Number(literal);
    const isTooLarge = Number.isInteger(value) && !Number.isSafeInteger(value);
    if (!Number.isFinite(value) || isTooLarge) {
      this.#why = 'it has a number that no program holds exactly';
    } else if (value === 0 && /[1-9]/.test(literal.replace(/[eE].*/, ''))) {
      this.#why = 'it has a number too small to be told from 0';
    }
  }

  #skip(pattern: RegExp): void {
    pattern.lastIndex = this.#at;
    pattern.test(this.#text);
    this.#at = pattern.lastIndex;
  }

  #expect(pattern: RegExp): boolean {
    pattern.lastIndex = this.#at;
    if (!pattern.test(this.#text)) {
      this.#why ??= NOT_JSON;
      return false;
    }
    this.#at = pattern.lastIndex;
    return true;
  }
}
