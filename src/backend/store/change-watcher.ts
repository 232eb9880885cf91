/**
 * Which directories of a workspace changed, heard from inotify while an engine stays open.
 *
 * One watch a directory. What was heard is only ever used to look at less; whenever hearing may have had
 * a gap (the queue overflowed, the filesystem was unmounted, the limit of watches was reached) the
 * answer is "everything", never a guess. A directory is watched before it is listed, so nothing falls
 * between. A directory that moved keeps its watch: it is looked at in full under its new name first.
 *
 * What inotify does not tell, and who covers it: stores through shared mappings (writable-mappings.ts and
 * the directories that were busy lately), writes through another name of a hard-linked file (their
 * directories are always looked at), filesystems that other machines write to (never watched). What
 * remains: a store through a mapping held by a process of another user, whose maps can't be read; it
 * is seen when the mapping is closed.
 */
import { readSync } from 'node:fs';
import { isWithin, joinRaw, type RawName, type RawPath } from '../../core/raw-path.ts';
import { PathSet } from '../path-set.ts';
import { errnoOf } from '../syscall-failure.ts';
import { inotifyOpen, inotifyUnwatch, inotifyWatch } from '../syscalls-inotify-linux.ts';
import { closeFd } from '../syscalls-linux.ts';

const IN_MODIFY = 0x2;
const IN_ATTRIB = 0x4;
const IN_CLOSE_WRITE = 0x8;
const IN_MOVED_FROM = 0x40;
const IN_MOVED_TO = 0x80;
const IN_CREATE = 0x100;
const IN_DELETE = 0x200;
const IN_DELETE_SELF = 0x400;
const IN_MOVE_SELF = 0x800;
const IN_UNMOUNT = 0x2000;
const IN_Q_OVERFLOW = 0x4000;
const IN_IGNORED = 0x8000;
const IN_ONLYDIR = 0x1000000;
const IN_ISDIR = 0x40000000;

const WATCHED =
  IN_MODIFY |
  IN_ATTRIB |
  IN_CLOSE_WRITE |
  IN_MOVED_FROM |
  IN_MOVED_TO |
  IN_CREATE |
  IN_DELETE |
  IN_DELETE_SELF |
  IN_MOVE_SELF |
  IN_ONLYDIR;
const NAMES_MOVED = IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE;

const EVENT_BYTES = 16;
const DRAIN_MS = 200;

/** What was heard since the last look. */
export interface HeardChanges {
  /** Directories in which something happened. */
  readonly dirty: PathSet;
  /** Directories that came, went or moved: what is known below them does not hold. */
  readonly moved: PathSet;
}

export class ChangeWatcher implements Disposable {
  #fd = -1;
  #heard: HeardChanges = { dirty: new PathSet(), moved: new PathSet() };
  /** 'complete': everything since the last full look was heard. */
  #state: 'complete' | 'gap' | 'off' = 'gap';
  #pathOf = new Map<number, RawPath>();
  #watchOf = new Map<RawPath, number>();
  readonly #buffer = Buffer.allocUnsafeSlow(64 * 1024);
  #timer: NodeJS.Timeout | null = null;
  /** Why nothing is heard any more, for people; '' while it works. */
  offReason = '';

  /** True when `take` says all that changed since the last full look. */
  get isComplete(): boolean {
    return this.#state === 'complete';
  }

  get watchCount(): number {
    return this.#watchOf.size;
  }

