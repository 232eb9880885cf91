/**
 * One lock file: taken by flock(2), never removed, and holding a line about who holds it.
 *
 * The kernel's lock belongs to the open file and ends with the process, however it ends; descriptors are
 * opened close-on-exec, so that no child inherits one. The line inside is only for the text that waiters
 * are shown: nothing is decided on it.
 */
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { toGhostsnapError } from '../backend/syscall-failure.ts';
import { rawPathOf, tryFlock } from '../backend/syscalls-linux.ts';

export interface LockHolder {
  readonly pid: number;
  readonly purpose: string;
  /** Milliseconds since the epoch. */
  readonly sinceMs: number;
}

/**
 * Takes the lock without waiting. The descriptor that holds it; null: somebody else does.
 * @throws GhostsnapError NOT_PERMITTED, POOL_FULL, LIMIT_EXCEEDED, IO
 */
export function tryLockFile(file: string): number | null {
  const fd = openLockFile(file);
  try {
    // A file that was removed or replaced after it was opened protects nothing: others lock the new one.
    if (tryFlock(fd, 'exclusive') && isStillAt(fd, file)) return fd;
  } catch (error) {
    closeSync(fd);
    throw toGhostsnapError(error, { what: 'Locking', path: rawPathOf(file) });
  }
  closeSync(fd);
  return null;
}

/** Says in the file who holds the lock. */
export function writeHolder(fd: number, holder: LockHolder): void {
  try {
    ftruncateSync(fd, 0);
    writeSync(fd, `${JSON.stringify(holder)}\n`, 0);
  } catch {
    // A full disk: the lock is held all the same, waiters are told less.
  }
}

/** Gives the lock back. */
export function unlockFile(fd: number): void {
  closeSync(fd);
}

/** Who holds the lock, as far as the file says; null: unknown. */
export function readHolder(file: string): LockHolder | null {
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    // Just locked and not yet written, or written half: the text does without.
    return null;
  }
  if (typeof parsed !== 'object' || parsed === null) return null;
  const { pid, purpose, sinceMs } = parsed as Record<string, unknown>;
  if (!Number.isInteger(pid) || typeof purpose !== 'string' || typeof sinceMs !== 'number') {
    return null;
  }
  return { pid: pid as number, purpose, sinceMs };
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

function openLockFile(file: string): number {
  try {
    try {
      return openSync(file, 'a+', 0o600);
    } catch (error) {
      if (!isMissing(error)) throw error;
      mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
      return openSync(file, 'a+', 0o600);
    }
  } catch (error) {
    throw toGhostsnapError(error, { what: 'Opening the lock', path: rawPathOf(file) });
  }
}

function isStillAt(fd: number, file: string): boolean {
  const held = fstatSync(fd);
  if (held.nlink === 0) return false;
  const named = statSync(file, { throwIfNoEntry: false });
  return named !== undefined && named.ino === held.ino && named.dev === held.dev;
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
