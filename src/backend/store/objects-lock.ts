/**
 * The lock between snapshots and the sweep.
 *
 * A snapshot finds an object, refers to it, and has no manifest yet: in between the object looks like
 * garbage. So snapshots hold the lock shared until their manifest is in place, and objects are removed
 * only under the exclusive lock. It is a flock: it dies with its process, and works between processes
 * and between two open files of one.
 */

import { closeSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { GhostsnapError } from '../../core/errors.ts';
import { LOCK_WAIT_MS } from '../../core/limits.ts';
import { rawFromText } from '../../core/raw-path.ts';
import { closedOnFailure } from '../closed-on-failure.ts';
import { errnoOf, toGhostsnapError } from '../syscall-failure.ts';
import { tryFlock } from '../syscalls-linux.ts';
import { makeDirectoryDurably } from './durable-file.ts';

export type LockMode = 'shared' | 'exclusive';

/** Between two attempts; a flock has no wake-up that a timeout could end. */
const POLL_MS = 5;

/** @throws GhostsnapError LOCKED */
export function lockObjectsSync(path: string, mode: LockMode): Disposable {
  const lock = openLock(path);
  const sleeper = new Int32Array(new SharedArrayBuffer(4));
  for (let waitedMs = 0; !tryLock(lock.fd, mode); waitedMs += POLL_MS) {
    if (waitedMs >= LOCK_WAIT_MS) throw locked(path, lock);
    Atomics.wait(sleeper, 0, 0, POLL_MS);
  }
  return lock;
}

/** @throws GhostsnapError LOCKED */
export async function lockObjects(path: string, mode: LockMode): Promise<Disposable> {
  const lock = openLock(path);
  for (let waitedMs = 0; !tryLock(lock.fd, mode); waitedMs += POLL_MS) {
    if (waitedMs >= LOCK_WAIT_MS) throw locked(path, lock);
    await delay(POLL_MS);
  }
  return lock;
}

function tryLock(fd: number, mode: LockMode): boolean {
  return closedOnFailure(fd, () => tryFlock(fd, mode));
}

interface OpenLock extends Disposable {
  readonly fd: number;
}

function openLock(path: string): OpenLock {
  const fd = openLockFile(path);
  return { fd, [Symbol.dispose]: () => closeSync(fd) };
}

function openLockFile(path: string): number {
  try {
    return openSync(path, 'a', 0o600);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') {
      throw toGhostsnapError(error, { what: 'Opening the lock', path: rawFromText(path) });
    }
    makeDirectoryDurably(dirname(path));
    return openSync(path, 'a', 0o600);
  }
}

function locked(path: string, lock: Disposable): GhostsnapError {
  lock[Symbol.dispose]();
  return new GhostsnapError('LOCKED', `The store is in use by another process: ${path}`, {
    data: { path, waitedMs: LOCK_WAIT_MS },
    hint: 'Wait until the other snapshot or prune has ended, then run the same command again.',
  });
}
