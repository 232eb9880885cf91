/**
 * One lock file: locked by flock(2), never removed, and holding a line about who holds it.
 *
 * The kernel's lock belongs to the open file and ends with the process, however it ends; descriptors are
 * close-on-exec, so that no child inherits one. A LockFile is open and unlocked, or open and locked; two
 * of the same path conflict, in one process as between two. The line inside says who holds it, for the
 * text that waiters are shown. It is wiped when the lock is given back: one that is still there when the
 * lock is taken is that of a holder who died. Nothing else is decided on it.
 */

import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { closedOnFailure } from '../backend/closed-on-failure.ts';
import { toGhostsnapError } from '../backend/syscall-failure.ts';
import { AT_FDCWD, tryFlock, unlockFlock } from '../backend/syscalls-linux.ts';
import { Statx } from '../backend/syscalls-statx-linux.ts';
import { rawFromText } from '../core/raw-path.ts';

export interface LockHolder {
  readonly pid: number;
  readonly purpose: string;
  /** Milliseconds since the epoch. */
  readonly sinceMs: number;
}

/** The line has this length whatever it says: one write replaces it, and no rest of a longer one stays. */
const LINE_BYTES = 256;
const PURPOSE_LENGTH_MAX = 100;
/** A line is JSON and begins with a brace. */
const LINE_START = 0x7b;

/** Synchronous use only, a lock is taken twice a snapshot: filled and used without a pause between. */
const statx = new Statx();
const line = Buffer.alloc(LINE_BYTES);

export class LockFile {
  readonly path: string;
  readonly #rawPath: string;
  readonly #fd: number;
  readonly #ino: number;
  readonly #dev: number;

  /** @throws GhostsnapError NOT_PERMITTED, POOL_FULL, LIMIT_EXCEEDED, IO */
  constructor(path: string) {
    this.path = path;
    this.#rawPath = rawFromText(path);
    this.#fd = openLockFile(path);
    const { ino, dev } = closedOnFailure(this.#fd, () => statx.read(this.#fd, ''));
    this.#ino = ino;
    this.#dev = dev;
  }

  /** Locks it, without waiting. @throws GhostsnapError IO: it is closed then */
  tryLock(mode: 'shared' | 'exclusive' = 'exclusive'): 'locked' | 'busy' | 'stale' {
    try {
      if (!tryFlock(this.#fd, mode)) return 'busy';
      // A file that was removed or replaced after it was opened protects nothing: others lock the new one.
      if (this.#isStillThere()) return 'locked';
      unlockFlock(this.#fd);
      return 'stale';
    } catch (error) {
      // The kernel may have locked it by now: what stayed open would keep everybody out for good.
      this.close();
      throw toGhostsnapError(error, { what: 'Locking', path: this.#rawPath });
    }
  }

  /** Says in the file who holds it. */
  sign(holder: LockHolder): void {
    const purpose = holder.purpose.slice(0, PURPOSE_LENGTH_MAX);
    line.fill(' ');
    line.write(JSON.stringify({ ...holder, purpose }));
    line.write('\n', LINE_BYTES - 1);
    try {
      writeSync(this.#fd, line, 0, LINE_BYTES, 0);
    } catch {
      // A full disk: the lock is held all the same, waiters are told less.
    }
  }

  /** Locked: whether the holder before gave it back without wiping its line. */
  isSigned(): boolean {
    try {
      return readSync(this.#fd, line, 0, 1, 0) === 1 && line[0] === LINE_START;
    } catch {
      // Not to be known: as if it had died, so that the disk is looked at. The lock itself is held.
      return true;
    }
  }

  /** Takes the line back. One byte of a file that has its blocks: a full disk does not refuse it. */
  wipe(): void {
    try {
      writeSync(this.#fd, ' ', 0);
    } catch {
      // Then the next holder looks at the disk once more than it need.
    }
  }

  unlock(): void {
    unlockFlock(this.#fd);
  }

  /** Unlocks it as well. */
  close(): void {
    closeSync(this.#fd);
  }

  #isStillThere(): boolean {
    if (!statx.isThere(AT_FDCWD, this.#rawPath)) return false;
    return statx.ino === this.#ino && statx.dev === this.#dev;
  }
}

/** Who holds the lock, as far as the file says; null: unknown. */
export function readHolder(path: string): LockHolder | null {
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    // Just locked and not yet signed, or gone: the text does without.
    return null;
  }
  if (typeof parsed !== 'object' || parsed === null) return null;
  const { pid, purpose, sinceMs } = parsed as Record<string, unknown>;
  if (typeof pid !== 'number' || !Number.isSafeInteger(pid) || pid <= 0) return null;
  if (typeof purpose !== 'string' || typeof sinceMs !== 'number') return null;
  return { pid, purpose, sinceMs };
}

/** Signal 0 asks without sending; EPERM means that the process lives and is another user's. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

// A link is not followed: the file at the name is compared with the one that is open.
const OPEN_FLAGS = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;

function openLockFile(path: string): number {
  try {
    try {
      return openSync(path, OPEN_FLAGS, 0o600);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      return openSync(path, OPEN_FLAGS, 0o600);
    }
  } catch (error) {
    throw toGhostsnapError(error, { what: 'Opening the lock', path: rawFromText(path) });
  }
}
