/**
 * The objects of a pool, read: `objects/<2 hex>/<62 hex>.<suffix>`.
 *
 * An object never changes once it has its name, and its name says what must be in it, so whoever reads
 * a directory or a blob proves it first. A clone is the file itself (a reflink), named at random: there
 * the filesystem answers for the bytes, and only the length is checked.
 *
 *   directory file = "GSOB" version:u8(1) codec:u8(0 raw, 1 zstd) 0:u16 length:u32 payload
 */
import { hash } from 'node:crypto';
import { fstatSync, readSync } from 'node:fs';
import { zstdDecompressSync } from 'node:zlib';
import { GhostsnapError } from '../../core/errors.ts';
import { rawFromText } from '../../core/raw-path.ts';
import { errnoOf, toGhostsnapError } from '../syscall-failure.ts';
import { AT_FDCWD, closeFd, O_DIRECTORY, O_NOFOLLOW, O_RDONLY, openAt } from '../syscalls-linux.ts';
import { Statx } from '../syscalls-statx-linux.ts';
import { FormatError, toFormatFailure } from './binary-codec.ts';
import { decodeDirectory } from './directory-object.ts';
import type { ObjectId, ObjectKind, StoredEntry } from './stored-entry.ts';

export const DIRECTORY_FILE_MAGIC = 'GSOB';
export const DIRECTORY_FILE_VERSION = 1;
export const DIRECTORY_FILE_HEAD_BYTES = 12;

const SUFFIXES: Readonly<Record<ObjectKind, string>> = { directory: '.d', blob: '.b', clone: '.c' };
const KINDS: Readonly<Record<string, ObjectKind>> = { d: 'directory', b: 'blob', c: 'clone' };
const SHARD_NAME = /^[0-9a-f]{2}$/;
const OBJECT_NAME = /^([0-9a-f]{62})\.([dbc])$/;

/** Name of an object below `objects/`. */
export function objectName(kind: ObjectKind, id: ObjectId): string {
  const hex = Buffer.from(id, 'latin1').toString('hex');
  return `${hex.slice(0, 2)}/${hex.slice(2)}${SUFFIXES[kind]}`;
}

/** The directory below `objects/` that an object of this name is in. */
export function shardOf(name: string): string {
  return name.slice(0, 2);
}

/** The name of an object in a writer's directory, which is flat. */
export function stagedName(name: string): string {
  return name.slice(0, 2) + name.slice(3);
}

/** The inverse of `stagedName`; null for a name that is not an object's. */
export function objectNameOfStaged(staged: string): string | null {
  const shard = staged.slice(0, 2);
  return parseObjectName(shard, staged.slice(2)) === null ? null : `${shard}/${staged.slice(2)}`;
}

/** The inverse of `objectName`; null for a name that is not an object's: foreign, never touched. */
export function parseObjectName(
  shard: string,
  name: string,
): { readonly kind: ObjectKind; readonly id: ObjectId } | null {
  const match = OBJECT_NAME.exec(name);
  const kind = KINDS[match?.[2] ?? ''];
  if (match === null || kind === undefined || !SHARD_NAME.test(shard)) return null;
  return { kind, id: Buffer.from(shard + match[1], 'hex').toString('latin1') as ObjectId };
}

const statx = new Statx();

export class ObjectFiles implements Disposable {
  /** Absolute path of `objects/`, text. */
  readonly path: string;
  readonly fd: number;
  /** A writer's directory, whose objects are read as if they had their names already; or -1. */
  stagedFd = -1;
  readonly #owns: boolean;

  /** Opens `objects/`, or shares a descriptor that another thread of this process holds open. */
  constructor(path: string, sharedFd: number | null = null) {
    this.path = path;
    this.#owns = sharedFd === null;
    this.fd = sharedFd ?? openAt(AT_FDCWD, rawFromText(path), O_RDONLY | O_DIRECTORY);
  }

  has(kind: ObjectKind, id: ObjectId): boolean {
    return statx.tryRead(this.fd, objectName(kind, id)) === 0;
  }

