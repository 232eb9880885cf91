/**
 * The stat cache of one workspace: which directory had which entries when it was last captured.
 *
 * Only a cache: a missing, torn, foreign or outdated index costs one full read and is never an error.
 * It stands for exactly one snapshot, and its objects are known to exist only while that snapshot does,
 * so whoever uses it checks first that the snapshot is there with the same root.
 *
 *   index = "GSINDEX" version:u8(1) 0:u32 blocks:u32 crc:u32 0:u32 snapshot:40 bytes, NUL-padded
 *           rootId:32 bytes block{blocks}            crc: CRC-32 of everything after it
 */
import { closeSync, fstatSync, openSync, renameSync, writevSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { isSnapshotId, type SnapshotId } from '../../core/ids.ts';
import type { RawPath } from '../../core/raw-path.ts';
import { errnoOf } from '../syscall-failure.ts';
import { FormatError } from './binary-codec.ts';
import { blockAt, type IndexBlock } from './index-block.ts';
import { readFullyAt } from './object-files.ts';
import { OBJECT_ID_BYTES, type ObjectId } from './stored-entry.ts';

const MAGIC = 'GSINDEX';
const VERSION = 1;
const SNAPSHOT_AT = 24;
const ROOT_AT = 64;
const HEAD_BYTES = ROOT_AT + OBJECT_ID_BYTES;
/** Blocks handed to one writev: far below the kernel's 1024. */
const BLOCKS_PER_WRITE = 512;

export interface StatIndex {
  /** The snapshot whose tree this is. */
  readonly snapshot: SnapshotId;
  readonly rootId: ObjectId;
  readonly blocks: Map<RawPath, IndexBlock>;
  /** The file the blocks lie in, in memory that threads share; null: they lie here and there. */
  readonly file: SharedArrayBuffer | null;
  /** Where in `file` each block is, in the order of `blocks`. */
  readonly offsets: readonly number[];
}

/** null: there is none that can be used. */
export function loadIndex(path: string): StatIndex | null {
  try {
    return decodeIndex(readShared(path));
  } catch (error) {
    // Not there, not readable, not whole: the snapshot reads every file, which is always right.
    if (error instanceof FormatError || errnoOf(error) !== '') return null;
    throw error;
  }
}

/** The whole file, in memory that other threads can be given. */
function readShared(path: string): SharedArrayBuffer {
  const fd = openSync(path, 'r');
  try {
    const shared = new SharedArrayBuffer(fstatSync(fd).size);
    const length = readFullyAt(fd, Buffer.from(shared), 0);
    if (length !== shared.byteLength) throw new FormatError('The index became shorter');
    return shared;
  } finally {
    closeSync(fd);
  }
}

function decodeIndex(shared: SharedArrayBuffer): StatIndex {
  const file = Buffer.from(shared);
  const isOurs = file.length >= HEAD_BYTES && file.toString('latin1', 0, 7) === MAGIC;
  if (!isOurs || file.readUInt8(7) !== VERSION) throw new FormatError('This is not an index');
  if (crc32(file.subarray(20)) !== file.readUInt32LE(16)) {
    throw new FormatError('The checksum of the index is wrong');
  }
  const snapshot = file.toString('latin1', SNAPSHOT_AT, ROOT_AT).replace(/\0+$/, '');
  if (!isSnapshotId(snapshot)) throw new FormatError('The index names no snapshot');
  const rootId = file.toString('latin1', ROOT_AT, HEAD_BYTES) as ObjectId;
  const blocks = new Map<RawPath, IndexBlock>();
  const offsets: number[] = [];
  let at = HEAD_BYTES;
  while (at < file.length) {
    const block = blockAt(file, at);
    blocks.set(block.path, block);
    offsets.push(at);
    at += block.bytes.length;
  }
  if (blocks.size !== offsets.length) throw new FormatError('The index has a directory twice');
  return { snapshot, rootId, blocks, file: shared, offsets };
}

/**
 * Replaces the index in one rename. It is not synced: a power loss may leave a torn one, which its
 * checksum shows, and waiting for it would make every snapshot slower.
 */
export function saveIndex(path: string, index: StatIndex): void {
  const head = Buffer.alloc(HEAD_BYTES);
  head.write(MAGIC, 0, 'latin1');
  head.writeUInt8(VERSION, 7);
  head.writeUInt32LE(index.blocks.size, 12);
  head.write(index.snapshot, SNAPSHOT_AT, 'latin1');
  head.write(index.rootId, ROOT_AT, 'latin1');
  let sum = crc32(head.subarray(20));
  for (const block of index.blocks.values()) sum = crc32(block.bytes, sum);
  head.writeUInt32LE(sum, 16);
  const temporary = `${path}.new`;
  const fd = openSync(temporary, 'w', 0o600);
  try {
    writeAll(fd, head, index.blocks);
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, path);
}

function writeAll(fd: number, head: Buffer, blocks: Map<RawPath, IndexBlock>): void {
  let pending: Buffer[] = [head];
  for (const block of blocks.values()) {
    pending.push(block.bytes);
    if (pending.length < BLOCKS_PER_WRITE) continue;
    writeBuffers(fd, pending);
    pending = [];
  }
  writeBuffers(fd, pending);
}

function writeBuffers(fd: number, buffers: readonly Buffer[]): void {
  if (buffers.length === 0) return;
  let length = 0;
  for (const buffer of buffers) length += buffer.length;
  // A short write leaves a file that its checksum does not fit: as good as none.
  if (writevSync(fd, buffers) !== length) throw new FormatError('The index was written in part');
}
