/**
 * A tree on disk, read through descriptors: the live workspace or a btrfs snapshot.
 *
 * Nothing is ever followed out of the root: each directory is opened beneath it, without symlinks
 * and without crossing a mount, and entries are looked at by name in their parent's descriptor.
 * Mounts and nested subvolumes are listed as boundaries and never opened. Depth and length of paths
 * do not matter.
 */

import { readSync } from 'node:fs';
import { GhostsnapError } from '../core/errors.ts';
import {
  baseOf,
  parentOf,
  type RawName,
  type RawPath,
  ROOT_PATH,
  rawFromText,
} from '../core/raw-path.ts';
import type { TreeEntry } from '../core/tree-entry.ts';
import type { TreeReader, TreeRef } from './backend.ts';
import { closedOnFailure } from './closed-on-failure.ts';
import { DirectoryFds, RESOLVE_INSIDE } from './directory-fds.ts';
import {
  DirectoryListing,
  DT_DIR,
  NameSlot,
  RawStat,
  type TreeIdentity,
} from './directory-listing.ts';
import { readXattrsAt, type Xattr } from './entry-xattrs.ts';
import { copyContent } from './file-content.ts';
import type { Steps } from './steps.ts';
import { SyscallError } from './syscall-error.ts';
import { errnoOf, shownPath, toGhostsnapError } from './syscall-failure.ts';
import { readLinkAt } from './syscalls-entry-linux.ts';
import { btrfsFilesystemId, rewindDirectory } from './syscalls-inode-linux.ts';
import {
  AT_FDCWD,
  closeFd,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_RDONLY,
  openAt,
  openBeneath,
} from './syscalls-linux.ts';

const MISSING = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'EXDEV']);
const ESTALE = 116;
const EMPTY_NAME = '' as RawName;

/** Shared by all trees: a call fills it and has read it out before the next call. */
const listing = new DirectoryListing();

/**
 * Opens a tree. The last component of `path` may be a symlink (a workspace's path is resolved by
 * its owner); nothing below the root is ever followed. Close it.
 * @throws GhostsnapError WORKSPACE_GONE when no directory is there, NOT_PERMITTED
 */
export function openDirectoryTree(path: string, ref: TreeRef): DirectoryTree {
  try {
    return new DirectoryTree(openAt(AT_FDCWD, rawFromText(path), O_RDONLY | O_DIRECTORY), ref);
  } catch (error) {
    const context = { what: 'Opening the directory', path: rawFromText(path) };
    throw toGhostsnapError(error, { ...context, fallback: 'WORKSPACE_GONE' });
  }
}

export class DirectoryTree implements TreeReader {
  readonly ref: TreeRef;
  /** For whoever acts on the tree: descriptors by path, with this tree's guards. */
  readonly fds: DirectoryFds;
  readonly identity: TreeIdentity;
  /** Equal for two trees whose physical extents are comparable. */
  readonly filesystem: string;
  /** 'never': `copyFileTo` copies every byte. */
  reflink: 'auto' | 'never' = 'auto';
  readonly #stat = new RawStat();
  readonly #name = new NameSlot();

  /** Takes over `rootFd`, and closes it when it cannot be looked at. */
  constructor(rootFd: number, ref: TreeRef) {
    this.ref = ref;
    this.fds = new DirectoryFds(rootFd);
    this.identity = this.fds;
    this.filesystem = this.fds.isBtrfs
      ? `btrfs:${closedOnFailure(rootFd, () => btrfsFilesystemId(rootFd))}`
      : `device:${this.fds.rootDev}`;
  }

  get rootFd(): number {
    return this.fds.rootFd;
  }

  /**
   * Hard links never leave a subvolume: where one is the whole tree, link counts count names of the
   * tree and nothing else.
   */
  get hasExactLinkCounts(): boolean {
    return this.fds.isBtrfs && this.fds.rootIno === 256;
  }

  root(): TreeEntry {
    const failed = this.#stat.read(this.fds.rootFd, this.#name.set('.' as RawName));
    if (failed !== 0) throw this.#captureFailed(new SyscallError('statx', failed, ''), ROOT_PATH);
    return this.#stat.toEntry(EMPTY_NAME, this.identity, 'root');
  }

