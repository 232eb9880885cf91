/**
 * The entries of one directory, raw: names from getdents64, attributes from statx.
 *
 * A listing keeps the kernel's own records in one buffer that is used again for the next directory,
 * and each statx result is read in place. Nothing is allocated for an entry until somebody asks for
 * its name or a `TreeEntry`, because a walk of a hundred thousand files mostly asks for neither.
 *
 * Offsets: struct linux_dirent64 (getdents64(2)) and struct statx (include/uapi/linux/stat.h).
 */
import type { RawName, RawPath } from '../core/raw-path.ts';
import type { EntryType, TreeEntry } from '../core/tree-entry.ts';
import { getdents } from './syscalls-entry-linux.ts';
import { addressOf, statxRaw, statxRawFd } from './syscalls-inode-linux.ts';

const FIRST_BYTES = 64 * 1024;
/** getdents64 wants room for at least one record of 255 bytes of name; less is a grown buffer. */
const ROOM_BYTES_MIN = 32 * 1024;

const RECLEN_OFFSET = 16;
const TYPE_OFFSET = 18;
const NAME_OFFSET = 19;
const DOT = 0x2e;

export const DT_DIR = 4;

export class DirectoryListing {
  buffer: Buffer = Buffer.alloc(FIRST_BYTES);
  address: number = addressOf(this.buffer);
  lengthBytes = 0;

  /** Reads all records of an open directory whose position is at its start. */
  read(fd: number): void {
    let length = 0;
    // The kernel leaves the padding of a record as it finds it: without this, equal directories
    // would differ by what was read before them.
    this.buffer.fill(0, 0, this.lengthBytes);
    for (;;) {
      if (this.buffer.length - length < ROOM_BYTES_MIN) this.#grow(length);
      const got = getdents(fd, this.buffer.subarray(length));
      if (got === 0) break;
      length += got;
    }
    this.lengthBytes = length;
    this.#forgetDots();
  }

  /** The offset of the record after the one at `offset`. */
  next(offset: number): number {
    return offset + this.buffer.readUInt16LE(offset + RECLEN_OFFSET);
  }

  isDotOrDotDot(offset: number): boolean {
    const b = this.buffer;
    const at = offset + NAME_OFFSET;
    return b[at] === DOT && (b[at + 1] === 0 || (b[at + 1] === DOT && b[at + 2] === 0));
  }

  /** DT_* as the filesystem says; 0 when it does not know. */
  direntType(offset: number): number {
    return this.buffer[offset + TYPE_OFFSET] ?? 0;
  }

  direntIno(offset: number): number {
    return this.buffer.readUInt32LE(offset) + this.buffer.readUInt32LE(offset + 4) * 2 ** 32;
  }

  nameAddress(offset: number): number {
    return this.address + offset + NAME_OFFSET;
  }

  name(offset: number): RawName {
    const start = offset + NAME_OFFSET;
    let end = start;
    while (this.buffer[end] !== 0) end += 1;
    return this.buffer.toString('latin1', start, end) as RawName;
  }

  /** The inode of '..' depends on where a tree hangs and is no part of the directory's content. */
  #forgetDots(): void {
    for (let at = 0, seen = 0; at < this.lengthBytes && seen < 2; at = this.next(at), seen += 1) {
      if (this.isDotOrDotDot(at)) this.buffer.fill(0, at, at + RECLEN_OFFSET);
    }
  }

  #grow(usedBytes: number): void {
    const bigger = Buffer.alloc(this.buffer.length * 2);
    this.buffer.copy(bigger, 0, 0, usedBytes);
    this.buffer = bigger;
    this.address = addressOf(bigger);
  }
}

/** What makes an entry a boundary: the identity of the tree it should belong to. */
export interface TreeIdentity {
  readonly rootDev: number;
  readonly rootMountId: number;
  readonly isBtrfs: boolean;
}

const S_IFMT = 0xf000;
const TYPE_BY_FORMAT: Readonly<Record<number, EntryType>> = {
  4096: 'fifo',
  8192: 'chardev',
  16384: 'dir',
  24576: 'blockdev',
  32768: 'file',
  40960: 'symlink',
  49152: 'socket',
};

const ATTR_IMMUTABLE_APPEND = 0x30;
/** STATX_ATTR_AUTOMOUNT and STATX_ATTR_MOUNT_ROOT. */
const ATTR_MOUNT = 0x1000 | 0x2000;
const U32 = 2 ** 32;

