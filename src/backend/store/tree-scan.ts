/**
 * Capturing a live tree: one walk that reads only what moved.
 *
 * Every entry in scope is looked at with one statx and compared in place with the index. Equal inode,
 * size, mtime and ctime, with a ctime well before the last look, means unchanged; everything else is
 * read. Directories finish from the leaves up and become objects; the root's object is the tree.
 *
 * Names vanish and turn into other things while the walk is under way: what is gone is left out, what is
 * another thing by now is looked at again, and what never holds still is an error, not an omission. The
 * walk is a generator, so that the same code serves the blocking and the asynchronous callers.
 */
import { GhostsnapError } from '../../core/errors.ts';
import { joinRaw, type RawName, type RawPath, ROOT_PATH } from '../../core/raw-path.ts';
import { isBoundary } from '../../core/tree-entry.ts';
import type { UncoveredPath } from '../backend.ts';
import { DirectoryListing, NameSlot, RawStat } from '../directory-listing.ts';
import type { DirectoryTree } from '../directory-tree.ts';
import { NO_XATTRS, readXattrsAt } from '../entry-xattrs.ts';
import { InodeTable } from '../inode-table.ts';
import { type ClosedEntry, isClosedTo, type OpenedModes, openedBits } from '../opened-modes.ts';
import type { PathNode } from '../path-set.ts';
import { SyscallError } from '../syscall-error.ts';
import { errnoOf, shownPath, toGhostsnapError } from '../syscall-failure.ts';
import { readLinkAt } from '../syscalls-entry-linux.ts';
import type { CapturedFile } from './capture-file.ts';
import type { CaptureSink } from './capture-sink.ts';
import type { IndexBlock } from './index-block.ts';
import type { ObjectFiles } from './object-files.ts';
import type { ObjectWriter } from './object-writer.ts';
import { type Blocks, entryOfRecord, ScanFrame } from './scan-frame.ts';
import {
  ctimeMsOf,
  fieldsOf,
  forgetCtime,
  formatOf,
  inoOf,
  isRecordOf,
  nlinkOf,
  RACY_MS,
  S_IFDIR,
  S_IFSOCK,
  sameRecord,
  setModeOf,
  storeRecord,
} from './stat-record.ts';
import type { StoredEntry } from './stored-entry.ts';

/** Times a name may turn into another thing under the walk before it is given up. */
const RELOOKUPS_MAX = 16;
/** Entries between two pauses: an event loop waits for a millisecond or so. */
const ENTRIES_PER_PAUSE = 1024;

const REPLACED = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'EXDEV', 'EINVAL', 'ESTALE']);

export interface ScanOptions {
  readonly tree: DirectoryTree;
  readonly files: ObjectFiles;
  readonly writer: ObjectWriter;
  readonly sink: CaptureSink;
  /** The blocks of the snapshot before; empty: everything is read. */
  readonly oldBlocks: ReadonlyMap<RawPath, IndexBlock>;
  /** Directories to look at (members whole, their ancestors on the way); null: all. */
  readonly scope: PathNode | null;
  /** Called before a directory is listed: whoever wants to hear of changes must listen from here on. */
  readonly onDirectory?: (path: RawPath, fd: number) => void;
  /** Directories that are not covered by the scope all the same: new, moved, not watched. */
  readonly needsFullLook?: (path: RawPath) => boolean;
  /** Opens what a plain user has closed to themselves. */
  readonly opened: OpenedModes;
  /** Before anything was looked at, mappings included; milliseconds since the epoch. */
  readonly startedAtMs: number;
  /** Files that are read whatever their time stamps say, now and the next time. */
  readonly withoutEvidence: ReadonlySet<RawPath>;
}

/** A directory that was seen in its parent; what capturing it takes is made when its turn comes. */
interface WaitingDirectory {
  readonly path: RawPath;
  readonly parent: ScanFrame | null;
  readonly scope: PathNode | null;
}

/** pause: let others run. wait: nothing to do until the sink has an answer. */
export type ScanPause = 'pause' | 'wait';