  /** Before a full look: everything is forgotten, and from here on everything is heard. */
  startOver(): void {
    if (this.#state === 'off') return;
    this.#close();
    try {
      this.#fd = inotifyOpen();
    } catch (error) {
      this.#turnOff(errnoOf(error));
      return;
    }
    this.#state = 'complete';
    this.#timer = setInterval(() => this.drain(), DRAIN_MS);
    this.#timer.unref();
  }

  /** Listens to the directory behind `fd`. A watch it already has takes the new path. */
  watch(path: RawPath, fd: number): void {
    if (this.#fd < 0) return;
    try {
      const watch = inotifyWatch(this.#fd, `/proc/self/fd/${fd}`, WATCHED);
      this.#pathOf.set(watch, path);
      this.#watchOf.set(path, watch);
    } catch (error) {
      this.#turnOff(errnoOf(error));
    }
  }

  isWatched(path: RawPath): boolean {
    return this.#watchOf.has(path);
  }

  /** Reads what is waiting; cheap when nothing is. */
  drain(): void {
    while (this.#fd >= 0 && this.#state === 'complete') {
      let length: number;
      try {
        length = readSync(this.#fd, this.#buffer, 0, this.#buffer.length, null);
      } catch (error) {
        if (errnoOf(error) === 'EAGAIN') return;
        if (errnoOf(error) === 'EINTR') continue;
        this.#state = 'gap';
        return;
      }
      for (let at = 0; at < length; ) at = this.#hear(at);
    }
  }

  /** What was heard; from here on it is heard anew. Give it back with `returnHeard` after a failure. */
  take(): HeardChanges {
    this.drain();
    const heard = this.#heard;
    this.#heard = { dirty: new PathSet(), moved: new PathSet() };
    return heard;
  }

  returnHeard(heard: HeardChanges): void {
    for (const path of heard.dirty) this.#heard.dirty.add(path);
    for (const path of heard.moved) this.#heard.moved.add(path);
  }

  /** A failed look may have left directories unlistened: the next one is full. */
  loseTrack(): void {
    if (this.#state === 'complete') this.#state = 'gap';
  }

  /** Directories that are gone from these paths. One that lives on elsewhere keeps its watch. */
  forget(roots: readonly RawPath[]): void {
    for (const [path, watch] of this.#watchOf) {
      if (!roots.some((root) => isWithin(path, root))) continue;
      this.#watchOf.delete(path);
      if (this.#pathOf.get(watch) !== path) continue;
      this.#pathOf.delete(watch);
      this.#unwatch(watch);
    }
  }

  [Symbol.dispose](): void {
    this.#close();
    this.#state = 'off';
  }

  /** One event; the offset of the next. struct inotify_event: wd, mask, cookie, len, name. */
  #hear(at: number): number {
    const watch = this.#buffer.readInt32LE(at);
    const mask = this.#buffer.readUInt32LE(at + 4);
    const nameBytes = this.#buffer.readUInt32LE(at + 12);
    const next = at + EVENT_BYTES + nameBytes;
    if ((mask & (IN_Q_OVERFLOW | IN_UNMOUNT)) !== 0) {
      this.#state = 'gap';
      return next;
    }
    const path = this.#pathOf.get(watch);
    if (path === undefined) return next;
    if ((mask & IN_IGNORED) !== 0) {
      this.#pathOf.delete(watch);
      if (this.#watchOf.get(path) === watch) this.#watchOf.delete(path);
      if (path === '') this.#state = 'gap';
      return next;
    }
    this.#heard.dirty.add(path);
    if ((mask & IN_ISDIR) !== 0 && (mask & NAMES_MOVED) !== 0 && nameBytes > 0) {
      const start = at + EVENT_BYTES;
      const name = this.#buffer.toString('latin1', start, this.#buffer.indexOf(0, start));
      this.#heard.moved.add(joinRaw(path, name as RawName));
    }
    return next;
  }

  #unwatch(watch: number): void {
    try {
      inotifyUnwatch(this.#fd, watch);
    } catch (error) {
      // EINVAL: the kernel removed it with the directory, and its IN_IGNORED is on the way.
      if (errnoOf(error) !== 'EINVAL') throw error;
    }
  }

  #turnOff(errno: string): void {
    this.#close();
    this.#state = 'off';
    this.offReason =
      errno === 'ENOSPC'
        ? 'the limit of inotify watches is reached (sysctl fs.inotify.max_user_watches)'
        : `inotify failed with ${errno}`;
  }

  #close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    if (this.#fd >= 0) closeFd(this.#fd);
    this.#fd = -1;
    this.#pathOf = new Map();
    this.#watchOf = new Map();
    this.#heard = { dirty: new PathSet(), moved: new PathSet() };
  }
}
