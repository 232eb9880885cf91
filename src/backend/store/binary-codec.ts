/**
 * Writing and reading the store's binary formats.
 *
 * All integers are little-endian. A `varuint` has seven bits a byte, lowest first, the high bit set on
 * all but the last; the shortest form is the only one that is accepted, so that equal values have equal
 * bytes. Text is one byte a unit (see core/raw-path.ts). A reader never goes beyond its bytes: whatever
 * is wrong with them becomes one `FormatError`, which says nothing of files; its catcher knows the path.
 */
import { type ErrorCode, GhostsnapError } from '../../core/errors.ts';
import { displayPath, rawFromText } from '../../core/raw-path.ts';

/** The bytes are not what the format says: torn, flipped, foreign or from a later version. */
export class FormatError extends Error {
  override readonly name = 'FormatError';
  readonly isTooNew: boolean;

  constructor(message: string, reason: 'corrupt' | 'too-new' = 'corrupt') {
    super(message);
    this.isTooNew = reason === 'too-new';
  }
}

/**
 * The error a person gets for a file that can't be decoded; other errors pass unchanged. `path` is text.
 * A file from a later version is FORMAT_TOO_NEW, everything else SNAPSHOT_CORRUPT.
 */
export function toFormatFailure(error: unknown, path: string): unknown {
  if (!(error instanceof FormatError)) return error;
  const shown = displayPath(rawFromText(path));
  const code: ErrorCode = error.isTooNew ? 'FORMAT_TOO_NEW' : 'SNAPSHOT_CORRUPT';
  const hint = error.isTooNew
    ? 'Use the version of ghostsnap that wrote it, or a later one.'
    : 'Go back to another snapshot; check the disk, for the file is not as it was written.';
  const options = { data: { path: shown }, hint, cause: error };
  return new GhostsnapError(code, `${error.message}: ${shown}`, options);
}

const FIRST_BYTES = 4096;
const U32 = 2 ** 32;

/** A growing buffer. `reset()` makes it empty and keeps the memory. */
export class ByteWriter {
  #buffer = Buffer.allocUnsafe(FIRST_BYTES);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  reset(): void {
    this.#length = 0;
  }

  /** A view, valid until the next write. */
  view(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  u8(value: number): void {
    this.#room(1);
    this.#buffer[this.#length] = value;
    this.#length += 1;
  }

  u32(value: number): void {
    this.#room(4);
    this.#length = this.#buffer.writeUInt32LE(value, this.#length);
  }

  /** An integer within +-2^53, as two's complement of 64 bits. */
  i64(value: number): void {
    this.#room(8);
    this.#buffer.writeUInt32LE(((value % U32) + U32) % U32, this.#length);
    this.#buffer.writeInt32LE(Math.floor(value / U32), this.#length + 4);
    this.#length += 8;
  }

  /** 0 to 2^53 - 1. */
  varuint(value: number): void {
    this.#room(8);
    let rest = value;
    while (rest >= 0x80) {
      this.#buffer[this.#length] = (rest % 0x80) | 0x80;
      this.#length += 1;
      rest = Math.floor(rest / 0x80);
    }
    this.#buffer[this.#length] = rest;
    this.#length += 1;
  }

  bytes(value: Uint8Array): void {
    this.#room(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
  }

  /** Bytes of known length, one unit a byte. */
  fixedText(text: string): void {
    this.#room(text.length);
    this.#length += this.#buffer.write(text, this.#length, 'latin1');
  }

  /** A varuint length, then the bytes. */
  text(text: string): void {
    this.varuint(text.length);
    this.fixedText(text);
  }

  #room(bytes: number): void {
    const wanted = this.#length + bytes;
    if (wanted <= this.#buffer.length) return;
    const bigger = Buffer.allocUnsafe(Math.max(wanted, this.#buffer.length * 2));
    this.#buffer.copy(bigger, 0, 0, this.#length);
    this.#buffer = bigger;
  }
}

/** Reads what ByteWriter wrote. @throws FormatError from every method */
export class ByteReader {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get offset(): number {
    return this.#at;
  }

  get remaining(): number {
    return this.#buffer.length - this.#at;
  }

  u8(): number {
    return this.#buffer[this.#take(1)] ?? 0;
  }

  u32(): number {
    return this.#buffer.readUInt32LE(this.#take(4));
  }

  i64(): number {
    const at = this.#take(8);
    const value = this.#buffer.readInt32LE(at + 4) * U32 + this.#buffer.readUInt32LE(at);
    if (!Number.isSafeInteger(value)) throw new FormatError('A number is out of range');
    return value;
  }

  varuint(): number {
    let value = 0;
    let factor = 1;
    for (;;) {
      const byte = this.u8();
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) {
        const isShortest = byte !== 0 || factor === 1;
        if (isShortest && Number.isSafeInteger(value)) return value;
        throw new FormatError('A number has no canonical form');
      }
      factor *= 0x80;
      if (factor > 2 ** 53) throw new FormatError('A number is out of range');
    }
  }

  fixedText(length: number): string {
    const at = this.#take(length);
    return this.#buffer.toString('latin1', at, at + length);
  }

  text(): string {
    return this.fixedText(this.varuint());
  }

  /** A copy, so that a large buffer is not held by a small part. */
  bytes(length: number): Buffer {
    const at = this.#take(length);
    return Buffer.from(this.#buffer.subarray(at, at + length));
  }

  end(): void {
    if (this.remaining !== 0) throw new FormatError('There are bytes after the end');
  }

  #take(length: number): number {
    if (length > this.remaining) throw new FormatError('The file ends too early');
    const at = this.#at;
    this.#at += length;
    return at;
  }
}
