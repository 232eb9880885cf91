/**
 * JSON from outside, refused before it is parsed when it is too large, too deep or ambiguous.
 *
 * `JSON.parse` blocks on deep nesting, keeps the last of two equal keys and makes `__proto__` an
 * ordinary key: each has been used to make two readers of one text disagree. The text is scanned once,
 * without recursion and without building anything; only what passes is parsed.
 */
import { GhostsnapError } from '../core/errors.ts';

export interface JsonBounds {
  readonly bytesMax: number;
  readonly depthMax: number;
}

/** A tool's input may be a whole file; nesting beyond this is nobody's payload. */
export const HOOK_PAYLOAD: JsonBounds = { bytesMax: 16_777_216, depthMax: 64 };

/** @throws GhostsnapError BAD_ARGUMENT saying what is wrong with it */
export function parseStrictJson(bytes: Uint8Array, bounds: JsonBounds): unknown {
  if (bytes.length > bounds.bytesMax) {
    throw refused(`it has ${bytes.length} bytes; ${bounds.bytesMax} is the most`);
  }
  const text = decodeUtf8(bytes);
  scan(text, bounds.depthMax);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw refused('it is not JSON', error);
  }
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw refused('it is not UTF-8', error);
  }
}

/** Keys of an object that is open, null for an array. */
type Frame = Set<string> | null;

function scan(text: string, depthMax: number): void {
  const frames: Frame[] = [];
  let at = 0;
  while (at < text.length) {
    const character = text[at];
    if (character === '"') {
      const end = endOfString(text, at);
      if (isKey(text, end)) noteKey(frames.at(-1), text.slice(at, end));
      at = end;
      continue;
    }
    if (character === '{' || character === '[') {
      if (frames.length === depthMax) throw refused(`it is nested deeper than ${depthMax} levels`);
      frames.push(character === '{' ? new Set() : null);
    } else if (character === '}' || character === ']') frames.pop();
    at += 1;
  }
}

/** One past the closing quote; the text's end when there is none. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  for (;;) {
    const quote = text.indexOf('"', at);
    if (quote < 0) return text.length;
    let slashes = 0;
    while (text[quote - 1 - slashes] === '\\') slashes += 1;
    if (slashes % 2 === 0) return quote + 1;
    at = quote + 1;
  }
}

function isKey(text: string, end: number): boolean {
  let at = end;
  while (at < text.length && ' \t\n\r'.includes(text.charAt(at))) at += 1;
  return text[at] === ':';
}

function noteKey(keys: Frame | undefined, literal: string): void {
  if (keys === undefined || keys === null) return;
  const key = literal.includes('\\') ? unescaped(literal) : literal.slice(1, -1);
  if (key === '__proto__') throw refused('it has a key "__proto__"');
  if (keys.has(key)) throw refused(`it has the key ${JSON.stringify(key).slice(0, 80)} twice`);
  keys.add(key);
}

function unescaped(literal: string): string {
  try {
    return String(JSON.parse(literal));
  } catch (error) {
    throw refused('it is not JSON', error);
  }
}

function refused(what: string, cause?: unknown): GhostsnapError {
  return new GhostsnapError('BAD_ARGUMENT', `The hook's payload was refused: ${what}.`, {
    hint: 'Report it with the name and version of the harness: nothing was done.',
    ...(cause === undefined ? {} : { cause }),
  });
}
