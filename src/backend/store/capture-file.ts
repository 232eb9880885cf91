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
import { baseOf, parentOf, type RawPath } from '../../core/raw-path.ts';
import { RawStat } from '../directory-listing.ts';
import type { DirectoryTree } from '../directory-tree.ts';
import { readXattrsOfFd, type Xattr } from '../entry-xattrs.ts';
import { sameContent } from '../file-content.ts';
import { effectiveUser, isClosedTo, openClosedFile } from '../opened-modes.ts';
import { SyscallError } from '../syscall-error.ts';
import { errnoOf, toGhostsnapError } from '../syscall-failure.ts';
import { flushFileData } from '../syscalls-data-linux.ts';
import { closeFd } from '../syscalls-linux.ts';
import type { ObjectFiles } from './object-files.ts';
import type { ObjectWriter } from './object-writer.ts';
import { RECORD_WORDS, S_IFREG, sameRecord, storeRecord, type Words } from './stat-record.ts';
import type { ContentRef } from './stored-entry.ts';

/** Times a file is read while somebody writes it, before it is captured as it was read. */
const ATTEMPTS_MAX = 5;

export interface CaptureRequest {
  readonly path: RawPath;
  /** What the path held in the snapshot before: a clone that has the same bytes is referred to again. */
  readonly previous: ContentRef | null;
  /** The file is closed to its owner, and that it is opened was announced. */
  readonly isAnnounced: boolean;
}

export interface CapturedFile {
  /** One record (stat-record.ts): what the content belongs to. */
  readonly record: Words;
  readonly content: ContentRef | null;
  readonly xattrs: readonly Xattr[];
  /** False: it was written all the time, and the content may be torn. */
  readonly isSettled: boolean;
}

interface OpenFile {
  readonly fd: number;
  /**
   * Of a closed file: read while it was open. It is captured anew next time whatever becomes of it,
   * because closing it moved ctime just now; so attributes that change from here on are not missed.
   */
  readonly xattrs: readonly Xattr[] | null;
}

/** What "another thing or nothing is there by now" looks like when a file is opened. */
const REPLACED = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'EXDEV', 'ENXIO', 'ESTALE']);

export class FileCapturer {
  readonly #user = effectiveUser();
  readonly #onStep: (label: string) => void;
  readonly #tree: DirectoryTree;
  readonly #files: ObjectFiles;
  readonly #writer: ObjectWriter;
  readonly #before = new RawStat();
  readonly #after = new RawStat();
  readonly #compared = new Uint32Array(2 * RECORD_WORDS);
  /** 'no' as soon as the filesystem refused a first clone: it would refuse all. */
  #clones: 'unknown' | 'yes' | 'no' = 'unknown';

  /** `onStep`: called while a closed file is open; tests kill the process there. */
  constructor(
    tree: DirectoryTree,
    files: ObjectFiles,
    writer: ObjectWriter,
    onStep: (label: string) => void = () => {},
  ) {
    this.#onStep = onStep;
    this.#tree = tree;
    this.#files = files;
    this.#writer = writer;
  }

  /**
   * null: the path does not lead to a regular file any more, or to one whose mode was closed since it
   * was looked at.
   * @throws GhostsnapError CAPTURE_FAILED, POOL_FULL, IO
   */
  capture(request: CaptureRequest): CapturedFile | null {
    const { path, previous } = request;
    let file: OpenFile;
    try {
      file = this.#open(request);
    } catch (error) {
      const errno = error instanceof GhostsnapError ? String(error.data.errno) : errnoOf(error);
      if (REPLACED.has(errno)) return null;
      if (errno === 'EACCES' && !request.isAnnounced && this.#isClosed(path)) return null;
      throw toGhostsnapError(error, { what: 'Opening', path, fallback: 'CAPTURE_FAILED' });
    }
    try {
      return this.#captureFd(file, previous);
    } catch (error) {
      throw toGhostsnapError(error, { what: 'Capturing', path, fallback: 'CAPTURE_FAILED' });
    } finally {
      closeFd(file.fd);
    }
  }

  #open({ path, isAnnounced }: CaptureRequest): OpenFile {
    if (!isAnnounced) return { fd: this.#tree.openFile(path), xattrs: null };
    const parentFd = this.#tree.fds.open(parentOf(path));
    const { fd, value } = openClosedFile(parentFd, baseOf(path), (open) => {
      this.#onStep('modes:file-opened');
      return readXattrsOfFd(open);
    });
    return { fd, xattrs: value };
  }

  #isClosed(path: RawPath): boolean {
    const entry = this.#tree.lookup(path);
    if (entry?.type !== 'file') return false;
    return isClosedTo(this.#user, S_IFREG | entry.mode, entry.uid, entry.gid);
  }

  #captureFd({ fd, xattrs: known }: OpenFile, previous: ContentRef | null): CapturedFile | null {
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
      const xattrs = known ?? readXattrsOfFd(fd);
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
