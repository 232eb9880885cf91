/**
 * One directory as the index remembers it: stat evidence of its entries and the object it became.
 *
 * Entries are in the order in which the kernel lists them, because that order comes back when nothing
 * has changed, and a walk then compares in place, without a lookup. A block is never changed once it is
 * made; a changed directory gets a new one.
 *
 *   block   = bytes:u32 count:u32 scannedAtMs:f64 entries:f64 contentBytes:f64 id:32 bytes
 *             pathBytes:u32 linked:u32 record{count} path names, each name with a NUL, padded to 8
 *
 * `scannedAtMs` is the moment before the directory was read; what has a ctime of that moment or later
 * may have changed again without moving it, and is read again. `linked` counts files with several links.
 */
import type { RawName, RawPath } from '../../core/raw-path.ts';
import { FormatError } from './binary-codec.ts';
import { NAME_WORD, RECORD_BYTES, RECORD_WORDS, type Words } from './stat-record.ts';
import { OBJECT_ID_BYTES, type ObjectId } from './stored-entry.ts';

const HEAD_BYTES = 32 + OBJECT_ID_BYTES + 8;

export interface BlockParts {
  readonly path: RawPath;
  readonly id: ObjectId;
  readonly scannedAtMs: number;
  /** Entries and bytes of regular files in the whole subtree. */
  readonly subtreeEntries: number;
  readonly subtreeBytes: number;
  readonly linkedFiles: number;
  readonly count: number;
  /** At least `count` records. */
  readonly records: Words;
  readonly names: readonly string[];
}

export class IndexBlock {
  readonly bytes: Buffer;
  readonly records: Words;
  /** A hash table of the names: 1 and the record's place, 0 where it is free. */
  #slots: Uint32Array | null = null;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
    const words = (bytes.readUInt32LE(4) * RECORD_BYTES) / 4;
    this.records = new Uint32Array(bytes.buffer, bytes.byteOffset + HEAD_BYTES, words);
  }

  get count(): number {
    return this.bytes.readUInt32LE(4);
  }
  get scannedAtMs(): number {
    return this.bytes.readDoubleLE(8);
  }
  get subtreeEntries(): number {
    return this.bytes.readDoubleLE(16);
  }
  get subtreeBytes(): number {
    return this.bytes.readDoubleLE(24);
  }
  get id(): ObjectId {
    return this.bytes.toString('latin1', 32, 32 + OBJECT_ID_BYTES) as ObjectId;
  }
  get linkedFiles(): number {
    return this.bytes.readUInt32LE(68);
  }
  get path(): RawPath {
    const start = HEAD_BYTES + this.count * RECORD_BYTES;
    const length = this.bytes.readUInt32LE(64);
    return this.bytes.toString('latin1', start, start + length) as RawPath;
  }

  name(index: number): RawName {
    const start = this.nameStart(index);
    return this.bytes.toString('latin1', start, this.bytes.indexOf(0, start)) as RawName;
  }

  /** True when the NUL-terminated name at `at` in `buffer` is the name of the record. */
  hasName(index: number, buffer: Buffer, at: number): boolean {
    const own = this.bytes;
    let i = this.nameStart(index);
    for (let k = at; ; k += 1) {
      const byte = own[i];
      if (byte !== buffer[k]) return false;
      if (byte === 0) return true;
      i += 1;
    }
  }

  /** -1: no such entry. */
  find(name: string): number {
    this.#slots ??= this.#hashNames();
    const slots = this.#slots;
    const mask = slots.length - 1;
    let hash = HASH_START;
    for (let k = 0; k < name.length; k += 1)
      hash = Math.imul(hash ^ name.charCodeAt(k), HASH_PRIME);
    for (let at = spread(hash) & mask; slots[at] !== 0; at = (at + 1) & mask) {
      const index = (slots[at] as number) - 1;
      if (this.#isNamed(index, name)) return index;
    }
    return -1;
  }

  /** What `find` keeps, some bytes for each entry: whoever is through with it says so. */
  forgetPositions(): void {
    this.#slots = null;
  }

  #hashNames(): Uint32Array {
    const { bytes, count } = this;
    const slots = new Uint32Array(2 ** Math.ceil(Math.log2(count + 1) + 0.5));
    const mask = slots.length - 1;
    for (let i = 0; i < count; i += 1) {
      let hash = HASH_START;
      for (let at = this.nameStart(i); bytes[at] !== 0; at += 1) {
        hash = Math.imul(hash ^ (bytes[at] as number), HASH_PRIME);
      }
      let at = spread(hash) & mask;
      while (slots[at] !== 0) at = (at + 1) & mask;
      slots[at] = i + 1;
    }
    return slots;
  }

  #isNamed(index: number, name: string): boolean {
    const { bytes } = this;
    const start = this.nameStart(index);
    for (let k = 0; k < name.length; k += 1) {
      if (bytes[start + k] !== name.charCodeAt(k)) return false;
    }
    return bytes[start + name.length] === 0;
  }

  /** Where in `bytes` the NUL-terminated name of a record begins. */
  nameStart(index: number): number {
    return this.records[index * RECORD_WORDS + NAME_WORD] as number;
  }
}

