/**
 * Writing objects aside: each gets its content first and its final name only at the commit.
 *
 * Everything goes to the transaction's own directory below `working/`, under the object's id. So a file
 * in `objects/` was whole when it got there. A snapshot that finds the content it has just read refers to
 * the object that is there, once it has proven it; that object's name may be too young to be durable
 * (another snapshot is about to sync it), so it is handed to the transaction as relied upon. Several
 * threads write into one transaction, each in a directory of its own; where two write the same object
 * they write the same bytes, and either may be published.
 */
import { hash, randomBytes } from 'node:crypto';
import type { RawStat } from '../directory-listing.ts';
import { errnoOf } from '../syscall-failure.ts';
import { cloneFile, seekData, seekHole } from '../syscalls-data-linux.ts';
import { makeDirectoryAt, renameAt, unlinkAt } from '../syscalls-entry-linux.ts';
import {
  closeFd,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_RDONLY,
  O_WRONLY,
  openAt,
} from '../syscalls-linux.ts';
import { ByteWriter } from './binary-codec.ts';
import {
  BlobWriter,
  CHUNK_BYTES,
  compressIfSmaller,
  encodeOneChunkBlob,
  ONE_CHUNK_PREFIX_BYTES,
  oneChunkId,
  writeFully,
} from './blob-file.ts';
import { encodeDirectory } from './directory-object.ts';
import {
  DIRECTORY_FILE_HEAD_BYTES,
  DIRECTORY_FILE_MAGIC,
  DIRECTORY_FILE_VERSION,
  type ObjectFiles,
  objectName,
  readFullyAt,
  shardOf,
  stagedName,
} from './object-files.ts';
import { isProvenObject } from './object-proof.ts';
import type { ContentRef, ObjectId, ObjectKind, StoredEntry } from './stored-entry.ts';

/** Objects that a writer remembers as proven; bounded, whatever the tree. */
const PROVEN_MAX = 4096;

/** Names of staged objects that a writer remembers: one more than anybody asks for by name. */
export const STAGED_NAMES_MAX = 25;

/** What "this filesystem cannot clone, or not between these two files" looks like. */
const CANNOT_CLONE = new Set(['EOPNOTSUPP', 'EXDEV', 'EINVAL', 'ENOTTY', 'ETXTBSY', 'ENOSYS']);

export class ObjectWriter implements Disposable {
  readonly #files: ObjectFiles;
  /** This writer's own directory: threads that create files in one directory wait for each other. */
  readonly directory: string;
  readonly fd: number;
  readonly #encoder = new ByteWriter();
  readonly #staged: string[] = [];
  /** Directories of objects that are referred to as they were found. */
  readonly #relied = new Set<string>();
  /** Objects proven lately: one content often comes many times in a row. */
  readonly #proven = new Set<string>();
  #scratchCount = 0;
  /** Data follows the prefix that its hash begins with, so that a small file is hashed in one call. */
  readonly #chunk = Buffer.allocUnsafeSlow(ONE_CHUNK_PREFIX_BYTES + CHUNK_BYTES);

  /** Makes a directory of its own in the transaction's. Close it. */
  constructor(files: ObjectFiles, workingFd: number) {
    this.#files = files;
    this.directory = randomBytes(8).toString('hex');
    makeDirectoryAt(workingFd, this.directory, 0o700);
    this.fd = openAt(workingFd, this.directory, O_RDONLY | O_DIRECTORY);
  }

  [Symbol.dispose](): void {
    closeFd(this.fd);
  }

  /**
   * Names (as `objectName` gives them) of what was written since the last call, STAGED_NAMES_MAX at
   * most: beyond that the directory itself says what is in it.
   */
  takeStaged(): string[] {
    return this.#staged.splice(0);
  }

