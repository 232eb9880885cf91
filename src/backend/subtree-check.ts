/**
 * Which subtrees of two trees that share inodes are equal to the last entry: asked by several threads.
 *
 * The evidence is that of `readChangedPairs`: the same inode with the same attributes and the same ctime
 * on both sides, and that ctime older than the moment the trees parted. A directory of which this holds
 * has the same names on both sides, so they are listed once. What is not proven (it differs, it can't be
 * read, something is mounted in it) is compared by whoever asked.
 */
import type { RawPath } from '../core/raw-path.ts';
import { RESOLVE_INSIDE } from './directory-fds.ts';
import { DirectoryListing, isSameStat, RawStat, type TreeIdentity } from './directory-listing.ts';
import { SyscallError } from './syscall-error.ts';
import { closeFd, O_DIRECTORY, O_RDONLY, openBeneath } from './syscalls-linux.ts';
import { type LotMemory, SharedLots } from './work-lots.ts';

/** Subtrees in one lot. */
const LOT = 4;

interface Side {
  readonly rootFd: number;
  readonly identity: TreeIdentity;
}

/** Cloned into each thread; descriptors and memory are the same in all. */
export interface SubtreeJob extends LotMemory {
  readonly from: Side;
  readonly to: Side;
  readonly trustedBeforeMs: number;
  readonly paths: readonly RawPath[];
}

export class SubtreeChecker {
  readonly #job: SubtreeJob;
  readonly #lots: SharedLots;
  readonly #listing = new DirectoryListing();
  readonly #from = new RawStat();
  readonly #to = new RawStat();

  constructor(job: SubtreeJob) {
    this.#job = job;
    this.#lots = new SharedLots(job, LOT);
  }

  /** Claims a lot and checks it. False: everything is claimed. */
  checkLot(): boolean {
    return this.#lots.judgeSome((piece) => this.#isSame(this.#job.paths[piece] as RawPath));
  }

  /** False: a thread that had claimed something did not end in time. */
  waitForOthers(timeoutMs: number): boolean {
    return this.#lots.waitForOthers(timeoutMs);
  }

  /** The directory's list and everything below it; its own attributes are its parent's business. */
  #isSame(top: RawPath): boolean {
    const pending: RawPath[] = [top];
    for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
      if (!this.#isSameDirectory(path, pending)) return false;
    }
    return true;
  }

  #isSameDirectory(path: RawPath, pending: RawPath[]): boolean {
    const fromFd = this.#open(this.#job.from, path);
    const toFd = fromFd < 0 ? -1 : this.#open(this.#job.to, path);
    try {
      if (fromFd < 0 || toFd < 0) return false;
      if (this.#from.readFd(fromFd) !== 0 || this.#to.readFd(toFd) !== 0) return false;
      if (!this.#isProvenPair()) return false;
      return this.#haveSameEntries(fromFd, toFd, path, pending);
    } finally {
      if (fromFd >= 0) closeFd(fromFd);
      if (toFd >= 0) closeFd(toFd);
    }
  }

  #haveSameEntries(fromFd: number, toFd: number, path: RawPath, pending: RawPath[]): boolean {
    const listing = this.#listing;
    listing.read(fromFd);
    for (let at = 0; at < listing.lengthBytes; at = listing.next(at)) {
      if (listing.isDotOrDotDot(at)) continue;
      const name = listing.nameAddress(at);
      if (this.#from.read(fromFd, name) !== 0 || this.#to.read(toFd, name) !== 0) return false;
      if (!this.#isProvenPair()) return false;
      if (this.#from.isDirectory) pending.push(`${path}/${listing.name(at)}` as RawPath);
    }
    return true;
  }

  /** Of what both stats hold: one inode, untouched since the trees parted, and no boundary. */
  #isProvenPair(): boolean {
    const { from, to, trustedBeforeMs } = this.#job;
    return (
      isSameStat(this.#from, this.#to) &&
      this.#from.ctimeMs < trustedBeforeMs &&
      !isForeign(this.#from, from.identity) &&
      !isForeign(this.#to, to.identity)
    );
  }

  /** -1: it is not there as a directory of this tree that can be read. */
  #open(side: Side, path: RawPath): number {
    try {
      return openBeneath(side.rootFd, path, O_RDONLY | O_DIRECTORY, RESOLVE_INSIDE);
    } catch (error) {
      if (error instanceof SyscallError) return -1;
      throw error;
    }
  }
}

function isForeign(stat: RawStat, identity: TreeIdentity): boolean {
  if (stat.isMountRoot || stat.mountId !== identity.rootMountId) return true;
  return stat.isDirectory && stat.entryType(identity) !== 'dir';
}
