/**
 * Removing one entry of a directory with everything below it.
 *
 * Works on descriptors from the parent down, bounded in memory and in open descriptors whatever the
 * depth. A mount or a nested subvolume is never entered and never removed, and then neither are the
 * directories that lead to it: they are counted in `kept`. What vanishes meanwhile counts as
 * removed.
 */
import { GhostsnapError } from '../core/errors.ts';
import { baseOf, joinRaw, parentOf, type RawName, type RawPath } from '../core/raw-path.ts';
import type { TreeEntry } from '../core/tree-entry.ts';
import { DirectoryFds, RESOLVE_INSIDE } from './directory-fds.ts';
import { DirectoryListing, NameSlot, RawStat, type TreeIdentity } from './directory-listing.ts';
import { SyscallError } from './syscall-error.ts';
import { errnoOf, interrupted, shownPath, toGhostsnapError } from './syscall-failure.ts';
import { unlinkAt } from './syscalls-entry-linux.ts';
import { BTRFS_MAGIC, filesystemMagic, rewindDirectory } from './syscalls-inode-linux.ts';
import { AT_REMOVEDIR, O_DIRECTORY, O_RDONLY, openBeneath } from './syscalls-linux.ts';
import { Statx } from './syscalls-statx-linux.ts';
import { clearFlagsAt, unlockDirectory } from './unlock-inode.ts';

export interface RemoveRequest {
  /** A directory that is open; the caller keeps it. */
  readonly parentFd: number;
  readonly name: RawName;
  /** Refuse when the name leads to another inode by now. */
  readonly expectedIno?: number;
  /** For messages and labels: the path of the entry as the caller counts it. Default the name. */
  readonly path?: RawPath;
  /**
   * Empty directories that stand where a subvolume was when the snapshot was made (inode 2).
   * Default 'remove': there is nothing in them.
   */
  readonly placeholders?: 'remove' | 'keep';
  readonly signal?: AbortSignal;
  /** Called before each removal. */
  readonly onRemove?: (path: RawPath) => void;
}

export interface RemoveResult {
  readonly removed: number;
  /** Boundaries that were left alone, as paths below `path`. */
  readonly kept: readonly RawPath[];
}

const GONE = new Set(['ENOENT', 'ENOTDIR', 'ELOOP']);
/** Somebody filled, emptied or exchanged it while it was being removed. */
const CHANGED = new Set(['ENOTEMPTY', 'EISDIR', 'ENOTDIR', 'EEXIST', 'ELOOP', 'ESTALE']);
const ENTRIES_PER_TURN = 512;

/**
 * Removes it. One that is not there counts as removed.
 * @throws GhostsnapError TREE_CHANGED (another inode by now), NOT_PERMITTED, INTERRUPTED, IO
 */
export async function removeTree(request: RemoveRequest): Promise<RemoveResult> {
  const removal = new Removal(request);
  try {
    await removal.run();
    return { removed: removal.removed, kept: removal.kept };
  } catch (error) {
    const fallback = CHANGED.has(errnoOf(error)) ? 'TREE_CHANGED' : 'IO';
    throw toGhostsnapError(error, { what: 'Removing', path: removal.current, fallback });
  }
}

interface Frame {
  /** Relative to the removed directory; '' is that directory. */
  readonly path: RawPath;
  readonly entries: readonly TreeEntry[];
  next: number;
  keeps: boolean;
}

class Removal {
  removed = 0;
  readonly kept: RawPath[] = [];
  current: RawPath;
  readonly #request: RemoveRequest;
  readonly #top: RawPath;
  readonly #stat = new RawStat();
  readonly #slot = new NameSlot();
  #sinceTurn = 0;

  constructor(request: RemoveRequest) {
    this.#request = request;
    this.#top = request.path ?? (request.name as string as RawPath);
    this.current = this.#top;
  }

