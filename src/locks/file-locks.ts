/**
 * Locks between processes, as files in a directory: `<directory>/<name>.lock`.
 *
 * A lock dies with its process. Nobody is passed over for long: waiters queue for a place at the front
 * (lock-attempt.ts). Waiting is polling, without a busy loop. The same name twice in one process
 * conflicts like two processes do: nothing here is re-entrant.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { LockOptions, Locks } from '../engine/ports.ts';
import { IdleLockFiles } from './idle-lock-files.ts';
import { LockAttempt } from './lock-attempt.ts';
import { PoolGate } from './pool-gate.ts';

/** Disposing closes descriptors kept for the next time; locks that are held stay held. */
export type FileLocks = Locks & Disposable;

/** What this thread holds: waiting for one of these without letting the thread go on would never end. */
const heldByThisThread = new Set<string>();

/** Never woken: waiting on it is a sleep that leaves the processor to others. */
const SLEEPER = new Int32Array(new SharedArrayBuffer(4));

/** The same for the workspaces of a pool, which a service may hold alone meanwhile. */
export function createPoolFileLocks(directory: string): FileLocks {
  return makeFileLocks(directory, new PoolGate(directory));
}

/** @param directory absolute; made, for this user alone, when the first lock is taken */
export function createFileLocks(directory: string): FileLocks {
  return makeFileLocks(directory, null);
}

function makeFileLocks(directory: string, gate: PoolGate | null): FileLocks {
  const idle = new IdleLockFiles();
  const attemptAt = (name: string, key: string, options: LockOptions): LockAttempt => {
    const { waitMs, purpose } = options;
    const onRelease = (): void => void heldByThisThread.delete(key);
    return new LockAttempt({ directory, name, idle, gate, waitMs, purpose, onRelease });
  };
  return {
    acquire: async (name, options) => {
      const key = `${directory}/${name}`;
      using attempt = attemptAt(name, key, options);
      for (;;) {
        if (options.signal?.aborted === true) throw attempt.interrupted(options.signal);
        const lock = attempt.tryOnce();
        if (lock !== null) {
          heldByThisThread.add(key);
          return lock;
        }
        await pauseOrAbort(attempt, options.signal);
      }
    },
    acquireSync: (name, options) => {
      const key = `${directory}/${name}`;
      using attempt = attemptAt(name, key, options);
      if (heldByThisThread.has(key)) throw attempt.locked();
      for (;;) {
        const lock = attempt.tryOnce();
        if (lock !== null) {
          heldByThisThread.add(key);
          return lock;
        }
        Atomics.wait(SLEEPER, 0, 0, attempt.nextPauseMs());
      }
    },
    [Symbol.dispose]: () => {
      idle[Symbol.dispose]();
      gate?.[Symbol.dispose]();
    },
  };
}

async function pauseOrAbort(attempt: LockAttempt, signal: AbortSignal | undefined): Promise<void> {
  const pauseMs = attempt.nextPauseMs();
  try {
    await pause(pauseMs, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    if (signal?.aborted === true) throw attempt.interrupted(signal);
    throw error;
  }
}
