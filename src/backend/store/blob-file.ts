/**
 * The container of one copied file content: chunks of data, holes left out, each compressed if it pays.
 *
 *   blob   = "GSBL" version:u8(1) 0:u24 size:u64 crc:u32 chunk* end
 *   chunk  = offset:u64 length:u32 stored:u32 crc:u32 payload      stored: bytes; bit 31: as they are
 *   end    = a chunk of length 0 at offset = size
 *
 * A crc is the CRC-32 of what comes before it in its record and of the payload, so damage is found
 * where it is read, also by a reader that wants only a part. The name of a blob is the SHA-256 of
 * size:u64 { offset:u64 length:u32 data } over the chunks: content and holes together, proven in full
 * before a restored file counts. At most one chunk is in memory.
 */
import { createHash, type Hash, hash } from 'node:crypto';
import { writeSync } from 'node:fs';
import { constants, crc32, zstdCompressSync } from 'node:zlib';
import type { Steps } from '../steps.ts';
import { truncateFd } from '../syscalls-data-linux.ts';
import { FormatError } from './binary-codec.ts';
import { decompress, readFullyAt } from './object-files.ts';
import type { ObjectId } from './stored-entry.ts';

const MAGIC = 'GSBL';
const VERSION = 1;
const HEAD_BYTES = 20;
const RECORD_BYTES = 20;
const RAW_FLAG = 0x8000_0000;
const U32 = 2 ** 32;

/** Bytes of data in one chunk at most: what a reader and a writer hold in memory. */
export const CHUNK_BYTES = 1 << 20;

/**
 * Below this nothing is compressed: a filesystem gives a file whole blocks of 4 KiB, so a file that fits
 * into one gets no smaller, and the compressor's set-up is dearer than everything else.
 */
const COMPRESS_BYTES_MIN = 4096 - HEAD_BYTES - 2 * RECORD_BYTES;

const ZSTD_FAST = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/** The bytes to store, and whether they are compressed. */
export function compressIfSmaller(data: Buffer): { readonly bytes: Buffer; readonly raw: boolean } {
  if (data.length > COMPRESS_BYTES_MIN) {
    const packed = zstdCompressSync(data, ZSTD_FAST);
    if (packed.length < data.length) return { bytes: packed, raw: false };
  }
  return { bytes: data, raw: true };
}

export function writeFully(fd: number, bytes: Uint8Array, position: number | null): void {
  let done = 0;
  while (done < bytes.length) {
    const at = position === null ? null : position + done;
    done += writeSync(fd, bytes, done, bytes.length - done, at);
  }
}

function writeU64(target: Buffer, value: number, at: number): void {
  target.writeUInt32LE(value % U32, at);
  target.writeUInt32LE(Math.floor(value / U32), at + 4);
}

function readU64(source: Buffer, at: number): number {
  const value = source.readUInt32LE(at) + source.readUInt32LE(at + 4) * U32;
  if (!Number.isSafeInteger(value)) throw new FormatError('A length is out of range');
  return value;
}

/** What stands before the data of the only chunk of a file without holes, in what is hashed. */
export const ONE_CHUNK_PREFIX_BYTES = 20;

/** The id of a content that is one chunk from 0 to its end. `padded` has 20 free bytes before the data. */
export function oneChunkId(padded: Buffer): ObjectId {
  const length = padded.length - ONE_CHUNK_PREFIX_BYTES;
  writeU64(padded, length, 0);
  writeU64(padded, 0, 8);
  padded.writeUInt32LE(length, 16);
  return hash('sha256', padded, 'buffer').toString('latin1') as ObjectId;
}

function encodeHead(sizeBytes: number): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.write(MAGIC, 0, 'latin1');
  head.writeUInt8(VERSION, 4);
  writeU64(head, sizeBytes, 8);
  head.writeUInt32LE(crc32(head.subarray(0, HEAD_BYTES - 4)), HEAD_BYTES - 4);
  return head;
}

function encodeRecord(offset: number, length: number, payload: Buffer, raw: boolean): Buffer {
  const record = Buffer.alloc(RECORD_BYTES);
  writeU64(record, offset, 0);
  record.writeUInt32LE(length, 8);
  record.writeUInt32LE(payload.length + (raw ? RAW_FLAG : 0), 12);
  const headSum = crc32(record.subarray(0, 16));
  record.writeUInt32LE(crc32(payload, headSum), 16);
  return record;
}

const NOTHING = Buffer.alloc(0);

/** A whole blob of one chunk, ready to be written in one call. */
export function encodeOneChunkBlob(data: Buffer): Buffer {
  const { bytes, raw } = compressIfSmaller(data);
  const record = encodeRecord(0, data.length, bytes, raw);
  const end = encodeRecord(data.length, 0, NOTHING, true);
  return Buffer.concat([encodeHead(data.length), record, bytes, end]);
}

/** Writes a blob chunk by chunk; its id is known at the end. */
export class BlobWriter {
  readonly #fd: number;
  readonly #sizeBytes: number;
  readonly #hash: Hash = createHash('sha256');
  readonly #prefix = Buffer.alloc(12);

