/**
 * File names as bytes.
 *
 * Linux names are bytes, not text. Everywhere inside, a name or a path is a string with one UTF-16
 * unit for each byte ("latin1"): V8 keeps it in one byte a character, `<` compares in byte order, and
 * it goes to a system call without loss. Only the edge turns it into text (`displayPath`) or makes it
 * from text (`rawFromText`).
 *
 * A RawPath is relative to the workspace's root, without leading or trailing slash; '' is the root.
 */
import { GhostsnapError } from './errors.ts';

export type RawName = string & { readonly __rawName: true };
export type RawPath = string & { readonly __rawPath: true };

export const ROOT_PATH = '' as RawPath;

export function joinRaw(parent: RawPath, name: RawName): RawPath {
  return (parent === '' ? name : `${parent}/${name}`) as RawPath;
}

export function parentOf(path: RawPath): RawPath {
  const slash = path.lastIndexOf('/');
  return (slash < 0 ? '' : path.slice(0, slash)) as RawPath;
}

export function baseOf(path: RawPath): RawName {
  return path.slice(path.lastIndexOf('/') + 1) as RawName;
}

/** True when `path` is `ancestor` or lies below it. */
export function isWithin(path: RawPath, ancestor: RawPath): boolean {
  return ancestor === '' || path === ancestor || path.startsWith(`${ancestor}/`);
}

/**
 * Orders paths as a walk visits them: a directory before its entries, entries in byte order. Plain
 * `<` would put `a.b` before `a/b`, because '.' sorts before '/'.
 */
export function comparePaths(a: RawPath, b: RawPath): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i += 1) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return x === SLASH ? -1 : y === SLASH ? 1 : x - y;
  }
  return a.length - b.length;
}

const SLASH = 0x2f;

/**
 * Parses a relative path from outside. `.`, empty segments, `..`, NUL and a leading slash are refused.
 * @throws GhostsnapError PATH_OUTSIDE, BAD_ARGUMENT
 */
export function parseRawPath(raw: string): RawPath {
  if (raw.includes('\0')) {
    throw new GhostsnapError('BAD_ARGUMENT', 'A path contains a NUL byte.');
  }
  for (const segment of raw.split('/')) {
    if (segment === '' || segment === '.' || segment === '..') {
      throw new GhostsnapError(
        'PATH_OUTSIDE',
        `The path ${displayPath(raw as RawPath)} does not stay inside the workspace`,
        { hint: 'Name a path relative to the workspace, without empty, "." or ".." segments.' },
      );
    }
  }
  return raw as RawPath;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: every code below 0x80 is its own byte.
const ASCII = /^[\u0000-\u007f]*$/;

/** Text to bytes-as-latin1 (UTF-8). Lone surrogates become U+FFFD, as everywhere on the platform. */
export function rawFromText(text: string): string {
  if (ASCII.test(text)) return text;
  let raw = '';
  for (const character of text) {
    let code = character.codePointAt(0) ?? 0;
    if (code >= 0xd800 && code <= 0xdfff) code = 0xfffd;
    if (code < 0x80) raw += character;
    else if (code < 0x800) raw += String.fromCharCode(0xc0 | (code >> 6), 0x80 | (code & 63));
    else if (code < 0x10000) {
      raw += String.fromCharCode(
        0xe0 | (code >> 12),
        0x80 | ((code >> 6) & 63),
        0x80 | (code & 63),
      );
    } else {
      raw += String.fromCharCode(
        0xf0 | (code >> 18),
        0x80 | ((code >> 12) & 63),
        0x80 | ((code >> 6) & 63),
        0x80 | (code & 63),
      );
    }
  }
  return raw;
}

/**
 * Bytes to text for people and JSON. Valid UTF-8 is decoded; every other byte, every control
 * character and the backslash become `\xHH` (`\\` for the backslash), so the result has one reading
 * and no terminal escape gets through.
 */
export function displayPath(raw: string): string {
  let text = '';
  let i = 0;
  while (i < raw.length) {
    const width = sequenceWidth(raw, i);
    if (width === 0) {
      text += `\\x${raw.charCodeAt(i).toString(16).padStart(2, '0')}`;
      i += 1;
      continue;
    }
    const code = decodeAt(raw, i, width);
    const isControl = code < 0x20 || (code >= 0x7f && code < 0xa0);
    if (code === 0x5c) text += '\\\\';
    else if (isControl) {
      for (let k = i; k < i + width; k += 1) {
        text += `\\x${raw.charCodeAt(k).toString(16).padStart(2, '0')}`;
      }
    } else text += String.fromCodePoint(code);
    i += width;
  }
  return text;
}

/**
 * The inverse of `displayPath`: `\\xHH` and `\\\\` become bytes again, everything else is UTF-8.
 * @throws GhostsnapError BAD_ARGUMENT on any other escape
 */
export function parseDisplayPath(text: string): string {
  return rawFromText(text).replace(/\\(x[0-9a-fA-F]{2}|[\s\S]?)/g, (sequence, body: string) => {
    if (body === '\\') return '\\';
    if (body.length === 3) return String.fromCharCode(Number.parseInt(body.slice(1), 16));
    throw new GhostsnapError('BAD_ARGUMENT', `${sequence} is not an escape in a path`, {
      hint: 'Write a backslash as two, and a byte that is not UTF-8 as a backslash, x and two digits.',
    });
  });
}

/** The width in bytes of the valid UTF-8 sequence at `i`, or 0. */
function sequenceWidth(raw: string, i: number): number {
  const first = raw.charCodeAt(i);
  const width =
    first < 0x80
      ? 1
      : first < 0xc2
        ? 0
        : first < 0xe0
          ? 2
          : first < 0xf0
            ? 3
            : first < 0xf5
              ? 4
              : 0;
  if (width === 0 || i + width > raw.length) return 0;
  for (let k = i + 1; k < i + width; k += 1) {
    if ((raw.charCodeAt(k) & 0xc0) !== 0x80) return 0;
  }
  if (width < 3) return width;
  const code = decodeAt(raw, i, width);
  const isOverlong = code < (width === 3 ? 0x800 : 0x10000);
  const isSurrogate = code >= 0xd800 && code <= 0xdfff;
  return isOverlong || isSurrogate || code > 0x10ffff ? 0 : width;
}

function decodeAt(raw: string, i: number, width: number): number {
  if (width === 1) return raw.charCodeAt(i);
  let code = raw.charCodeAt(i) & (0xff >> (width + 1));
  for (let k = 1; k < width; k += 1) code = (code << 6) | (raw.charCodeAt(i + k) & 63);
  return code;
}
