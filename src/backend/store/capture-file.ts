/**
 * Capturing one regular file: content, xattrs and attributes of one and the same state.
 *
 * The descriptor is asked for its attributes before and after: when size, mtime or ctime moved, what was
 * read is thrown away and read again. Before reading, dirty pages are flushed, which write-protects
 * them: otherwise a store through a mapping that was made earlier could slip in without moving ctime, now
 * or after the snapshot, and no later one would see it. A clone flushes by itself.
 *
 * A file that never holds still is captured as it was read last and reported as such.
 */
import { GhostsnapError } from '../../core/errors.ts';
import type { RawPath } from '../../core/raw-path.ts';
import { RawStat } from '../directory-listing.ts';
import type { DirectoryTree } from '../directory-tree.ts';
import { readXattrsOfFd, type Xattr } from '../entry-xattrs.ts';
import { sameContent } from '../file-content.ts';
import { toGhostsnapError } from '../syscall-failure.ts';
import { closeFd, flushFileData, SyscallError } from '../syscalls-linux.ts';
import type { ObjectFiles } from './object-files.ts';
import type { ObjectWriter } from './object-writer.ts';
import { RECORD_WORDS, sameRecord, storeRecord, type Words } from './stat-record.ts';
import type { ContentRef } from './stored-entry.ts';

/** Times a file is read while somebody writes it, before it is captured as it was read. */
const ATTEMPTS_MAX = 5;

export interface CapturedFile {
  /** One record (stat-record.ts): what the content belongs to. */
  readonly record: Words;
  readonly content: ContentRef | null;
  readonly xattrs: readonly Xattr[];
  /** False: it was written all the time, and the content may be torn. */
  readonly isSettled: boolean;
}

/** What "another thing or nothing is there by now" looks like when a file is opened. */
const REPLACED = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'EXDEV', 'ENXIO', 'ESTALE']);

export class FileCapturer {
  readonly #tree: DirectoryTree;
  readonly #files: ObjectFiles;
  readonly #writer: ObjectWriter;
  readonly #before = new RawStat();
  readonly #after = new RawStat();
  readonly #compared = new Uint32Array(2 * RECORD_WORDS);
  /** 'no' as soon as the filesystem refused a first clone: it would refuse all. */
  #clones: 'unknown' | 'yes' | 'no' = 'unknown';

  constructor(tree: DirectoryTree, files: ObjectFiles, writer: ObjectWriter) {
    this.#tree = tree;
    this.#files = files;
    this.#writer = writer;
  }

  /**
   * null: the path does not lead to a regular file any more. `previous` is what the path held in the
   * snapshot before: a clone that still has the same bytes is referred to again.
   * @throws GhostsnapError CAPTURE_FAILED, POOL_FULL, IO
   */
  capture(path: RawPath, previous: ContentRef | null): CapturedFile | null {
    let fd: number;
    try {
      fd = this.#tree.openFile(path);
    } catch (error) {
      if (error instanceof GhostsnapError && REPLACED.has(String(error.data.errno))) return null;
      throw error;
    }
    try {
      return this.#captureFd(fd, previous);
    } catch (error) {
      throw toGhostsnapError(error, { what: 'Capturing', path, fallback: 'CAPTURE_FAILED' });
    } finally {
      closeFd(fd);
    }
  }

  #captureFd(fd: number, previous: ContentRef | null): CapturedFile | null {
    for (let attempt = 1; ; attempt += 1) {
      this.#read(this.#before, fd);
      if (!this.#before.isRegular) return null;
      const isLast = attempt >= ATTEMPTS_MAX;
      let isStill = true;
      // A clone of a growing file is longer than it was when it was looked at; a copy ends where it says.
      const way = isLast ? 'copy' : 'any';
      const content = this.#store(fd, way, previous, () => {
        isStill = this.#isStill(fd);
        return isStill || isLast;
      });
      // Shrinking makes even the last attempt read less than it wanted: then there is one more.
      if (content === 'changed') {
        if (attempt < ATTEMPTS_MAX * 4) continue;
        throw new SyscallError('read', ESTALE, `descriptor ${fd}`);
      }
      const xattrs = readXattrsOfFd(fd);
      isStill = this.#isStill(fd) && isStill;
      if (!isStill && attempt < ATTEMPTS_MAX) continue;
      const record = new Uint32Array(RECORD_WORDS);
      storeRecord(record, 0, this.#before);
      return { record, content, xattrs, isSettled: isStill };
    }
  }

  #store(
    fd: number,
    way: 'any' | 'copy',
    previous: ContentRef | null,
    isStill: () => boolean,
  ): ContentRef | null | 'changed' {
    if (this.#before.sizeBytes === 0) return isStill() ? null : 'changed';
    if (this.#clones !== 'no' && way === 'any') {
      const clone = this.#clone(fd, previous, isStill);
      if (clone !== null) return clone;
    }
    flushFileData(fd);
    this.#read(this.#before, fd);
    // Truncated meanwhile: an empty file has no blob.
    if (this.#before.sizeBytes === 0) return isStill() ? null : 'changed';
    return this.#writer.putBlob(fd, this.#before, isStill);
  }

  #clone(
    fd: number,
    previous: ContentRef | null,
    isStill: () => boolean,
  ): ContentRef | null | 'changed' {
    if (previous?.kind === 'clone' && this.#hasSameBytes(fd, previous)) {
      return isStill() ? previous : 'changed';
    }
    const clone = this.#writer.putClone(fd, isStill);
    if (clone !== null) this.#clones = 'yes';
    else if (this.#clones === 'unknown') this.#clones = 'no';
    return clone;
  }

  /** Touched, or merely looked at too early: the blocks of the clone it has are compared first. */
  #hasSameBytes(fd: number, previous: ContentRef): boolean {
    if (!this.#files.has('clone', previous.id)) return false;
    flushFileData(fd);
    const bFd = this.#files.open('clone', previous.id);
    try {
      this.#read(this.#after, bFd);
      const { sizeBytes } = this.#before;
      if (this.#after.sizeBytes !== sizeBytes) return false;
      return sameContent({ aFd: fd, bFd, sizeBytes, extents: 'comparable' });
    } finally {
      closeFd(bFd);
    }
  }

  #isStill(fd: number): boolean {
    this.#read(this.#after, fd);
    storeRecord(this.#compared, 0, this.#before);
    storeRecord(this.#compared, 1, this.#after);
    return sameRecord(this.#compared, 0, this.#compared, 1);
  }

  #read(stat: RawStat, fd: number): void {
    const failed = stat.readFd(fd);
    if (failed !== 0) throw new SyscallError('statx', failed, `descriptor ${fd}`);
  }
}

const ESTALE = 116;
