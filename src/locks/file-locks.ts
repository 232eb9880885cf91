/**
 * Locks between processes, as files in a directory: `<directory>/<name>.lock`.
 *
 * A lock dies with its process. Nobody is passed over for long: who waits first takes `<name>.next`,
 * so exactly one process stands at the front, and one that gives a lock back and wants it again at
 * once has to queue behind it. Waiting is polling with growing, uneven pauses; the front polls fastest.
 * The same name twice in one process conflicts like two processes do: nothing here is re-entrant.
 */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { assert, GhostsnapError } from '../core/errors.ts';
import type { Lock, LockOptions, Locks } from '../engine/ports.ts';
import { isAlive, readHolder, tryLockFile, unlockFile, writeHolder } from './lock-file.ts';

const NAME_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/** A part of the time waited so far, within bounds: short holders are met at once, long ones not pestered. */
const PAUSE_SHARE = 1 / 16;
const FRONT_PAUSE_MS = { min: 0.5, max: 25 } as const;
const QUEUE_PAUSE_MS = { min: 3, max: 50 } as const;

/** Files that this thread holds: waiting for one of them without letting the thread go on never ends. */
const heldByThisThread = new Set<string>();

/** @param directory made, for this user alone, when the first lock is taken */
export function createFileLocks(directory: string): Locks {
  return {
    acquire: async (name, options) => {
      const attempt = new Attempt(directory, name, options);
      using _queue = { [Symbol.dispose]: () => attempt.leaveQueue() };
      for (;;) {
        if (options.signal?.aborted === true) throw attempt.interrupted(options.signal);
        const lock = attempt.tryOnce();
        if (lock !== null) return lock;
        await waitOrAbort(attempt, options.signal);
      }
    },
    acquireSync: (name, options) => {
      const attempt = new Attempt(directory, name, options);
      using _queue = { [Symbol.dispose]: () => attempt.leaveQueue() };
      if (heldByThisThread.has(attempt.file)) throw attempt.locked();
      for (;;) {
        const lock = attempt.tryOnce();
        if (lock !== null) return lock;
        Atomics.wait(SLEEPER, 0, 0, attempt.nextPauseMs());
      }
    },
  };
}

/** Never woken: waiting on it is a sleep that leaves the processor to others. */
const SLEEPER = new Int32Array(new SharedArrayBuffer(4));

async function waitOrAbort(attempt: Attempt, signal: AbortSignal | undefined): Promise<void> {
  const ms = attempt.nextPauseMs();
  try {
    await pause(ms, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    if (signal?.aborted === true) throw attempt.interrupted(signal);
    throw error;
  }
}

/** One call's way to the lock: at the back of the queue, at its front, holding. */
class Attempt {
  readonly file: string;
  readonly #name: string;
  readonly #options: LockOptions;
  readonly #startedMs = performance.now();
  #queueFd: number | null = null;

  constructor(directory: string, name: string, options: LockOptions) {
    assert(NAME_PATTERN.test(name), 'a lock name is a plain file name');
    this.#name = name;
    this.file = join(directory, `${name}.lock`);
    this.#options = options;
  }

  /** The lock, or null: wait `nextPauseMs` and try again. */
  tryOnce(): Lock | null {
    // Who will not wait needs no place in the queue, and the queue's front may be about to leave it.
    if (this.#queueFd === null && this.#options.waitMs > 0) {
      this.#queueFd = tryLockFile(this.file.replace(/lock$/, 'next'));
      if (this.#queueFd === null) return null;
    }
    const fd = tryLockFile(this.file);
    if (fd === null) return null;
    const { purpose } = this.#options;
    writeHolder(fd, { pid: process.pid, purpose, sinceMs: Date.now() });
    heldByThisThread.add(this.file);
    return new FileLock(this.#name, this.file, fd);
  }

  /** @throws GhostsnapError LOCKED when the time is over */
  nextPauseMs(): number {
    const waitedMs = performance.now() - this.#startedMs;
    const leftMs = this.#options.waitMs - waitedMs;
    if (leftMs <= 0) throw this.locked();
    const { min, max } = this.#queueFd === null ? QUEUE_PAUSE_MS : FRONT_PAUSE_MS;
    const pauseMs = Math.min(max, Math.max(min, waitedMs * PAUSE_SHARE));
    // Uneven, or processes that began together would go on asking together.
    return Math.min(leftMs, pauseMs * (0.5 + Math.random()));
  }

  leaveQueue(): void {
    if (this.#queueFd === null) return;
    unlockFile(this.#queueFd);
    this.#queueFd = null;
  }

  locked(): GhostsnapError {
    const holder = readHolder(this.file);
    if (holder === null || !isAlive(holder.pid)) {
      return new GhostsnapError('LOCKED', 'Another process is at work here.', {
        hint: 'Try again when it has ended.',
        data: { lock: this.#name },
      });
    }
    const who = holder.pid === process.pid ? 'This process itself' : `Process ${holder.pid}`;
    return new GhostsnapError('LOCKED', `${who} is at work here (${holder.purpose}).`, {
      hint: `Try again when it has ended; "ps -p ${holder.pid}" shows it.`,
      data: {
        lock: this.#name,
        pid: holder.pid,
        purpose: holder.purpose,
        sinceMs: holder.sinceMs,
      },
    });
  }

  interrupted(signal: AbortSignal): GhostsnapError {
    return new GhostsnapError('INTERRUPTED', 'Interrupted while waiting for another process.', {
      hint: 'Nothing was changed; run the command again.',
      data: { lock: this.#name },
      cause: signal.reason,
    });
  }
}

class FileLock implements Lock {
  readonly name: string;
  readonly #file: string;
  #fd: number | null;

  constructor(name: string, file: string, fd: number) {
    this.name = name;
    this.#file = file;
    this.#fd = fd;
  }

  [Symbol.dispose](): void {
    if (this.#fd === null) return;
    const fd = this.#fd;
    this.#fd = null;
    heldByThisThread.delete(this.#file);
    unlockFile(fd);
  }
}
