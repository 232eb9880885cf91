/** statx(2) of a name or a descriptor, as an object that is read field by field. */
import { displaySubject, pathScratchA, writePath } from './checked-call.ts';
import { settledFailure } from './failed-call.ts';
import { libc } from './libc-linux.ts';
import { SyscallError } from './syscall-error.ts';
import { AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW } from './syscalls-linux.ts';

const c = {
  statx: libc.func(
    'int statx(int dirfd, const void *path, int flags, unsigned int mask, void *buf)',
  ),
};

const ENOENT = 2;
const ENOTDIR = 20;

/** Everything basic, the time of birth, the mount's id. */
const STATX_ALL = 0xfff | 0x1000;
const STATX_ATTR_MOUNT_ROOT = 0x2000;

/**
 * One statx(2) result, read out of a buffer of its own. Reused: take what is needed before the next
 * call on the same object. Offsets: struct statx in include/uapi/linux/stat.h.
 */
export class Statx {
  readonly #b = Buffer.alloc(256);
  /** Reading through it makes no number object on the way, as the buffer's own methods do. */
  readonly #fields = new DataView(this.#b.buffer, this.#b.byteOffset, this.#b.byteLength);

  /** Never follows a symlink in the last component. `raw` may be '' with an O_PATH or open descriptor. */
  read(dirFd: number, raw: string): this {
    const failed = this.tryRead(dirFd, raw);
    if (failed !== 0) throw new SyscallError('statx', failed, displaySubject(raw));
    return this;
  }

  /** 0, or the errno. For paths that may be missing: no exception is made. */
  tryRead(dirFd: number, raw: string): number {
    const flags = AT_SYMLINK_NOFOLLOW | (raw === '' ? AT_EMPTY_PATH : 0);
    const path = writePath(pathScratchA, raw);
    const result = c.statx(dirFd, path, flags, STATX_ALL, this.#b);
    return result >= 0 ? 0 : this.#failed(dirFd, path, flags);
  }

  /** Apart, so that a call that succeeds makes no function. */
  #failed(dirFd: number, path: Buffer, flags: number): number {
    return 0 - settledFailure(() => c.statx(dirFd, path, flags, STATX_ALL, this.#b));
  }

  /** False: there is nothing of that name. Whatever else keeps it from being seen is thrown: it may be there. */
  isThere(dirFd: number, raw: string): boolean {
    const failed = this.tryRead(dirFd, raw);
    if (failed === ENOENT || failed === ENOTDIR) return false;
    if (failed !== 0) throw new SyscallError('statx', failed, displaySubject(raw));
    return true;
  }

  get isMountRoot(): boolean {
    return (this.#fields.getUint32(8, true) & STATX_ATTR_MOUNT_ROOT) !== 0;
  }
  get nlink(): number {
    return this.#fields.getUint32(16, true);
  }
  get uid(): number {
    return this.#fields.getUint32(20, true);
  }
  get gid(): number {
    return this.#fields.getUint32(24, true);
  }
  /** Type and permission bits. */
  get mode(): number {
    return this.#fields.getUint16(28, true);
  }
  get ino(): number {
    return this.#fields.getUint32(32, true) + this.#fields.getUint32(36, true) * 2 ** 32;
  }
  get sizeBytes(): number {
    return this.#fields.getUint32(40, true) + this.#fields.getUint32(44, true) * 2 ** 32;
  }
  /** 512-byte units. */
  get blocks(): number {
    return this.#fields.getUint32(48, true) + this.#fields.getUint32(52, true) * 2 ** 32;
  }
  get btimeNs(): bigint {
    return (
      this.#fields.getBigInt64(80, true) * 1_000_000_000n + BigInt(this.#fields.getUint32(88, true))
    );
  }
  get ctimeNs(): bigint {
    return (
      this.#fields.getBigInt64(96, true) * 1_000_000_000n +
      BigInt(this.#fields.getUint32(104, true))
    );
  }
  get mtimeNs(): bigint {
    return (
      this.#fields.getBigInt64(112, true) * 1_000_000_000n +
      BigInt(this.#fields.getUint32(120, true))
    );
  }
  get mtimeSec(): bigint {
    return this.#fields.getBigInt64(112, true);
  }
  get mtimeNsec(): number {
    return this.#fields.getUint32(120, true);
  }
  /** As makedev(3) gives it. */
  get rdev(): number {
    return makedev(this.#fields.getUint32(128, true), this.#fields.getUint32(132, true));
  }
  get dev(): number {
    return makedev(this.#fields.getUint32(136, true), this.#fields.getUint32(140, true));
  }
  get mountId(): number {
    return this.#fields.getUint32(144, true) + this.#fields.getUint32(148, true) * 2 ** 32;
  }
}

/** Linux's makedev for majors and minors below 2^20, as a number. */
export function makedev(major: number, minor: number): number {
  return (minor & 0xff) + (major & 0xfff) * 2 ** 8 + Math.floor(minor / 256) * 2 ** 20;
}