export class TreeScan implements Blocks {
  /** Blocks of the directories that were looked at. */
  readonly updated = new Map<RawPath, IndexBlock>();
  /** Sockets and boundaries, by the directory that was looked at. */
  readonly uncovered = new Map<RawPath, UncoveredPath[]>();
  /** Directories whose every entry was looked at. */
  readonly listed = new Set<RawPath>();
  readonly unsettled: UncoveredPath[] = [];
  /** Inode numbers of files with several names that were read because something of them moved. */
  readonly movedLinks = new InodeTable();
  entriesSeen = 0;
  filesRead = 0;
  /** Names that were listed and then not there: the tree was moving under the walk. */
  vanished = 0;
  readonly #o: ScanOptions;
  readonly #stack: WaitingDirectory[] = [];
  readonly #listing = new DirectoryListing();
  readonly #stat = new RawStat();
  readonly #slot = new NameSlot();
  #root: IndexBlock | null = null;

  constructor(options: ScanOptions) {
    this.#o = options;
  }

  current(path: RawPath): IndexBlock | undefined {
    return this.updated.get(path) ?? (this.#o.scope === null ? undefined : this.before(path));
  }

  before(path: RawPath): IndexBlock | undefined {
    return this.#o.oldBlocks.get(path);
  }

  /** The block of the root. Only after `run` has ended. */
  get root(): IndexBlock {
    if (this.#root === null) throw new Error('Invariant violated: the scan has ended.');
    return this.#root;
  }

  *run(): Generator<ScanPause> {
    this.#push(ROOT_PATH, null, this.#o.scope);
    let paused = 0;
    for (;;) {
      const waiting = this.#stack.pop();
      if (waiting === undefined) {
        if (this.#root !== null) return;
        yield 'wait';
        continue;
      }
      while (this.#o.sink.isFull) yield 'wait';
      const { path, parent, scope } = waiting;
      this.#look(new ScanFrame(path, parent, this.before(path), scope));
      if (this.entriesSeen - paused < ENTRIES_PER_PAUSE) continue;
      paused = this.entriesSeen;
      yield 'pause';
    }
  }

  #push(path: RawPath, parent: ScanFrame | null, scope: PathNode | null): void {
    if (parent !== null) parent.outstanding += 1;
    this.#stack.push({ path, parent, scope });
  }

  #look(frame: ScanFrame): void {
    try {
      const { scope, old } = frame;
      const isPartial = scope !== null && !scope.isMember && old !== undefined;
      if (!isPartial || !this.#lookAtSome(frame, scope, old)) this.#lookAtAll(frame);
    } catch (error) {
      if (frame.parent === null || !REPLACED.has(errnoOf(error))) {
        throw captureFailure(error, frame.path);
      }
      // The directory went away or became another thing before it could be opened.
      const parent = frame.parent;
      this.#lookAgain(
        parent,
        frame.path.slice(parent.path.length === 0 ? 0 : parent.path.length + 1),
      );
      this.#settle(parent);
      return;
    }
    this.#settle(frame);
  }

  /** Every entry of the directory. */
  #lookAtAll(frame: ScanFrame): void {
    const { tree } = this.#o;
    const fd = tree.fds.openReadable(frame.path);
    this.#o.onDirectory?.(frame.path, fd);
    frame.scannedAtMs = this.#o.startedAtMs;
    tree.listInto(this.#listing, frame.path);
    const directories: number[] = [];
    const at = this.#skipUnmoved(frame, fd, directories);
    const moved = this.#recordRest(frame, fd, at, directories);
    this.entriesSeen += frame.count;
    this.listed.add(frame.path);
    if (frame.count !== frame.old?.count || moved.length > 0) frame.isChanged = true;
    if (this.#o.opened.user !== 0) this.#o.opened.announce(this.#closed(frame, moved, directories));
    for (const index of moved) this.#capture(frame, index);
    for (const index of directories) this.#enter(frame, index, frame.scope);
  }

  /**
   * Passes over the entries that are, one by one, where and what the old block says; mostly all. Nothing
   * is made for them, not even a name. Returns where in the listing the first other one is.
   */
  #skipUnmoved(frame: ScanFrame, fd: number, directories: number[]): number {
    const { old } = frame;
    const listing = this.#listing;
    let position = 0;
    let at = 0;
    const mayPass = old !== undefined && this.#o.withoutEvidence.size === 0;
    for (; mayPass && at < listing.lengthBytes; at = listing.next(at)) {
      if (listing.isDotOrDotDot(at)) continue;
      const nameAt = listing.nameAddress(at);
      if (position === old.count) break;
      if (!old.hasName(position, listing.buffer, nameAt - listing.address)) break;
      if (this.#stat.read(fd, nameAt) !== 0 || this.#isForeign()) break;
      if (!isRecordOf(old.records, position, this.#stat)) break;
      if (this.#stat.ctimeMs >= old.scannedAtMs - RACY_MS) break;
      const format = formatOf(old.records, position);
      if (format === S_IFDIR) directories.push(position);
      else if (format === S_IFSOCK) this.#note(frame, old.name(position), 'socket');
      position += 1;
    }
    if (old !== undefined) frame.adoptOld(old, position);
    return at;
  }

  /** Takes the records of the other entries from `start` on; the indices of those that moved. */
  #recordRest(frame: ScanFrame, fd: number, start: number, directories: number[]): number[] {
    const listing = this.#listing;
    const moved: number[] = [];
    for (let at = start; at < listing.lengthBytes; at = listing.next(at)) {
      if (listing.isDotOrDotDot(at)) continue;
      const failed = this.#stat.read(fd, listing.nameAddress(at));
      if (failed === ENOENT) continue;
      const name = listing.name(at);
      if (failed !== 0) throw captureFailure(new SyscallError('statx', failed, name), frame.path);
      const index = frame.append(name);
      this.#store(frame, index);
      const known = frame.old?.find(name) ?? -1;
      if (this.#isForeign() || !this.#isUnmoved(frame, index, known)) moved.push(index);
      else if (formatOf(frame.records, index) === S_IFDIR) directories.push(index);
      if (formatOf(frame.records, index) === S_IFSOCK) this.#note(frame, name, 'socket');
    }
    return moved;
  }

  /** Only the child directories in scope. False: the directory is not what the index says. */
  #lookAtSome(frame: ScanFrame, scope: PathNode, old: IndexBlock): boolean {
    const parentFd = this.#o.tree.fds.open(frame.path);
    const seen: number[] = [];
    for (const name of scope.names()) {
      const index = old.find(name);
      if (index < 0) return false;
      if (this.#stat.read(parentFd, this.#slot.set(name)) !== 0 || this.#isForeign()) return false;
      const isSameDirectory =
        this.#stat.isDirectory &&
        this.#stat.ino === inoOf(old.records, index) &&
        formatOf(old.records, index) === S_IFDIR;
      if (!isSameDirectory) return false;
      seen.push(index);
    }
    frame.adoptOld(old, old.count);
    frame.scannedAtMs = old.scannedAtMs;
    for (const index of seen) {
      const name = frame.nameAt(index);
      this.#stat.read(parentFd, this.#slot.set(name));
      this.#store(frame, index);
      this.entriesSeen += 1;
      if (sameRecord(frame.records, index, old.records, index)) {
        this.#enter(frame, index, scope);
        continue;
      }
      frame.isChanged = true;
      this.#capture(frame, index);
    }
    return true;
  }

  #isUnmoved(frame: ScanFrame, index: number, known: number): boolean {
    const { old } = frame;
    if (old === undefined || known < 0) return false;
    if (!sameRecord(frame.records, index, old.records, known)) return false;
    if (this.#hasNoEvidence(frame, frame.nameAt(index))) return false;
    return ctimeMsOf(frame.records, index) < old.scannedAtMs - RACY_MS;
  }

  /** A mount, or a nested subvolume: what `#stat` holds belongs to another tree. */
  #isForeign(): boolean {
    const { identity } = this.#o.tree;
    if (this.#stat.isMountRoot || this.#stat.mountId !== identity.rootMountId) return true;
    return identity.isBtrfs && isBoundary(this.#stat.entryType(identity));
  }

  /** Reads what moved. The directory of `frame` may have to be opened again: others were in between. */
  #capture(frame: ScanFrame, index: number): void {
    const name = frame.nameAt(index);
    const path = joinRaw(frame.path, name);
    const parentFd = this.#openAgain(frame);
    const failed = parentFd < 0 ? ENOENT : this.#stat.read(parentFd, this.#slot.set(name));
    if (failed === ENOENT) {
      this.vanished += 1;
      frame.gone.add(name);
      return;
    }
    if (failed !== 0) throw captureFailure(new SyscallError('statx', failed, name), path);
    this.#store(frame, index);
    const seen = this.#stat.toEntry(name, this.#o.tree.identity);
    const { type, rdev } = seen;
    if (isBoundary(type)) {
      this.#note(frame, name, type === 'mount' ? 'mount' : 'subvolume');
      frame.fresh.set(name, boundaryEntry(name, type));
      return;
    }
    if (type === 'file') {
      this.#read(frame, index, path);
      return;
    }
    try {
      if (type === 'dir') this.#open(frame, index, path);
      const target = type === 'symlink' ? readLinkAt(parentFd, name) : '';
      const xattrs = type === 'socket' ? NO_XATTRS : readXattrsAt(parentFd, name);
      const rest = { type, rdev, target, content: null, xattrs };
      frame.fresh.set(name, entryOfRecord(name, frame.records, index, rest));
    } catch (error) {
      if (!REPLACED.has(errnoOf(error))) throw captureFailure(error, path);
      this.#lookAgain(frame, name);
      return;
    }
    if (type !== 'dir') return;
    // Another inode under the old name: nothing that is known of the old one holds below it.
    const known = frame.old?.find(name) ?? -1;
    const isSameInode =
      frame.old !== undefined && known >= 0 && inoOf(frame.old.records, known) === seen.ino;
    this.#enter(frame, index, isSameInode ? frame.scope : null);
  }

  #hasNoEvidence(frame: ScanFrame, name: string): boolean {
    const { withoutEvidence } = this.#o;
    return withoutEvidence.size > 0 && withoutEvidence.has(joinRaw(frame.path, name as RawName));
  }

  #rememberLinks(frame: ScanFrame, index: number): void {
    const { records } = frame;
    if (nlinkOf(records, index) < 2 || formatOf(records, index) === S_IFDIR) return;
    this.movedLinks.set(inoOf(records, index), 1);
  }

  /** -1: the directory is not there any more, and what is left of it to read is gone with it. */
  #openAgain(frame: ScanFrame): number {
    try {
      return this.#o.tree.fds.open(frame.path);
    } catch (error) {
      if (!REPLACED.has(errnoOf(error))) throw captureFailure(error, frame.path);
      return -1;
    }
  }

  #read(frame: ScanFrame, index: number, path: RawPath): void {
    const name = frame.nameAt(index);
    frame.outstanding += 1;
    this.filesRead += 1;
    const previous = frame.previous(name, this.#o.files)?.content ?? null;
    const closed = this.#closed(frame, [index]);
    if (closed.length > 0) this.#o.opened.announce(closed);
    const done = (captured: CapturedFile | null): void => {
      if (captured === null) this.#lookAgain(frame, name);
      else this.#take(frame, index, captured);
      this.#settle(frame);
    };
    this.#o.sink.submit({ path, previous, isAnnounced: closed.length > 0, done });
  }

  #take(frame: ScanFrame, index: number, captured: CapturedFile): void {
    const name = frame.nameAt(index);
    const { content, xattrs } = captured;
    frame.replaceRecord(index, captured.record);
    this.#rememberLinks(frame, index);
    if (this.#hasNoEvidence(frame, name)) forgetCtime(frame.records, index);
    const rest = { type: 'file' as const, rdev: 0, target: '', content, xattrs };
    frame.fresh.set(name, entryOfRecord(name, frame.records, index, rest));
    if (captured.isSettled) return;
    this.unsettled.push({ path: joinRaw(frame.path, name), reason: 'changing' });
  }

  /** The name leads to nothing, or to another thing, by now. */
  #lookAgain(frame: ScanFrame, name: string): void {
    const times = (frame.relookups.get(name) ?? 0) + 1;
    frame.relookups.set(name, times);
    frame.isChanged = true;
    if (times > RELOOKUPS_MAX) {
      const path = joinRaw(frame.path, name as RawName);
      throw captureFailure(new SyscallError('statx', ESTALE, ''), path);
    }
    frame.fresh.delete(name);
    this.#capture(frame, frame.indexOf(name));
  }

  /** Goes into a child directory, or carries over what is known of it. */
  #enter(frame: ScanFrame, index: number, scope: PathNode | null): void {
    const name = frame.nameAt(index);
    const path = joinRaw(frame.path, name);
    const isWhole = scope === null || this.#o.needsFullLook?.(path) === true;
    const child = isWhole ? null : scope.child(name);
    if (child === undefined && this.before(path) !== undefined) return;
    this.#open(frame, index, path);
    this.#push(path, frame, child ?? null);
  }

  /** Takes what `#stat` holds; a directory that is open for a while keeps the mode it had before. */
  #store(frame: ScanFrame, index: number): void {
    storeRecord(frame.records, index, this.#stat);
    if (this.#o.opened.isEmpty || !this.#stat.isDirectory) return;
    const before = this.#o.opened.announced(joinRaw(frame.path, frame.nameAt(index)));
    if (before?.ino !== this.#stat.ino) return;
    const isAsOpened = (this.#stat.word(7) & 0o7777) === openedBits(S_IFDIR, before.mode);
    if (isAsOpened) setModeOf(frame.records, index, before.mode);
  }

  /** Those of the entries that have to be opened before they can be read. */
  #closed(frame: ScanFrame, ...indices: readonly (readonly number[])[]): ClosedEntry[] {
    const { user } = this.#o.opened;
    if (user === 0) return [];
    return indices.flat().flatMap((index) => {
      const { mode, format, uid, gid, ino } = fieldsOf(frame.records, index);
      if (!isClosedTo(user, format | mode, uid, gid)) return [];
      return [{ path: joinRaw(frame.path, frame.nameAt(index)), ino, mode }];
    });
  }

  /** A directory that its owner may not list or enter is open from here to the end of the scan. */
  #open(frame: ScanFrame, index: number, path: RawPath): void {
    const [entry] = this.#closed(frame, [index]);
    if (entry === undefined) return;
    this.#o.opened.announce([entry]);
    const parentFd = this.#openAgain(frame);
    if (parentFd >= 0 && this.#o.opened.openDirectory(parentFd, entry))
      this.#o.tree.fds.forget(path);
  }

  #note(frame: ScanFrame, name: RawName, reason: UncoveredPath['reason']): void {
    const noted = this.uncovered.get(frame.path) ?? [];
    noted.push({ path: joinRaw(frame.path, name), reason });
    this.uncovered.set(frame.path, noted);
  }

  /** One thing less outstanding; directories that have nothing outstanding finish, up to the root. */
  #settle(start: ScanFrame): void {
    let frame: ScanFrame | null = start;
    while (frame !== null) {
      frame.outstanding -= 1;
      if (frame.outstanding > 0) return;
      const block = frame.finish(this, this.#o.files, this.#o.writer);
      frame.old?.forgetPositions();
      this.updated.set(frame.path, block);
      const { parent }: ScanFrame = frame;
      if (parent === null) this.#root = block;
      else if (frame.old?.id !== block.id) parent.isChanged = true;
      frame = parent;
    }
  }
}

const ENOENT = 2;
const ESTALE = 116;

function boundaryEntry(name: RawName, type: StoredEntry['type']): StoredEntry {
  return {
    name,
    type,
    mode: 0,
    uid: 0,
    gid: 0,
    sizeBytes: 0,
    mtimeSec: 0,
    mtimeNsec: 0,
    rdev: 0,
    flags: 0,
    linkGroup: 0,
    nlink: 1,
    content: null,
    child: '',
    target: '',
    xattrs: NO_XATTRS,
  };
}

function captureFailure(error: unknown, path: RawPath): Error {
  if (errnoOf(error) === 'EACCES') {
    const message = `The path can't be read by this user: ${shownPath(path)}`;
    return new GhostsnapError('CAPTURE_FAILED', message, {
      data: { path: shownPath(path), errno: 'EACCES' },
      hint: 'Give your user read access to it, or run the command as root.',
      cause: error,
    });
  }
  return toGhostsnapError(error, { what: 'Capturing', path, fallback: 'CAPTURE_FAILED' });
}
