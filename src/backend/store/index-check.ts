/**
 * Which directories of a live tree are, entry by entry, what the index says: asked by several threads.
 *
 * A directory is proven when its own inode and every entry have the record that the index holds, with a
 * ctime well before the look that made it. Its list of names is not even read again where the filesystem
 * keeps the rule that a changed list moves the directory's ctime. Whatever is not proven (it moved, it
 * vanished, a call failed, a helper died) is looked at by the walk that follows: this only spares it
 * what is surely the same, and makes nothing of what it sees.
 *
 * The index lies in shared memory and its names are handed to the kernel where they lie. Threads claim
 * directories in small lots from one counter; the verdict on each is one byte, 0 unless proven.
 */
import type { RawPath } from '../../core/raw-path.ts';
import { RESOLVE_INSIDE } from '../directory-fds.ts';
import { DirectoryListing, RawStat } from '../directory-listing.ts';
import { SyscallError } from '../syscall-error.ts';
import { addressOf } from '../syscalls-inode-linux.ts';
import { closeFd, O_DIRECTORY, O_RDONLY, openBeneath } from '../syscalls-linux.ts';
import { type LotMemory, SharedLots } from '../work-lots.ts';
import { IndexBlock } from './index-block.ts';
import { formatOf, isRecordOf, RACY_MS, S_IFDIR, S_IFSOCK } from './stat-record.ts';

/** Words a task has: offsets of its block and of its parent's (-1: the root), its record in the latter. */
export const TASK_WORDS = 3;

/** Directories in one lot: about a millisecond's work, which is what the last to end is waited for. */
const LOT = 16;

/** All of it is shared between threads, or numbers. */
export interface CheckJob extends LotMemory {
  readonly index: SharedArrayBuffer;
  readonly tasks: SharedArrayBuffer;
  readonly rootFd: number;
  readonly rootMountId: number;
  /** Whether a directory whose names changed has surely another ctime. */
  readonly listings: 'vouched by ctime' | 'read';
}

export class IndexChecker {
  readonly #job: CheckJob;
  readonly #file: Buffer;
  readonly #address: number;
  readonly #tasks: Int32Array;
  readonly #lots: SharedLots;
  readonly #stat = new RawStat();
  readonly #listing = new DirectoryListing();

  constructor(job: CheckJob) {
    this.#job = job;
    this.#file = Buffer.from(job.index);
    this.#address = addressOf(this.#file);
    this.#tasks = new Int32Array(job.tasks);
    this.#lots = new SharedLots(job, LOT);
  }

  /** Claims a lot and checks it. False: everything is claimed. */
  checkLot(): boolean {
    return this.#lots.judgeSome((task) => this.#isProven(task));
  }

  /** False: a thread that had claimed something did not end in time. */
  waitForOthers(timeoutMs: number): boolean {
    return this.#lots.waitForOthers(timeoutMs);
  }

  #isProven(task: number): boolean {
    const at = task * TASK_WORDS;
    const block = this.#block(this.#tasks[at] as number);
    const parentAt = this.#tasks[at + 1] as number;
    const fd = this.#open(parentAt < 0 ? ('.' as RawPath) : block.path);
    if (fd < 0) return false;
    try {
      if (this.#stat.readFd(fd) !== 0 || this.#isForeign()) return false;
      const isSettled = this.#stat.ctimeMs < block.scannedAtMs - RACY_MS;
      if (parentAt >= 0) {
        const parent = this.#block(parentAt);
        if (!this.#isRecord(parent, this.#tasks[at + 2] as number)) return false;
      }
      // The root's own record is in no block, so nothing says that its ctime is the one it had.
      const isVouched = this.#job.listings === 'vouched by ctime' && isSettled && parentAt >= 0;
      if (!isVouched && !this.#hasSameNames(fd, block)) return false;
      return this.#areUnmoved(fd, block);
    } finally {
      closeFd(fd);
    }
  }

  #block(offset: number): IndexBlock {
    const length = this.#file.readUInt32LE(offset);
    return new IndexBlock(this.#file.subarray(offset, offset + length));
  }

  /** -1: it can't be opened as what it was; the walk will see why. */
  #open(path: RawPath): number {
    try {
      return openBeneath(this.#job.rootFd, path, O_RDONLY | O_DIRECTORY, RESOLVE_INSIDE);
    } catch (error) {
      if (error instanceof SyscallError) return -1;
      throw error;
    }
  }

  #hasSameNames(fd: number, block: IndexBlock): boolean {
    const listing = this.#listing;
    listing.read(fd);
    let position = 0;
    for (let at = 0; at < listing.lengthBytes; at = listing.next(at)) {
      if (listing.isDotOrDotDot(at)) continue;
      const nameAt = listing.nameAddress(at) - listing.address;
      if (position === block.count || !block.hasName(position, listing.buffer, nameAt))
        return false;
      position += 1;
    }
    return position === block.count;
  }

  /** Directories are left out: each is a task of its own. */
  #areUnmoved(fd: number, block: IndexBlock): boolean {
    const { records, count } = block;
    const address = this.#address + block.bytes.byteOffset - this.#file.byteOffset;
    for (let i = 0; i < count; i += 1) {
      const format = formatOf(records, i);
      if (format === S_IFDIR) continue;
      // Sockets are reported by every snapshot, which is the walk's business.
      if (format === S_IFSOCK) return false;
      if (this.#stat.read(fd, address + block.nameStart(i)) !== 0) return false;
      if (this.#isForeign() || !this.#isRecord(block, i)) return false;
    }
    return true;
  }

  #isRecord(block: IndexBlock, index: number): boolean {
    return (
      isRecordOf(block.records, index, this.#stat) &&
      this.#stat.ctimeMs < block.scannedAtMs - RACY_MS
    );
  }

  #isForeign(): boolean {
    return this.#stat.isMountRoot || this.#stat.mountId !== this.#job.rootMountId;
  }
}