  /**
   * A descriptor for reading; the caller closes it.
   * @throws GhostsnapError SNAPSHOT_CORRUPT when a snapshot refers to it and it is not there
   */
  open(kind: ObjectKind, id: ObjectId): number {
    const name = objectName(kind, id);
    try {
      return this.#openEither(name);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') {
        throw toGhostsnapError(error, { what: 'Opening the object', path: name });
      }
      const shown = `${this.path}/${name}`;
      throw new GhostsnapError('SNAPSHOT_CORRUPT', `An object of the store is missing: ${shown}`, {
        data: { path: shown },
        hint: 'Go back to another snapshot; somebody removed files of the store.',
        cause: error,
      });
    }
  }

  #openEither(name: string): number {
    try {
      return openAt(this.fd, name, O_RDONLY | O_NOFOLLOW);
    } catch (error) {
      if (this.stagedFd < 0 || errnoOf(error) !== 'ENOENT') throw error;
      return openAt(this.stagedFd, stagedName(name), O_RDONLY | O_NOFOLLOW);
    }
  }

  /** @throws GhostsnapError SNAPSHOT_CORRUPT, FORMAT_TOO_NEW */
  readDirectory(id: ObjectId): StoredEntry[] {
    const fd = this.open('directory', id);
    try {
      return decodeDirectory(provenDirectory(fd, id));
    } catch (error) {
      const name = objectName('directory', id);
      const failure = toFormatFailure(error, `${this.path}/${name}`);
      throw toGhostsnapError(failure, { what: 'Reading the object', path: name });
    } finally {
      closeFd(fd);
    }
  }

  [Symbol.dispose](): void {
    if (this.#owns) closeFd(this.fd);
  }
}

/** The encoding of the directory behind `fd`. @throws FormatError when it is not what its name says */
export function provenDirectory(fd: number, id: ObjectId): Buffer {
  const encoded = unwrapDirectory(readWhole(fd));
  if (hash('sha256', encoded, 'buffer').toString('latin1') === id) return encoded;
  throw new FormatError('The directory object does not have the content of its name');
}

function unwrapDirectory(file: Buffer): Buffer {
  if (file.length < DIRECTORY_FILE_HEAD_BYTES) throw new FormatError('The object is torn');
  if (file.toString('latin1', 0, 4) !== DIRECTORY_FILE_MAGIC)
    throw new FormatError('This is no object');
  const version = file.readUInt8(4);
  if (version > DIRECTORY_FILE_VERSION) {
    throw new FormatError(`The object has the format ${version}`, 'too-new');
  }
  const payload = file.subarray(DIRECTORY_FILE_HEAD_BYTES);
  const length = file.readUInt32LE(8);
  return file.readUInt8(5) === 0 ? payload : decompress(payload, length);
}

/** What zlib takes at least, and what may be made at once of a length that nobody has proven. */
const PIECE_BYTES_MIN = 64;
const PIECE_BYTES_MAX = 1024 * 1024;

/** A flipped bit may ask for any length: never more than what was said is made. */
export function decompress(payload: Buffer, length: number): Buffer {
  let bytes: Buffer;
  try {
    // One piece that is a little larger than what comes out: Node's own are 16 KiB for any length.
    const chunkSize = Math.min(PIECE_BYTES_MAX, Math.max(PIECE_BYTES_MIN, length + 1));
    bytes = zstdDecompressSync(payload, { maxOutputLength: Math.max(1, length), chunkSize });
  } catch (error) {
    throw new FormatError(`Compressed data is damaged (${String(error)})`);
  }
  if (bytes.length !== length) throw new FormatError('Compressed data has another length');
  return bytes;
}

/** The whole content of a small file. */
export function readWhole(fd: number): Buffer {
  const bytes = Buffer.allocUnsafe(fstatSync(fd).size);
  return bytes.subarray(0, readFullyAt(fd, bytes, 0));
}

/** Fills `target` from `position`; less only at the end of the file. */
export function readFullyAt(fd: number, target: Buffer, position: number): number {
  let done = 0;
  while (done < target.length) {
    const got = readSync(fd, target, done, target.length - done, position + done);
    if (got === 0) break;
    done += got;
  }
  return done;
}
