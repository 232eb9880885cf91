/**
 * Opening what its owner has closed to themselves, for as long as it takes to read it.
 *
 * A plain user may not read what they own when its mode says so, but may change the mode. A snapshot
 * must hold such files, or the way back would be blocked by the damage itself (`chmod -R 000`); and it
 * must hold the mode they have. So the bits that reading needs are added, and taken away again: of a
 * file at once, as soon as it is open; of a directory when everything in it was read.
 *
 * Invariant: a mode is announced, durably, before it is changed, and the announcement goes when it was
 * given back. A crash in between leaves the announcement, and whoever works on the workspace next gives
 * the modes back first (`giveBackLeftOpen`). A mode that somebody else has set meanwhile is left alone.
 * One process at a time opens modes of a workspace: the workspace's lock sees to it.
 *
 * The announcement: one line an entry, `<octal mode> <inode> <path as it is displayed>`, appended. A last
 * line without its end was never acted on.
 */
import {
  closeSync,
  fdatasyncSync,
  openSync,
  readFileSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import {
  baseOf,
  displayPath,
  parentOf,
  parseDisplayPath,
  type RawName,
  type RawPath,
  ROOT_PATH,
  rawFromText,
} from '../core/raw-path.ts';
import { DirectoryFds, RESOLVE_INSIDE } from './directory-fds.ts';
import { SyscallError } from './syscall-error.ts';
import { errnoOf, toGhostsnapError } from './syscall-failure.ts';
import { fsyncFd } from './syscalls-data-linux.ts';
import { chmodPathFd } from './syscalls-entry-linux.ts';
import {
  AT_FDCWD,
  closeFd,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  openAt,
  openBeneath,
} from './syscalls-linux.ts';
import { Statx } from './syscalls-statx-linux.ts';

/** The announcement's name in the workspace's own directory of the pool. */
export const OPENED_MODES_NAME = 'opened-modes';

/** Labels of `onStep`: tests kill the process there. */
export const OPENED_MODES_STEPS = [
  'modes:announced',
  'modes:directory-opened',
  'modes:file-opened',
  'modes:given-back',
] as const;

export interface ClosedEntry {
  readonly path: RawPath;
  readonly ino: number;
  /** Permission bits as they are, 0o7777. */
  readonly mode: number;
}

const S_IFMT = 0xf000;
const S_IFDIR = 0x4000;
const S_IFREG = 0x8000;
const S_ISGID = 0o2000;
const ESTALE = 116;

const statx = new Statx();

/** The effective user of this process, as far as it matters to whom something is closed. */
export function effectiveUser(): number {
  return process.geteuid?.() ?? 0;
}

/**
 * Whether `user` owns something, misses a bit to read it, and may open it for a while: not where chmod
 * could not give the mode back (it clears the set-group-id bit for a group one is not in).
 * @param mode type and permission bits
 */
export function isClosedTo(user: number, mode: number, uid: number, gid: number): boolean {
  if (user === 0 || uid !== user || (openedBits(mode, 0) & ~mode) === 0) return false;
  const format = mode & S_IFMT;
  if (format !== S_IFDIR && format !== S_IFREG) return false;
  return (mode & S_ISGID) === 0 || isOwnGroup(gid);
}

function isOwnGroup(gid: number): boolean {
  return gid === process.getegid?.() || (process.getgroups?.() ?? []).includes(gid);
}

/**
 * Opens a regular file that is closed to its owner, and closes it again: the descriptor stays. What a
 * descriptor is not enough for (extended attributes ask for the mode each time) is done by `whileOpen`.
 * Announced before by the caller. @throws SyscallError
 */
export function openClosedFile<T>(
  parentFd: number,
  name: RawName,
  whileOpen: (fd: number) => T,
): { readonly fd: number; readonly value: T } {
  const pathFd = openBeneath(parentFd, name, O_PATH | O_NOFOLLOW, RESOLVE_INSIDE);
  let fd = -1;
  try {
    const { mode } = statx.read(pathFd, '');
    const bits = mode & 0o7777;
    if ((mode & S_IFMT) !== S_IFREG) throw new SyscallError('openat2', ESTALE, name);
    chmodPathFd(pathFd, openedBits(mode, bits));
    try {
      fd = openAt(AT_FDCWD, `/proc/self/fd/${pathFd}`, O_RDONLY | O_NONBLOCK);
      return { fd, value: whileOpen(fd) };
    } finally {
      chmodPathFd(pathFd, bits);
    }
  } catch (error) {
    if (fd >= 0) closeFd(fd);
    throw error;
  } finally {
    closeFd(pathFd);
  }
}

export interface OpenedModesOptions {
  /** Absolute, as text: `OPENED_MODES_NAME` in the workspace's own directory. */
  readonly announcement: string;
  /** The workspace's path, as text. */
  readonly livePath: string;
  readonly onStep?: (label: string) => void;
}

export class OpenedModes implements Disposable {
  readonly user = effectiveUser();
  readonly #o: OpenedModesOptions;
  readonly #announced = new Map<RawPath, ClosedEntry>();
  /** Directories that are open, each after the one it lies in. */
  readonly #open: ClosedEntry[] = [];
  readonly #openPaths = new Set<RawPath>();
  #fd = -1;

  constructor(options: OpenedModesOptions) {
    this.#o = options;
  }

  get isEmpty(): boolean {
    return this.#announced.size === 0;
  }

  /** The entry as it was before it was opened; undefined: it was not. */
  announced(path: RawPath): ClosedEntry | undefined {
    return this.#announced.get(path);
  }

  /** Durable on return. @throws GhostsnapError POOL_FULL, IO */
  announce(entries: readonly ClosedEntry[]): void {
    const fresh = entries.filter(({ path, mode }) => this.#announced.get(path)?.mode !== mode);
    if (fresh.length === 0) return;
    const { announcement } = this.#o;
    try {
      if (this.#fd < 0) {
        this.#fd = openSync(announcement, 'a', 0o600);
        syncParent(announcement);
      }
      const lines = fresh.map((e) => `${e.mode.toString(8)} ${e.ino} ${displayPath(e.path)}\n`);
      // One write may end short of room without an error: this goes on until it is told of one.
      writeFileSync(this.#fd, lines.join(''));
      fdatasyncSync(this.#fd);
    } catch (error) {
      const path = rawFromText(announcement);
      throw toGhostsnapError(error, { what: 'Announcing modes that are opened', path });
    }
    for (const entry of fresh) this.#announced.set(entry.path, entry);
    this.#o.onStep?.('modes:announced');
  }

  /**
   * Makes an announced directory one that can be listed and entered, until this is disposed of.
   * False: it is open already, or is another one by now. @throws SyscallError
   */
  openDirectory(parentFd: number, entry: ClosedEntry): boolean {
    if (this.#openPaths.has(entry.path)) return false;
    const name = baseOf(entry.path);
    const fd = openBeneath(parentFd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW, RESOLVE_INSIDE);
    try {
      return this.#openFd(fd, entry);
    } finally {
      closeFd(fd);
    }
  }

  /** The same for the root of the tree; announces it as well. False: nothing was missing. */
  openRoot(): boolean {
    const fd = this.#rootFd();
    try {
      const { mode, uid, gid, ino } = statx.read(fd, '');
      if (!isClosedTo(this.user, mode, uid, gid)) return false;
      const entry = { path: ROOT_PATH, ino, mode: mode & 0o7777 };
      this.announce([entry]);
      return this.#openFd(fd, entry);
    } finally {
      closeFd(fd);
    }
  }

  /** The root keeps this mode instead of the one it had, unless it was changed since. */
  settleRoot(mode: number): void {
    const at = this.#open.findIndex(({ path }) => path === ROOT_PATH);
    const [entry] = at < 0 ? [] : this.#open.splice(at, 1);
    if (entry === undefined) return;
    const fd = this.#rootFd();
    try {
      const now = statx.read(fd, '').mode;
      if ((now & 0o7777) === openedBits(now, entry.mode)) chmodPathFd(fd, mode);
    } finally {
      closeFd(fd);
    }
  }

  #rootFd(): number {
    try {
      return openAt(AT_FDCWD, rawFromText(this.#o.livePath), O_PATH | O_DIRECTORY);
    } catch (error) {
      const path = rawFromText(this.#o.livePath);
      throw toGhostsnapError(error, { what: 'Opening', path, fallback: 'WORKSPACE_GONE' });
    }
  }

  #openFd(fd: number, entry: ClosedEntry): boolean {
    const { mode, ino } = statx.read(fd, '');
    if (ino !== entry.ino || (mode & 0o7777) !== entry.mode) return false;
    // Noted first: a change that is not noted would not be given back by this process.
    this.#open.push(entry);
    this.#openPaths.add(entry.path);
    chmodPathFd(fd, openedBits(mode, entry.mode));
    this.#o.onStep?.('modes:directory-opened');
    return true;
  }

  /** Gives all modes back. @throws GhostsnapError IO, NOT_PERMITTED: the announcement stays */
  [Symbol.dispose](): void {
    if (this.#fd < 0) return;
    closeSync(this.#fd);
    this.#fd = -1;
    giveBack(this.#o, this.#open);
    this.#announced.clear();
    this.#open.length = 0;
    this.#openPaths.clear();
  }
}

/** What a killed process announced; null: there is no announcement. */
export function readLeftOpen(announcement: string): readonly ClosedEntry[] | null {
  let text: string;
  try {
    text = readFileSync(announcement, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null;
    throw toGhostsnapError(error, { what: 'Reading', path: rawFromText(announcement) });
  }
  const whole = text.split('\n').slice(0, -1);
  return whole.flatMap((line) => {
    const found = /^([0-7]{1,4}) ([0-9]{1,16}) (.*)$/.exec(line);
    if (found === null) return [];
    const [, mode = '', ino = '', shown = ''] = found;
    const path = parseDisplayPath(shown) as RawPath;
    return [{ path, ino: Number(ino), mode: Number.parseInt(mode, 8) }];
  });
}

/** Gives back what a killed process left open. Idempotent; nothing to do is the rule. */
export function giveBackLeftOpen(options: OpenedModesOptions): void {
  const left = readLeftOpen(options.announcement);
  if (left !== null) giveBack(options, left);
}

function giveBack(options: OpenedModesOptions, entries: readonly ClosedEntry[]): void {
  const { announcement, livePath } = options;
  try {
    giveBackBelow(livePath, entries);
    options.onStep?.('modes:given-back');
    unlinkSync(announcement);
    syncParent(announcement);
  } catch (error) {
    throw toGhostsnapError(error, { what: 'Giving modes back', path: rawFromText(livePath) });
  }
}

/** The last that was opened first: what lies in a directory is reached while the directory is open. */
function giveBackBelow(livePath: string, entries: readonly ClosedEntry[]): void {
  let rootFd: number;
  try {
    rootFd = openAt(AT_FDCWD, rawFromText(livePath), O_PATH | O_DIRECTORY);
  } catch (error) {
    // The workspace is gone, and what was opened in it.
    if (isMissing(error)) return;
    throw error;
  }
  using fds = new DirectoryFds(rootFd);
  for (const entry of [...entries].reverse()) {
    try {
      giveBackOne(fds, entry);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }
}

function giveBackOne(fds: DirectoryFds, entry: ClosedEntry): void {
  const isRoot = entry.path === '';
  const flags = O_PATH | O_NOFOLLOW;
  const fd = isRoot
    ? fds.rootFd
    : openBeneath(fds.open(parentOf(entry.path)), baseOf(entry.path), flags, RESOLVE_INSIDE);
  try {
    const { mode, ino } = statx.read(fd, '');
    const isAsOpened = ino === entry.ino && (mode & 0o7777) === openedBits(mode, entry.mode);
    if (isAsOpened) chmodPathFd(fd, entry.mode);
  } finally {
    if (!isRoot) closeFd(fd);
  }
}

/** The permission bits that something of this type has while it is open. */
export function openedBits(format: number, bits: number): number {
  return bits | ((format & S_IFMT) === S_IFDIR ? 0o500 : 0o400);
}

/** Gone, another thing, somebody else's, or closed on the way by now: nothing that we can give back. */
function isMissing(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR', 'ELOOP', 'EXDEV', 'EACCES', 'EPERM'].includes(errnoOf(error));
}

function syncParent(path: string): void {
  const fd = openAt(AT_FDCWD, rawFromText(dirname(path)), O_RDONLY | O_DIRECTORY);
  try {
    fsyncFd(fd);
  } finally {
    closeFd(fd);
  }
}