  constructor(fd: number, sizeBytes: number) {
    this.#fd = fd;
    this.#sizeBytes = sizeBytes;
    writeU64(this.#prefix, sizeBytes, 0);
    this.#hash.update(this.#prefix.subarray(0, 8));
    writeFully(fd, encodeHead(sizeBytes), null);
  }

  /** In ascending order of offsets; at most CHUNK_BYTES. */
  chunk(offset: number, data: Buffer): void {
    writeU64(this.#prefix, offset, 0);
    this.#prefix.writeUInt32LE(data.length, 8);
    this.#hash.update(this.#prefix);
    this.#hash.update(data);
    const { bytes, raw } = compressIfSmaller(data);
    writeFully(this.#fd, encodeRecord(offset, data.length, bytes, raw), null);
    writeFully(this.#fd, bytes, null);
  }

  end(): ObjectId {
    writeFully(this.#fd, encodeRecord(this.#sizeBytes, 0, NOTHING, true), null);
    return this.#hash.digest().toString('latin1') as ObjectId;
  }
}

export interface BlobChunk {
  readonly offset: number;
  readonly length: number;
  /** Decodes and proves the payload. @throws FormatError */
  readonly data: () => Buffer;
}

/** The size of the content. @throws FormatError */
export function readBlobSize(fd: number): number {
  const head = Buffer.alloc(HEAD_BYTES);
  if (readFullyAt(fd, head, 0) < HEAD_BYTES) throw new FormatError('The blob is torn');
  if (head.toString('latin1', 0, 4) !== MAGIC) throw new FormatError('This is not a blob');
  const version = head.readUInt8(4);
  if (version > VERSION) throw new FormatError(`The blob has the format ${version}`, 'too-new');
  if (head.readUInt32LE(HEAD_BYTES - 4) !== crc32(head.subarray(0, HEAD_BYTES - 4))) {
    throw new FormatError('The head of the blob is damaged');
  }
  return readU64(head, 8);
}

/** The chunks in order of offsets; payloads are read when asked for. @throws FormatError */
export function* blobChunks(fd: number, sizeBytes: number): Generator<BlobChunk> {
  const record = Buffer.alloc(RECORD_BYTES);
  let at = HEAD_BYTES;
  let reached = 0;
  for (;;) {
    if (readFullyAt(fd, record, at) < RECORD_BYTES) throw new FormatError('The blob is torn');
    const offset = readU64(record, 0);
    const length = record.readUInt32LE(8);
    const stored = record.readUInt32LE(12);
    const storedBytes = stored % RAW_FLAG;
    const isSane =
      offset >= reached &&
      offset + length <= sizeBytes &&
      length <= CHUNK_BYTES &&
      storedBytes <= length;
    if (!isSane) throw new FormatError('A chunk of the blob is damaged');
    const sum = record.readUInt32LE(16);
    const headSum = crc32(record.subarray(0, 16));
    if (length === 0) {
      if (sum !== headSum || offset !== sizeBytes) throw new FormatError('The blob is torn');
      return;
    }
    const payloadAt = at + RECORD_BYTES;
    const data = (): Buffer => {
      const payload = Buffer.allocUnsafe(storedBytes);
      const isWhole = readFullyAt(fd, payload, payloadAt) === storedBytes;
      if (!isWhole || crc32(payload, headSum) !== sum) {
        throw new FormatError('A chunk of the blob is damaged');
      }
      return stored >= RAW_FLAG ? payload : decompress(payload, length);
    };
    yield { offset, length, data };
    at = payloadAt + storedBytes;
    reached = offset + length;
  }
}

/** Writes the content into an empty file, holes included, and proves it against `id`. @throws FormatError */
export function* restoreBlob(fd: number, id: ObjectId, toFd: number): Steps<void> {
  const sizeBytes = yield* proveBlob(fd, id, (data, offset) => writeFully(toFd, data, offset));
  // A hole at the end has no chunk: the length is set whatever was written.
  truncateFd(toFd, sizeBytes);
}

/**
 * Reads a whole blob and proves that it holds what its name says; the size of the content. What was
 * handed to `take` counts only when this returns. A step a chunk.
 * @throws FormatError
 */
export function* proveBlob(
  fd: number,
  id: ObjectId,
  take: (data: Buffer, offset: number) => void = () => {},
): Steps<number> {
  const sizeBytes = readBlobSize(fd);
  const prefix = Buffer.alloc(12);
  writeU64(prefix, sizeBytes, 0);
  const sum = createHash('sha256').update(prefix.subarray(0, 8));
  for (const chunk of blobChunks(fd, sizeBytes)) {
    const data = chunk.data();
    writeU64(prefix, chunk.offset, 0);
    prefix.writeUInt32LE(chunk.length, 8);
    sum.update(prefix).update(data);
    take(data, chunk.offset);
    if (chunk.offset + chunk.length < sizeBytes) yield;
  }
  if (sum.digest().toString('latin1') !== id) {
    throw new FormatError('The blob does not have the content of its name');
  }
  return sizeBytes;
}

/** Part of the content; shorter at its end, zeros in holes. @throws FormatError */
export function readBlobRange(fd: number, offset: number, length: number): Buffer {
  const sizeBytes = readBlobSize(fd);
  const end = Math.min(offset + length, sizeBytes);
  const result = Buffer.alloc(Math.max(0, end - offset));
  for (const chunk of blobChunks(fd, sizeBytes)) {
    if (chunk.offset >= end) break;
    const from = Math.max(offset, chunk.offset);
    const to = Math.min(end, chunk.offset + chunk.length);
    if (from < to) chunk.data().copy(result, from - offset, from - chunk.offset, to - chunk.offset);
  }
  return result;
}