  /** Directories in `objects/` in which objects were found and referred to since the last call. */
  takeRelied(): string[] {
    const directories = [...this.#relied];
    this.#relied.clear();
    return directories;
  }

  putDirectory(entries: readonly StoredEntry[]): ObjectId {
    this.#encoder.reset();
    encodeDirectory(this.#encoder, entries);
    const encoded = this.#encoder.view();
    const id = hash('sha256', encoded, 'buffer').toString('latin1') as ObjectId;
    if (this.#relyOn('directory', id)) return id;
    this.#create('directory', id, () => {
      const { bytes, raw } = compressIfSmaller(encoded);
      const head = Buffer.alloc(DIRECTORY_FILE_HEAD_BYTES);
      head.write(DIRECTORY_FILE_MAGIC, 0, 'latin1');
      head.writeUInt8(DIRECTORY_FILE_VERSION, 4);
      head.writeUInt8(raw ? 0 : 1, 5);
      head.writeUInt32LE(encoded.length, 8);
      return Buffer.concat([head, bytes]);
    });
    return id;
  }

  /**
   * A reflink of the file, an instant of it; null where the filesystem has none. `isStill` is asked
   * before the clone is kept.
   */
  putClone(fromFd: number, isStill: () => boolean): ContentRef | null | 'changed' {
    const scratch = this.#openScratch();
    try {
      cloneFile(scratch.fd, fromFd);
    } catch (error) {
      closeFd(scratch.fd);
      unlinkAt(this.fd, scratch.name);
      if (CANNOT_CLONE.has(errnoOf(error))) return null;
      throw error;
    }
    closeFd(scratch.fd);
    if (!isStill()) {
      unlinkAt(this.fd, scratch.name);
      return 'changed';
    }
    const id = randomBytes(32).toString('latin1') as ObjectId;
    this.#adopt(scratch.name, 'clone', id);
    return { kind: 'clone', id };
  }

  /**
   * The content of an open file as a blob. `isStill` is asked when everything was read and before
   * anything is kept: the answer false discards what was read.
   */
  putBlob(fromFd: number, stat: RawStat, isStill: () => boolean): ContentRef | 'changed' {
    const sizeBytes = stat.sizeBytes;
    // st_blocks counts 512 bytes: fewer than the size means holes (or compression: no harm).
    const mayHaveHoles = (stat.word(12) + stat.word(13) * 2 ** 32) * 512 < sizeBytes;
    if (sizeBytes <= CHUNK_BYTES && !(mayHaveHoles && hasHole(fromFd, sizeBytes))) {
      return this.#putSmall(fromFd, sizeBytes, isStill);
    }
    return this.#putStreamed(fromFd, sizeBytes, isStill);
  }

  #putSmall(fromFd: number, sizeBytes: number, isStill: () => boolean): ContentRef | 'changed' {
    const padded = this.#chunk.subarray(0, ONE_CHUNK_PREFIX_BYTES + sizeBytes);
    const data = padded.subarray(ONE_CHUNK_PREFIX_BYTES);
    if (readFullyAt(fromFd, data, 0) !== sizeBytes || !isStill()) return 'changed';
    const id = oneChunkId(padded);
    if (!this.#relyOn('blob', id)) this.#create('blob', id, () => encodeOneChunkBlob(data));
    return { kind: 'blob', id };
  }

  #putStreamed(fromFd: number, sizeBytes: number, isStill: () => boolean): ContentRef | 'changed' {
    const scratch = this.#openScratch();
    let id: ObjectId | null;
    try {
      id = this.#stream(fromFd, sizeBytes, scratch.fd);
    } finally {
      closeFd(scratch.fd);
    }
    if (id === null || !isStill()) {
      unlinkAt(this.fd, scratch.name);
      return 'changed';
    }
    if (this.#relyOn('blob', id)) unlinkAt(this.fd, scratch.name);
    else this.#adopt(scratch.name, 'blob', id);
    return { kind: 'blob', id };
  }

  /** null: the file became shorter. */
  #stream(fromFd: number, sizeBytes: number, toFd: number): ObjectId | null {
    const writer = new BlobWriter(toFd, sizeBytes);
    let offset = 0;
    while (offset < sizeBytes) {
      const start = seekData(fromFd, offset);
      if (start < 0 || start >= sizeBytes) break;
      const end = Math.min(seekHole(fromFd, start), sizeBytes);
      if (end < 0) return null;
      for (let at = start; at < end; at += CHUNK_BYTES) {
        const length = Math.min(CHUNK_BYTES, end - at);
        const chunk = this.#chunk.subarray(0, length);
        if (readFullyAt(fromFd, chunk, at) !== length) return null;
        writer.chunk(at, chunk);
      }
      offset = end;
    }
    return writer.end();
  }

  /** True: the object is there and proven, and the transaction is told that it must be durable. */
  #relyOn(kind: 'directory' | 'blob', id: ObjectId): boolean {
    const name = objectName(kind, id);
    if (!this.#proven.has(name)) {
      if (!isProvenObject(this.#files, kind, id)) return false;
      if (this.#proven.size >= PROVEN_MAX) this.#proven.clear();
      this.#proven.add(name);
    }
    this.#relied.add(shardOf(name));
    return true;
  }

  #openScratch(): { readonly fd: number; readonly name: string } {
    const name = `scratch-${this.#scratchCount}`;
    this.#scratchCount += 1;
    return { fd: openAt(this.fd, name, O_WRONLY | O_CREAT | O_EXCL, 0o600), name };
  }

  #adopt(scratch: string, kind: ObjectKind, id: ObjectId): void {
    const name = objectName(kind, id);
    renameAt(this.fd, scratch, this.fd, stagedName(name));
    this.#remember(name);
  }

  #create(kind: ObjectKind, id: ObjectId, content: () => Buffer): void {
    const name = objectName(kind, id);
    let fd: number;
    try {
      const flags = O_WRONLY | O_CREAT | O_EXCL;
      fd = openAt(this.fd, stagedName(name), flags, 0o600);
    } catch (error) {
      // Staged before in this transaction.
      if (errnoOf(error) === 'EEXIST') return;
      throw error;
    }
    try {
      writeFully(fd, content(), null);
    } catch (error) {
      // What has an object's name in this directory is published.
      unlinkAt(this.fd, stagedName(name));
      throw error;
    } finally {
      closeFd(fd);
    }
    this.#remember(name);
  }

  #remember(name: string): void {
    if (this.#staged.length < STAGED_NAMES_MAX) this.#staged.push(name);
  }
}

function hasHole(fd: number, sizeBytes: number): boolean {
  return seekHole(fd, 0) < sizeBytes;
}
