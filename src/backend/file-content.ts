/**
 * The bytes of regular files: copying them and telling whether they are the same.
 *
 * Copying shares blocks where the filesystem can (FICLONE) and otherwise copies data and keeps
 * holes. Comparing asks for the physical extents first: two files that sit on the same blocks are
 * equal and nothing is read. Both work on descriptors, in two buffers that are used again and
 * again.
 */
import { read, readSync, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import { assert } from '../core/errors.ts';
import { done, doneBeside, type Steps } from './steps.ts';
import { errnoOf, interrupted } from './syscall-failure.ts';
import { cloneFile, seekData, seekHole, truncateFd } from './syscalls-data-linux.ts';
import {
  FIEMAP_EXTENT_BYTES,
  FIEMAP_HEAD_BYTES,
  FS_NOCOW_FL,
  getInodeFlags,
  readExtents,
  setInodeFlags,
} from './syscalls-inode-linux.ts';

const readAsync = promisify(read);

const CHUNK_BYTES = 256 * 1024;
const EXTENTS_PER_CALL = 256;

/** Made on first use, by synchronous code only: nobody else can be in the middle of using them. */
let chunkA: Buffer | null = null;
let chunkB: Buffer | null = null;
let extentsA: Buffer | null = null;
let extentsB: Buffer | null = null;

export interface CopyRequest {
  readonly fromFd: number;
  /** An empty regular file, open for writing. */
  readonly toFd: number;
  readonly sizeBytes: number;
  /** 'never': always copy the bytes. Default 'auto'. */
  readonly reflink?: 'auto' | 'never';
}

/**
 * Makes the empty file behind `toFd` equal to the file behind `fromFd`; holes stay holes. NOCOW
 * follows the source, because a clone between a NOCOW and an ordinary file is refused by the
 * kernel.
 * @throws SyscallError, or Node's own errno error
 */
export function* copyContent(request: CopyRequest): Steps<'shared' | 'copied'> {
  const { fromFd, toFd, sizeBytes } = request;
  if (sizeBytes === 0) return 'copied';
  if (request.reflink !== 'never' && tryClone(fromFd, toFd)) return 'shared';
  yield* copySegments(fromFd, toFd, sizeBytes);
  return 'copied';
}

/** What "this filesystem can't, or not between these two" looks like. */
const CANNOT_CLONE = new Set(['EOPNOTSUPP', 'EXDEV', 'EINVAL', 'ENOTTY', 'ETXTBSY', 'ENOSYS']);

function tryClone(fromFd: number, toFd: number): boolean {
  for (let attempt = 0; attempt < 2; attempt += 1) {
    try {
      cloneFile(toFd, fromFd);
      return true;
    } catch (error) {
      if (!CANNOT_CLONE.has(errnoOf(error))) throw error;
      const isMismatch = errnoOf(error) === 'EINVAL' && attempt === 0;
      if (!isMismatch || !adoptNocow(fromFd, toFd)) return false;
    }
  }
  return false;
}

/** Sets or clears NOCOW on the empty target as the source has it. False: nothing to change. */
function adoptNocow(fromFd: number, toFd: number): boolean {
  const wanted = getInodeFlags(fromFd) & FS_NOCOW_FL;
  const flags = getInodeFlags(toFd);
  if ((flags & FS_NOCOW_FL) === wanted) return false;
  setInodeFlags(toFd, (flags & ~FS_NOCOW_FL) | wanted);
  return true;
}

function* copySegments(fromFd: number, toFd: number, sizeBytes: number): Steps<void> {
  let offset = 0;
  while (offset < sizeBytes) {
    const start = seekData(fromFd, offset);
    if (start < 0 || start >= sizeBytes) break;
    const end = Math.min(seekHole(fromFd, start), sizeBytes);
    if (end < 0) break;
    yield* copyRange(fromFd, toFd, start, end);
    offset = end;
  }
  // The length is set last and always: a hole at the end, and a file that shrank while it was read.
  truncateFd(toFd, sizeBytes);
}

/** The buffer is nobody's between two steps. */
function* copyRange(fromFd: number, toFd: number, start: number, end: number): Steps<void> {
  chunkA ??= Buffer.allocUnsafeSlow(CHUNK_BYTES);
  let at = start;
  while (at < end) {
    const got = readSync(fromFd, chunkA, 0, Math.min(CHUNK_BYTES, end - at), at);
    if (got === 0) return;
    let written = 0;
    while (written < got) {
      written += writeSync(toFd, chunkA, written, got - written, at + written);
    }
    at += got;
    if (got === CHUNK_BYTES) yield;
  }
}

export interface CompareRequest {
  readonly aFd: number;
  readonly bFd: number;
  /** Of both: files of different sizes are not compared here. */
  readonly sizeBytes: number;
  /** 'comparable': both files are on one filesystem, so equal physical blocks are equal bytes. */
  readonly extents: 'comparable' | 'unrelated';
}

/** Whether two files of one size hold the same bytes. @throws Node's own errno error */
export function sameContent(request: CompareRequest): boolean {
  if (request.sizeBytes === 0) return true;
  if (request.extents === 'comparable' && done(haveSameExtents(request))) return true;
  return haveSameBytes(request);
}

/**
 * The same beside the event loop: a file may be as long as its disk, and the disk slow or hung, so that bytes
 * are read by other threads, one at a time. Whoever closes the descriptors awaits this first.
 * @throws GhostsnapError INTERRUPTED between two pieces; Node's own errno error
 */
export async function sameContentBeside(
  request: CompareRequest,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if (request.sizeBytes === 0) return true;
  if (request.extents === 'comparable') {
    if (await doneBeside(haveSameExtents(request), signal)) return true;
  }
  const { aFd, bFd, sizeBytes } = request;
  // Of its own: others compare meanwhile.
  const [a, b] = [Buffer.allocUnsafeSlow(CHUNK_BYTES), Buffer.allocUnsafeSlow(CHUNK_BYTES)];
  for (let at = 0; at < sizeBytes; at += CHUNK_BYTES) {
    if (signal?.aborted === true) throw interrupted('Comparing files');
    const length = Math.min(CHUNK_BYTES, sizeBytes - at);
    const gotA = await readBeside(aFd, a, { length, position: at });
    const gotB = await readBeside(bFd, b, { length, position: at });
    if (gotA !== length || gotB !== length) return false;
    if (a.compare(b, 0, length, 0, length) !== 0) return false;
  }
  return true;
}

const EXTENT_LAST = 0x1;
const EXTENT_SHARED = 0x2000;
/**
 * Extents whose physical address does not settle what is in them: UNKNOWN, DELALLOC, ENCODED (btrfs
 * gives parts of one compressed extent the same address), encrypted, NOT_ALIGNED, INLINE, TAIL.
 */
const EXTENT_UNFIT = 0x2 | 0x4 | 0x8 | 0x80 | 0x100 | 0x200 | 0x400;

/** A step a system call: a file may have as many extents as it has blocks. */
function* haveSameExtents({ aFd, bFd, sizeBytes }: CompareRequest): Steps<boolean> {
  const bufferBytes = FIEMAP_HEAD_BYTES + EXTENTS_PER_CALL * FIEMAP_EXTENT_BYTES;
  extentsA ??= Buffer.allocUnsafeSlow(bufferBytes);
  extentsB ??= Buffer.allocUnsafeSlow(bufferBytes);
  let start = 0;
  while (start < sizeBytes) {
    const count = readExtents(aFd, start, extentsA);
    if (count < 0 || readExtents(bFd, start, extentsB) !== count) return false;
    if (count === 0) return true;
    for (let i = 0; i < count; i += 1) {
      if (!isSameExtent(extentsA, extentsB, FIEMAP_HEAD_BYTES + i * FIEMAP_EXTENT_BYTES)) {
        return false;
      }
    }
    const last = FIEMAP_HEAD_BYTES + (count - 1) * FIEMAP_EXTENT_BYTES;
    if ((extentsA.readUInt32LE(last + 40) & EXTENT_LAST) !== 0) return true;
    const next = Number(extentsA.readBigUInt64LE(last) + extentsA.readBigUInt64LE(last + 16));
    assert(next > start, 'FIEMAP moves forward');
    start = next;
    yield;
  }
  return true;
}

/** struct fiemap_extent: logical u64, physical u64, length u64, two reserved u64, flags u32. */
function isSameExtent(a: Buffer, b: Buffer, at: number): boolean {
  const flags = a.readUInt32LE(at + 40);
  if ((flags & EXTENT_UNFIT) !== 0) return false;
  const ignored = ~(EXTENT_LAST | EXTENT_SHARED);
  if ((flags & ignored) !== (b.readUInt32LE(at + 40) & ignored)) return false;
  return a.compare(b, at, at + 24, at, at + 24) === 0;
}

function haveSameBytes({ aFd, bFd, sizeBytes }: CompareRequest): boolean {
  chunkA ??= Buffer.allocUnsafeSlow(CHUNK_BYTES);
  chunkB ??= Buffer.allocUnsafeSlow(CHUNK_BYTES);
  let at = 0;
  while (at < sizeBytes) {
    const length = Math.min(CHUNK_BYTES, sizeBytes - at);
    const gotA = readFully(aFd, chunkA, length, at);
    const gotB = readFully(bFd, chunkB, length, at);
    if (gotA !== length || gotB !== length) return false;
    if (chunkA.compare(chunkB, 0, length, 0, length) !== 0) return false;
    at += length;
  }
  return true;
}

function readFully(fd: number, buffer: Buffer, length: number, position: number): number {
  let done = 0;
  while (done < length) {
    const got = readSync(fd, buffer, done, length - done, position + done);
    if (got === 0) break;
    done += got;
  }
  return done;
}

async function readBeside(
  fd: number,
  buffer: Buffer,
  { length, position }: { readonly length: number; readonly position: number },
): Promise<number> {
  let got = 0;
  while (got < length) {
    const { bytesRead } = await readAsync(fd, buffer, got, length - got, position + got);
    if (bytesRead === 0) break;
    got += bytesRead;
  }
  return got;
}
