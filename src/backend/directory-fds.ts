/**
 * Descriptors of directories below one root, by path.
 *
 * The way from the root to the directory in use is kept open, so that a walk opens each directory
 * once, by one name in its parent. In a deep tree only the lowest levels and a few landmarks above
 * them are: a walk that comes back up opens a run of levels again, from the landmark above it, so
 * that a tree of n levels costs far fewer than n * n steps. Every open is an openat2 that follows
 * no symlink, leaves no root and crosses no mount; a nested subvolume is refused by its inode number.
 *
 * It must not know what is done in the directories.
 */

import { type RawPath, ROOT_PATH } from '../core/raw-path.ts';
import { closedOnFailure } from './closed-on-failure.ts';
import { SyscallError } from './syscall-error.ts';
import { BTRFS_MAGIC, filesystemMagic } from './syscalls-inode-linux.ts';
import {
  closeFd,
  O_DIRECTORY,
  O_PATH,
  O_RDONLY,
  openBeneath,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
  RESOLVE_NO_XDEV,
} from './syscalls-linux.ts';
import { Statx } from './syscalls-statx-linux.ts';

/** The flags of every open below a root. */
export const RESOLVE_INSIDE =
  RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;

/** Levels that are open at the end of the way: deep enough for real trees. */
const LOWEST_MAX = 32;
/** Levels above them that stay open, at equal distances; with the lowest far from the limit of 1024. */
const LANDMARKS_MAX = 16;
/** Levels that are opened again at once. */
const RUN_LEVELS = 24;

/** Bytes of a path in one call; the kernel takes 4096 with the NUL. */
const CALL_PATH_BYTES_MAX = 4000;

const EXDEV = 18;
const EACCES = 13;
const BTRFS_SUBVOLUME_INODE = 256;
const BTRFS_EMPTY_SUBVOLUME_INODE = 2;

interface Level {
  readonly path: RawPath;
  /** -1: closed to stay below the bound. */
  fd: number;
  /** False: opened with O_PATH, because the directory may be entered but not read. */
  isReadable: boolean;
}

export class DirectoryFds implements Disposable {
  readonly rootFd: number;
  readonly rootDev: number;
  readonly rootMountId: number;
  readonly rootIno: number;
  readonly isBtrfs: boolean;
  readonly #statx = new Statx();
  readonly #levels: Level[] = [];
  /** From here on every level is open; above it only those whose number the distance divides. */
  #lowest = 0;
  #distance = 1;

  /** Takes over `rootFd`, and closes it when it cannot be looked at. */
  constructor(rootFd: number) {
    this.rootFd = rootFd;
    this.isBtrfs = closedOnFailure(rootFd, () => {
      this.#statx.read(rootFd, '');
      return filesystemMagic(rootFd) === BTRFS_MAGIC;
    });
    this.rootDev = this.#statx.dev;
    this.rootMountId = this.#statx.mountId;
    this.rootIno = this.#statx.ino;
  }

  /**
   * A descriptor of the directory at `path`, valid until the next call. It may be an O_PATH one
   * (`isReadable` false) where the user may pass through the directory but not list it.
   * @throws SyscallError ENOENT, ENOTDIR, ELOOP (a symlink), EXDEV (a mount or subvolume), EACCES
   */
  open(path: RawPath): number {
    return this.#level(path)?.fd ?? this.rootFd;
  }

  /** As `open`, refused with EACCES where the directory can't be listed. */
  openReadable(path: RawPath): number {
    const level = this.#level(path);
    if (level === null) return this.rootFd;
    if (!level.isReadable) throw new SyscallError('openat2', EACCES, path);
    return level.fd;
  }

  /** Closes what is open at and below `path`: it is about to be removed, replaced or re-opened. */
  forget(path: RawPath): void {
    for (let top = this.#levels.at(-1); top !== undefined; top = this.#levels.at(-1)) {
      const isBelow = top.path === path || top.path.startsWith(`${path}/`) || path === '';
      if (!isBelow) return;
      this.#pop();
    }
  }

  [Symbol.dispose](): void {
    this.forget(ROOT_PATH);
    closeFd(this.rootFd);
  }