/** One statx result in a buffer of its own, reused. `words` are its 32-bit words. */
export class RawStat {
  readonly #buffer = Buffer.alloc(256);
  readonly #address = addressOf(this.#buffer);
  readonly words = new Uint32Array(this.#buffer.buffer, this.#buffer.byteOffset, 64);
  readonly #seconds = new BigInt64Array(this.#buffer.buffer, this.#buffer.byteOffset, 32);

  /** 0, or the errno. */
  read(dirFd: number, nameAddress: number): number {
    return statxRaw(dirFd, nameAddress, this.#address);
  }

  /** What a descriptor is open on. 0, or the errno. */
  readFd(fd: number): number {
    return statxRawFd(fd, this.#address);
  }

  word(index: number): number {
    return this.words[index] ?? 0;
  }
  /** What lies here is mounted, or would be if it were entered. */
  get isMountRoot(): boolean {
    return (this.word(2) & ATTR_MOUNT) !== 0;
  }
  get mountId(): number {
    return this.word(36) + this.word(37) * U32;
  }
  get nlink(): number {
    return this.word(4);
  }
  get format(): number {
    return this.word(7) & S_IFMT;
  }
  get ino(): number {
    return this.word(8) + this.word(9) * U32;
  }
  get sizeBytes(): number {
    return this.word(10) + this.word(11) * U32;
  }
  get isRegular(): boolean {
    return this.format === 0x8000;
  }
  get isDirectory(): boolean {
    return this.format === 0x4000;
  }
  /** Milliseconds, with fractions; only to compare with a moment. */
  get ctimeMs(): number {
    return ((this.word(25) | 0) * U32 + this.word(24)) * 1000 + this.word(26) / 1e6;
  }
  get ctimeNs(): bigint {
    return (this.#seconds[12] ?? 0n) * 1_000_000_000n + BigInt(this.word(26));
  }
  get mtimeNs(): bigint {
    return (this.#seconds[14] ?? 0n) * 1_000_000_000n + BigInt(this.word(30));
  }

  /** The type as the tree `identity` sees it: what belongs to another tree is a boundary. */
  entryType(identity: TreeIdentity): EntryType {
    if (this.isMountRoot || this.mountId !== identity.rootMountId) return 'mount';
    const type = TYPE_BY_FORMAT[this.format] ?? 'socket';
    if (type === 'dir' && identity.isBtrfs) {
      const ino = this.ino;
      if (ino === 256 || ino === 2) return 'subvolume';
    }
    return type;
  }

  /** The entry under `name`. `asRoot` keeps the root of a subvolume a directory. */
  toEntry(name: RawName, identity: TreeIdentity, role: 'entry' | 'root' = 'entry'): TreeEntry {
    const type = role === 'root' ? 'dir' : this.entryType(identity);
    const isDevice = type === 'chardev' || type === 'blockdev';
    return {
      name,
      type,
      mode: this.word(7) & 0o7777,
      uid: this.word(5),
      gid: this.word(6),
      sizeBytes: type === 'file' ? this.sizeBytes : 0,
      mtimeNs: this.mtimeNs,
      ino: this.ino,
      nlink: this.nlink,
      ctimeNs: this.ctimeNs,
      rdev: isDevice ? deviceNumber(this.word(32), this.word(33)) : 0,
      flags: this.word(2) & ATTR_IMMUTABLE_APPEND,
    };
  }
}

function deviceNumber(major: number, minor: number): number {
  return (minor & 0xff) + (major & 0xfff) * 2 ** 8 + Math.floor(minor / 256) * 2 ** 20;
}

/** True when the entry is the same inode with the same attributes, ctime included. */
export function isSameStat(a: RawStat, b: RawStat): boolean {
  const x = a.words;
  const y = b.words;
  // Words: 2 attributes, 4 nlink, 5 uid, 6 gid, 7 mode, 8-9 ino, 10-11 size, 24-26 ctime, 28-30
  // mtime.
  return (
    x[24] === y[24] &&
    x[26] === y[26] &&
    x[8] === y[8] &&
    x[9] === y[9] &&
    x[10] === y[10] &&
    x[11] === y[11] &&
    x[7] === y[7] &&
    x[5] === y[5] &&
    x[6] === y[6] &&
    x[4] === y[4] &&
    x[25] === y[25] &&
    x[28] === y[28] &&
    x[29] === y[29] &&
    x[30] === y[30] &&
    x[2] === y[2]
  );
}

/** A path as NUL-terminated bytes at a fixed address, for `RawStat.read`. */
export class NameSlot {
  #buffer = Buffer.alloc(4096);
  #address = addressOf(this.#buffer);

  set(name: RawName | RawPath): number {
    if (name.length + 1 > this.#buffer.length) {
      this.#buffer = Buffer.alloc(name.length * 2);
      this.#address = addressOf(this.#buffer);
    }
    const length = this.#buffer.write(name, 0, 'latin1');
    this.#buffer[length] = 0;
    return this.#address;
  }
}