  async run(): Promise<void> {
    const { parentFd, name } = this.#request;
    const identity = identityOf(parentFd);
    const failed = this.#stat.read(parentFd, this.#slot.set(name));
    if (failed === ENOENT) return;
    if (failed !== 0) throw new SyscallError('statx', failed, name);
    const entry = this.#stat.toEntry(name, identity);
    const expected = this.#request.expectedIno;
    if (expected !== undefined && entry.ino !== expected) throw replaced(this.#top);
    if (this.#isBoundary(entry)) this.kept.push(this.#top);
    else if (entry.type !== 'dir' && entry.type !== 'subvolume') {
      this.#unlink(parentFd, entry, this.#top);
    } else if (await this.#empty(parentFd, entry)) this.#unlink(parentFd, entry, this.#top);
  }

  #isBoundary(entry: TreeEntry): boolean {
    if (entry.type === 'mount') return true;
    if (entry.type !== 'subvolume') return false;
    return entry.ino !== PLACEHOLDER_INO || this.#request.placeholders === 'keep';
  }

  /** True when nothing was kept below. */
  async #empty(parentFd: number, entry: TreeEntry): Promise<boolean> {
    if (entry.type === 'subvolume') return true;
    const rootFd = openForRemoval(parentFd, entry.name);
    if (rootFd === null) return true;
    using fds = new DirectoryFds(rootFd);
    const frames: Frame[] = [this.#frame(fds, '' as RawPath)];
    for (let top = frames.at(-1); top !== undefined; top = frames.at(-1)) {
      const child = top.entries[top.next];
      if (child === undefined) {
        frames.pop();
        this.#leave(fds, top, frames.at(-1));
        if (frames.length === 0) return !top.keeps;
        continue;
      }
      top.next += 1;
      await this.#breathe();
      const path = joinRaw(top.path, child.name);
      if (this.#isBoundary(child)) {
        top.keeps = true;
        this.kept.push(below(this.#top, path));
      } else if (child.type === 'dir') frames.push(this.#frame(fds, path));
      else this.#unlink(fds.open(top.path), child, below(this.#top, path));
    }
    return true;
  }

  #leave(fds: DirectoryFds, frame: Frame, parent: Frame | undefined): void {
    if (parent === undefined) return;
    if (frame.keeps) {
      parent.keeps = true;
      return;
    }
    fds.forget(frame.path);
    const parentFd = fds.open(parentOf(frame.path));
    const path = below(this.#top, frame.path);
    this.#removeDirectory(parentFd, baseOf(frame.path), path);
  }

  #frame(fds: DirectoryFds, path: RawPath): Frame {
    try {
      const fd = this.#openUnlocked(fds, path);
      return { path, entries: this.#list(fd, fds), next: 0, keeps: false };
    } catch (error) {
      if (GONE.has(errnoOf(error))) return { path, entries: [], next: 0, keeps: false };
      throw error;
    }
  }

  /** The directory, made readable, writable and free of flags where its owner may do that. */
  #openUnlocked(fds: DirectoryFds, path: RawPath): number {
    if (path !== '') {
      fds.forget(path);
      unlockDirectory(fds.open(parentOf(path)), baseOf(path));
    }
    return fds.openReadable(path);
  }

  #list(fd: number, identity: TreeIdentity): TreeEntry[] {
    const entries: TreeEntry[] = [];
    rewindDirectory(fd);
    listing.read(fd);
    for (let at = 0; at < listing.lengthBytes; at = listing.next(at)) {
      if (listing.isDotOrDotDot(at)) continue;
      const failed = this.#stat.read(fd, listing.nameAddress(at));
      if (failed === ENOENT) continue;
      if (failed !== 0) throw new SyscallError('statx', failed, listing.name(at));
      entries.push(this.#stat.toEntry(listing.name(at), identity));
    }
    return entries;
  }

  #unlink(parentFd: number, entry: TreeEntry, path: RawPath): void {
    this.current = path;
    if (entry.type === 'dir' || entry.type === 'subvolume') {
      this.#removeDirectory(parentFd, entry.name, path);
      return;
    }
    this.#request.onRemove?.(path);
    if ((entry.flags ?? 0) !== 0) clearFlagsAt(parentFd, entry.name);
    try {
      unlinkAt(parentFd, entry.name);
      this.removed += 1;
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
  }

  #removeDirectory(parentFd: number, name: RawName, path: RawPath): void {
    this.current = path;
    this.#request.onRemove?.(path);
    try {
      unlinkAt(parentFd, name, AT_REMOVEDIR);
      this.removed += 1;
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
  }

  async #breathe(): Promise<void> {
    this.#sinceTurn += 1;
    if (this.#sinceTurn < ENTRIES_PER_TURN) return;
    this.#sinceTurn = 0;
    await new Promise<void>((resolve) => setImmediate(resolve));
    if (this.#request.signal?.aborted === true) throw interrupted('Removing files');
  }
}

function below(top: RawPath, path: RawPath): RawPath {
  return (path === '' ? top : `${top}/${path}`) as RawPath;
}

const ENOENT = 2;
const PLACEHOLDER_INO = 2;

/** Synchronous use only: filled and read out without a pause between. */
const listing = new DirectoryListing();
const parentStat = new Statx();

function identityOf(fd: number): TreeIdentity {
  parentStat.read(fd, '');
  return {
    rootDev: parentStat.dev,
    rootMountId: parentStat.mountId,
    // Reserved inode numbers mean a subvolume on btrfs only; elsewhere they are ordinary.
    isBtrfs: filesystemMagic(fd) === BTRFS_MAGIC,
  };
}

function replaced(path: RawPath): GhostsnapError {
  return new GhostsnapError('TREE_CHANGED', `Another process replaced ${shownPath(path)}`, {
    data: { path: shownPath(path) },
    hint: 'Stop what is writing to the tree, then run the same command again.',
  });
}

/** null: gone. */
function openForRemoval(parentFd: number, name: RawName): number | null {
  try {
    unlockDirectory(parentFd, name);
    return openBeneath(parentFd, name, O_RDONLY | O_DIRECTORY, RESOLVE_INSIDE);
  } catch (error) {
    if (GONE.has(errnoOf(error))) return null;
    throw error;
  }
}