/** FNV-1a over the bytes of a name. */
const HASH_START = 0x811c9dc5;
const HASH_PRIME = 0x01000193;

/** The low bits of the hash alone are those of the last byte, mostly. */
function spread(hash: number): number {
  return (hash ^ (hash >>> 15)) >>> 0;
}

export function buildBlock(parts: BlockParts): IndexBlock {
  const recordsEnd = HEAD_BYTES + parts.count * RECORD_BYTES;
  let length = recordsEnd + parts.path.length;
  for (let i = 0; i < parts.count; i += 1) length += (parts.names[i] as string).length + 1;
  const padded = Math.ceil(length / 8) * 8;
  const bytes = Buffer.from(new ArrayBuffer(padded));
  bytes.writeUInt32LE(padded, 0);
  bytes.writeUInt32LE(parts.count, 4);
  bytes.writeDoubleLE(parts.scannedAtMs, 8);
  bytes.writeDoubleLE(parts.subtreeEntries, 16);
  bytes.writeDoubleLE(parts.subtreeBytes, 24);
  bytes.write(parts.id, 32, 'latin1');
  bytes.writeUInt32LE(parts.path.length, 64);
  bytes.writeUInt32LE(parts.linkedFiles, 68);
  const block = new IndexBlock(bytes);
  block.records.set(parts.records.subarray(0, parts.count * RECORD_WORDS));
  let at = recordsEnd + bytes.write(parts.path, recordsEnd, 'latin1');
  for (let i = 0; i < parts.count; i += 1) {
    block.records[i * RECORD_WORDS + NAME_WORD] = at;
    at += bytes.write(parts.names[i] as string, at, 'latin1') + 1;
  }
  return block;
}

/** The same directory with another object and other totals: a change further down. */
export function withObject(
  block: IndexBlock,
  change: { readonly id: ObjectId; readonly subtreeEntries: number; readonly subtreeBytes: number },
): IndexBlock {
  const bytes = Buffer.from(new ArrayBuffer(block.bytes.length));
  block.bytes.copy(bytes);
  bytes.writeDoubleLE(change.subtreeEntries, 16);
  bytes.writeDoubleLE(change.subtreeBytes, 24);
  bytes.write(change.id, 32, 'latin1');
  return new IndexBlock(bytes);
}

/** The block at `offset` of an index whose checksum was right. @throws FormatError */
export function blockAt(file: Buffer, offset: number): IndexBlock {
  const length = file.length - offset < HEAD_BYTES ? 0 : file.readUInt32LE(offset);
  const isSane = length >= HEAD_BYTES && length % 8 === 0 && offset + length <= file.length;
  if (!isSane) throw new FormatError('A block of the index has no valid length');
  return new IndexBlock(file.subarray(offset, offset + length));
}