  #level(path: RawPath): Level | null {
    if (path === '') return null;
    let top = this.#levels.at(-1);
    if (top !== undefined && top.path === path && top.fd >= 0) return top;
    while (top !== undefined && !(path === top.path || path.startsWith(`${top.path}/`))) {
      this.#pop();
      top = this.#levels.at(-1);
    }
    if (top !== undefined && top.fd < 0) this.#reopenRun();
    let parentFd = top === undefined ? this.rootFd : top.fd;
    let start = top === undefined ? 0 : top.path.length + 1;
    while (start <= path.length) {
      const slash = path.indexOf('/', start);
      const end = slash < 0 ? path.length : slash;
      parentFd = this.#push(parentFd, path.slice(start, end), path.slice(0, end) as RawPath);
      start = end + 1;
    }
    return this.#levels.at(-1) ?? null;
  }

  #push(parentFd: number, name: string, path: RawPath): number {
    const level: Level = { path, fd: -1, isReadable: true };
    this.#openInto(level, parentFd, name);
    this.#levels.push(level);
    if (this.#levels.length - this.#lowest > LOWEST_MAX) this.#closeUppermost();
    return level.fd;
  }

  #pop(): void {
    const level = this.#levels.pop();
    this.#lowest = Math.min(this.#lowest, this.#levels.length);
    if (level !== undefined) close(level);
  }

  #closeUppermost(): void {
    const number = this.#lowest;
    this.#lowest += 1;
    if (number % this.#distance !== 0) close(this.#levels[number]);
    if (this.#lowest <= LANDMARKS_MAX * this.#distance) return;
    for (let other = this.#distance; other < this.#lowest; other += 2 * this.#distance) {
      close(this.#levels[other]);
    }
    this.#distance *= 2;
  }

  /** The last level and some above it, as whoever comes back up mostly goes on upwards. */
  #reopenRun(): void {
    const end = this.#levels.length;
    let landmark = end - 1;
    while (landmark >= 0 && (this.#levels[landmark]?.fd ?? -1) < 0) landmark -= 1;
    const start = Math.max(landmark + 1, end - RUN_LEVELS);
    let parentFd = this.#levels[landmark]?.fd ?? this.rootFd;
    const above = this.#levels[start - 1]?.path ?? ROOT_PATH;
    const way = above.slice(nameStart(this.#levels[landmark]?.path));
    const wayFd = start - 1 > landmark ? openFarBelow(parentFd, way) : -1;
    if (wayFd >= 0) parentFd = wayFd;
    try {
      for (let number = start; number < end; number += 1) {
        const level = this.#levels[number];
        if (level === undefined) continue;
        this.#openInto(
          level,
          parentFd,
          level.path.slice(nameStart(this.#levels[number - 1]?.path)),
        );
        parentFd = level.fd;
      }
      this.#lowest = start;
    } catch (error) {
      // A run that is open in part has a gap below it.
      for (const level of this.#levels.slice(start)) close(level);
      throw error;
    } finally {
      if (wayFd >= 0) closeFd(wayFd);
    }
  }

  #openInto(level: Level, parentFd: number, name: string): void {
    const opened = openDirectory(parentFd, name);
    closedOnFailure(opened.fd, () => this.#assertInside(opened.fd, level.path));
    level.fd = opened.fd;
    level.isReadable = opened.isReadable;
  }

  /** openat2 keeps mounts out; a subvolume is no mount, only another device and a reserved inode. */
  #assertInside(fd: number, path: RawPath): void {
    const { dev, ino } = this.#statx.read(fd, '');
    const isForeign = this.isBtrfs && (ino === BTRFS_SUBVOLUME_INODE || isPlaceholder(ino));
    if (dev !== this.rootDev || isForeign) throw new SyscallError('openat2', EXDEV, path);
  }
}

function close(level: Level | undefined): void {
  if (level === undefined || level.fd < 0) return;
  const { fd } = level;
  level.fd = -1;
  closeFd(fd);
}

/** Where the name of what lies directly in `parent` begins in its path; undefined: the root. */
function nameStart(parent: RawPath | undefined): number {
  return parent === undefined ? 0 : parent.length + 1;
}

/** A directory some levels below, only to pass through; in as many calls as the way is long. */
function openFarBelow(fromFd: number, way: string): number {
  let fd = fromFd;
  try {
    for (let start = 0; start < way.length; ) {
      const isRest = way.length - start <= CALL_PATH_BYTES_MAX;
      const end = isRest ? way.length : way.lastIndexOf('/', start + CALL_PATH_BYTES_MAX);
      const part = way.slice(start, end);
      const next = openBeneath(fd, part, O_PATH | O_DIRECTORY, RESOLVE_INSIDE);
      if (fd !== fromFd) closeFd(fd);
      fd = next;
      start = end + 1;
    }
    return fd;
  } catch (error) {
    if (fd !== fromFd) closeFd(fd);
    throw error;
  }
}

function isPlaceholder(ino: number): boolean {
  return ino === BTRFS_EMPTY_SUBVOLUME_INODE;
}

function openDirectory(parentFd: number, name: string): { fd: number; isReadable: boolean } {
  try {
    const fd = openBeneath(parentFd, name, O_RDONLY | O_DIRECTORY, RESOLVE_INSIDE);
    return { fd, isReadable: true };
  } catch (error) {
    if (!(error instanceof SyscallError) || error.code !== 'EACCES') throw error;
    const fd = openBeneath(parentFd, name, O_PATH | O_DIRECTORY, RESOLVE_INSIDE);
    return { fd, isReadable: false };
  }
}