  /** @throws GhostsnapError CAPTURE_FAILED when the directory is gone or can't be read */
  readDirectory(path: RawPath): readonly TreeEntry[] {
    try {
      const fd = this.#list(path);
      const entries: TreeEntry[] = [];
      for (let at = 0; at < listing.lengthBytes; at = listing.next(at)) {
        if (listing.isDotOrDotDot(at)) continue;
        // An entry that vanished since getdents is not in the tree any more: ENOENT is left out.
        const failed = this.#stat.read(fd, listing.nameAddress(at));
        if (failed === 0) entries.push(this.#stat.toEntry(listing.name(at), this.identity));
        else if (failed !== 2) throw new SyscallError('statx', failed, listing.name(at));
      }
      return entries.sort(byName);
    } catch (error) {
      throw this.#captureFailed(error, path);
    }
  }

  /**
   * The directory's own records, in no order, no entry looked at: a fraction of `readDirectory`.
   * @throws SyscallError
   */
  readRecords(path: RawPath): {
    readonly name: RawName;
    readonly ino: number;
    readonly isDirectory: boolean;
  }[] {
    const fd = this.#list(path);
    const records: { name: RawName; ino: number; isDirectory: boolean }[] = [];
    for (let at = 0; at < listing.lengthBytes; at = listing.next(at)) {
      if (listing.isDotOrDotDot(at)) continue;
      const type = listing.direntType(at);
      // Some filesystems leave the type out.
      const isUnknown = type === 0 && this.#stat.read(fd, listing.nameAddress(at)) === 0;
      const isDirectory = isUnknown ? this.#stat.isDirectory : type === DT_DIR;
      records.push({ name: listing.name(at), ino: listing.direntIno(at), isDirectory });
    }
    return records;
  }

  /** Fills a listing of the caller's; returns the directory's descriptor. For tight loops. */
  listInto(target: DirectoryListing, path: RawPath): number {
    const fd = this.fds.openReadable(path);
    rewindDirectory(fd);
    target.read(fd);
    return fd;
  }

  lookup(path: RawPath): TreeEntry | null {
    if (path === '') return this.root();
    try {
      const parentFd = this.fds.open(parentOf(path));
      return this.lookupAt(parentFd, baseOf(path));
    } catch (error) {
      if (MISSING.has(errnoOf(error)) || hasImpossibleName(error, path)) return null;
      throw this.#captureFailed(error, path);
    }
  }

  /** As `lookup`, in a directory that is open. @throws SyscallError */
  lookupAt(parentFd: number, name: RawName): TreeEntry | null {
    const failed = this.#stat.read(parentFd, this.#name.set(name));
    if (failed === 2 || failed === 20) return null;
    if (failed !== 0) throw new SyscallError('statx', failed, name);
    return this.#stat.toEntry(name, this.identity);
  }

  readLink(path: RawPath): string {
    return this.#capturing(path, () => readLinkAt(this.fds.open(parentOf(path)), baseOf(path)));
  }

  readXattrs(path: RawPath): readonly Xattr[] {
    return this.#capturing(path, () => {
      if (path === '') return readXattrsAt(this.fds.rootFd, '');
      return readXattrsAt(this.fds.open(parentOf(path)), baseOf(path));
    });
  }

  readFile(path: RawPath, offset: number, length: number): Uint8Array {
    const fd = this.openFile(path);
    try {
      this.#fileSize(fd);
      const bytes = Buffer.allocUnsafe(length);
      let done = 0;
      while (done < length) {
        const got = readSync(fd, bytes, done, length - done, offset + done);
        if (got === 0) break;
        done += got;
      }
      return bytes.subarray(0, done);
    } catch (error) {
      throw this.#captureFailed(error, path);
    } finally {
      closeFd(fd);
    }
  }

  /**
   * A read descriptor of what is at `path`, no symlink; the caller closes it, and looks whether it is a
   * regular file: something else may have taken its place meanwhile. Opening that waits for nobody.
   * @throws GhostsnapError CAPTURE_FAILED, NOT_PERMITTED
   */
  openFile(path: RawPath): number {
    return this.#capturing(path, () => {
      const flags = O_RDONLY | O_NONBLOCK | O_NOFOLLOW;
      const parentFd = this.fds.open(parentOf(path));
      return openBeneath(parentFd, baseOf(path), flags, RESOLVE_INSIDE);
    });
  }

  *copyFileTo(path: RawPath, toFd: number): Steps<void> {
    const fromFd = this.openFile(path);
    try {
      const sizeBytes = this.#fileSize(fromFd);
      yield* copyContent({ fromFd, toFd, sizeBytes, reflink: this.reflink });
    } catch (error) {
      throw toGhostsnapError(error, { what: 'Copying the file', path, fallback: 'IO' });
    } finally {
      closeFd(fromFd);
    }
  }

  [Symbol.dispose](): void {
    this.fds[Symbol.dispose]();
  }

  #list(path: RawPath): number {
    return this.listInto(listing, path);
  }

  #fileSize(fd: number): number {
    const failed = this.#stat.readFd(fd);
    if (failed !== 0) throw new SyscallError('statx', failed, `descriptor ${fd}`);
    if (!this.#stat.isRegular) throw new SyscallError('openat2', ESTALE, `descriptor ${fd}`);
    return this.#stat.sizeBytes;
  }

  #capturing<T>(path: RawPath, action: () => T): T {
    try {
      return action();
    } catch (error) {
      throw this.#captureFailed(error, path);
    }
  }

  #captureFailed(error: unknown, path: RawPath): Error {
    if (errnoOf(error) === 'EACCES') {
      const message = `The path can't be read by this user: ${shownPath(path)}`;
      return new GhostsnapError('CAPTURE_FAILED', message, {
        data: { path: shownPath(path), errno: 'EACCES' },
        hint: 'Give your user read access to it, or run the command as root.',
        cause: error,
      });
    }
    if (errnoOf(error) === 'EAGAIN') {
      const message = `Another process holds a lease on the file: ${shownPath(path)}`;
      return new GhostsnapError('CAPTURE_FAILED', message, {
        data: { path: shownPath(path), errno: 'EAGAIN' },
        hint: 'Stop the process ("grep LEASE /proc/locks" shows its id), then try again.',
        cause: error,
      });
    }
    return toGhostsnapError(error, { what: 'Reading', path, fallback: 'CAPTURE_FAILED' });
  }
}

function byName(a: TreeEntry, b: TreeEntry): number {
  return a.name < b.name ? -1 : 1;
}

/** NAME_MAX: no file system keeps a longer one. */
const NAME_BYTES_MAX = 255;

/** Only what can't exist is missing: of a path that is long as a whole nothing is known. */
function hasImpossibleName(error: unknown, path: RawPath): boolean {
  if (errnoOf(error) !== 'ENAMETOOLONG') return false;
  return path.split('/').some((name) => name.length > NAME_BYTES_MAX);
}
