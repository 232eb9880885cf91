/**
 * Many paths in order, in few bytes each and outside of the JavaScript heap.
 *
 * Each path is kept as what it does not share with the one before it, so paths in walk order take little
 * more than their last names. A group of paths is one buffer that begins with a whole path, so any of
 * them is found by reading at most one group. Paths are added at the end and never removed.
 *
 *   group = { shared:varuint rest:varuint rest bytes }{GROUP}      one byte a unit, as raw paths are
 */
import type { RawPath } from '../core/raw-path.ts';

/** Paths in one buffer: what looking one up reads, against what the buffer itself takes. */
const GROUP = 64;
/** Two varuints of at most five bytes. */
const HEAD_BYTES_MAX = 10;

export class PathList {
  readonly #groups: Buffer[] = [];
  /** The last paths, fewer than a group. */
  #open: RawPath[] = [];

  get length(): number {
    return this.#groups.length * GROUP + this.#open.length;
  }

  /** Returns where it is: `at` gives it back. */
  push(path: RawPath): number {
    const index = this.length;
    this.#open.push(path);
    if (this.#open.length === GROUP) {
      this.#groups.push(encodeGroup(this.#open));
      this.#open = [];
    }
    return index;
  }

  /** @throws RangeError when nothing is there */
  at(index: number): RawPath {
    const group = this.#groups[Math.floor(index / GROUP)];
    const path = group === undefined ? this.#open[index % GROUP] : nthOf(group, index % GROUP);
    if (path === undefined) throw new RangeError(`There is no path ${index} in the list.`);
    return path;
  }

  *[Symbol.iterator](): Generator<RawPath> {
    for (const group of this.#groups) yield* pathsOf(group);
    yield* this.#open;
  }
}

function encodeGroup(paths: readonly RawPath[]): Buffer {
  const bytesMax = paths.reduce((sum, path) => sum + path.length + HEAD_BYTES_MAX, 0);
  const bytes = Buffer.allocUnsafe(bytesMax);
  let at = 0;
  let before = '';
  for (const path of paths) {
    const shared = sharedLength(before, path);
    at = writeVaruint(bytes, at, shared);
    at = writeVaruint(bytes, at, path.length - shared);
    at += bytes.write(path.slice(shared), at, 'latin1');
    before = path;
  }
  // A buffer of its own: a piece of the pool would keep all of the pool's block.
  const group = Buffer.allocUnsafeSlow(at);
  bytes.copy(group, 0, 0, at);
  return group;
}

function* pathsOf(group: Buffer): Generator<RawPath> {
  let at = 0;
  let path = '';
  while (at < group.length) {
    const shared = readVaruint(group, at);
    const rest = readVaruint(group, shared.next);
    at = rest.next + rest.value;
    path = path.slice(0, shared.value) + group.toString('latin1', rest.next, at);
    yield path as RawPath;
  }
}

function nthOf(group: Buffer, index: number): RawPath | undefined {
  let seen = 0;
  for (const path of pathsOf(group)) {
    if (seen === index) return path;
    seen += 1;
  }
  return undefined;
}

function sharedLength(a: string, b: string): number {
  const max = Math.min(a.length, b.length);
  let length = 0;
  while (length < max && a.charCodeAt(length) === b.charCodeAt(length)) length += 1;
  return length;
}

function writeVaruint(bytes: Buffer, start: number, value: number): number {
  let at = start;
  let rest = value;
  for (; rest >= 0x80; rest >>>= 7) at = bytes.writeUInt8((rest & 0x7f) | 0x80, at);
  return bytes.writeUInt8(rest, at);
}

function readVaruint(bytes: Buffer, start: number): { value: number; next: number } {
  let value = 0;
  for (let at = start, shift = 0; ; at += 1, shift += 7) {
    const byte = bytes.readUInt8(at);
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return { value, next: at + 1 };
  }
}
