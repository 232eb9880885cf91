/**
 * Descriptors of directories below one root, by path.
 *
 * The way from the root to the directory in use is kept open, so that a walk opens each directory
 * once, by one name in its parent. At most OPEN_DIRECTORIES_MAX are open at a time: in a deeper
 * tree the upper ones are closed and opened again when the walk comes back. Every open is an
 * openat2 that follows no symlink, leaves no root and crosses no mount; a nested subvolume is
 * refused by its inode number.
 *
 * It must not know what is done in the directories.
 */
import { type RawPath, ROOT_PATH } from '../core/raw-path.ts';
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
  Statx,
} from './syscalls-linux.ts';

/** The flags of every open below a root. */
export const RESOLVE_INSIDE =
  RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;

/** Descriptors a walk holds: deep enough for real trees, far from the usual limit of 1024. */
const OPEN_DIRECTORIES_MAX = 48;

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
  #openCount = 0;

  /** Takes over `rootFd`. */
  constructor(rootFd: number) {
    this.rootFd = rootFd;
    this.#statx.read(rootFd, '');
    this.rootDev = this.#statx.dev;
    this.rootMountId = this.#statx.mountId;
    this.rootIno = this.#statx.ino;
    this.isBtrfs = filesystemMagic(rootFd) === BTRFS_MAGIC;
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
    if (top !== undefined && top.fd < 0) this.#reopen(top);
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
    if (this.#openCount > OPEN_DIRECTORIES_MAX) this.#closeUppermost();
    return level.fd;
  }

  #pop(): void {
    const level = this.#levels.pop();
    if (level === undefined || level.fd < 0) return;
    this.#openCount -= 1;
    closeFd(level.fd);
  }

  #closeUppermost(): void {
    const last = this.#levels.length - 1;
    // The open ones are the deepest, without a gap: the uppermost of them is found by counting.
    const level = this.#levels[Math.max(0, last - this.#openCount + 1)];
    if (level === undefined || level.fd < 0) return;
    closeFd(level.fd);
    level.fd = -1;
    this.#openCount -= 1;
  }

  /** From the root again, in as many calls as the length of the path asks for. */
  #reopen(level: Level): void {
    const path = level.path;
    let fd = this.rootFd;
    let start = 0;
    try {
      while (path.length - start > CALL_PATH_BYTES_MAX) {
        const end = path.lastIndexOf('/', start + CALL_PATH_BYTES_MAX);
        const part = path.slice(start, end);
        const next = openBeneath(fd, part, O_PATH | O_DIRECTORY, RESOLVE_INSIDE);
        if (fd !== this.rootFd) closeFd(fd);
        fd = next;
        start = end + 1;
      }
      this.#openInto(level, fd, path.slice(start));
    } finally {
      if (fd !== this.rootFd) closeFd(fd);
    }
  }

  #openInto(level: Level, parentFd: number, name: string): void {
    const opened = openDirectory(parentFd, name);
    this.#statx.read(opened.fd, '');
    const { dev, ino } = this.#statx;
    // openat2 keeps mounts out; a subvolume is no mount, only another device and a reserved inode.
    const isForeign = this.isBtrfs && (ino === BTRFS_SUBVOLUME_INODE || isPlaceholder(ino));
    if (dev !== this.rootDev || isForeign) {
      closeFd(opened.fd);
      throw new SyscallError('openat2', EXDEV, level.path);
    }
    level.fd = opened.fd;
    level.isReadable = opened.isReadable;
    this.#openCount += 1;
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
