/**
 * Locks between processes, by flock(2) on files of their own.
 *
 * The kernel drops such a lock with the last descriptor, so a killed process never leaves one behind;
 * descriptors are close-on-exec, so a child never inherits one. The holder writes who it is into the
 * file, for those who wait; the text is only for people and never decides anything. Within one process a
 * name is held once: asking again while it is held is a failed assertion, since the queue of the
 * engine orders its own work.
 */
import fs from 'node:fs';
import path from 'node:path';
import { closeFd, openAt, tryFlock } from '../backend/syscalls-linux.ts';
import { AT_FDCWD, O_CREAT, O_RDWR, rawPathOf } from '../backend/syscalls-linux.ts';
import { assert, GhostsnapError } from '../core/errors.ts';
import type { Lock, LockOptions, Locks } from '../engine/ports.ts';

/** Milliseconds between tries: short at first, since most operations are, then longer. */
const FIRST_DELAY_MS = 1;
const DELAY_MS_MAX = 50;
/** Bytes at the start of the file that hold the text; the rest is blank. */
const TEXT_BYTES = 256;
const LOCK_NAME = /^[A-Za-z0-9_.-]{1,128}$/;

/** @param directory is made when it is missing, for the owner only */
export function createFileLocks(directory: string): Locks {
  const held = new Set<string>();
  const files = new Map<string, number>();

  function tryAcquire(name: string, purpose: string): Lock | null {
    assert(!held.has(name), `the lock ${name} is taken once in a process`);
    const fd = files.get(name) ?? openLockFile(directory, name);
    files.set(name, fd);
    if (!tryFlock(fd, 'exclusive')) return null;
    held.add(name);
    sign(fd, purpose);
    return {
      name,
      [Symbol.dispose]() {
        if (!held.delete(name)) return;
        files.delete(name);
        // Closing is the release: the descriptor is this lock's own.
        closeFd(fd);
      },
    };
  }

  return {
    async acquire(name, options): Promise<Lock> {
      const deadlineMs = performance.now() + options.waitMs;
      for (let delayMs = FIRST_DELAY_MS; ; delayMs = Math.min(delayMs * 2, DELAY_MS_MAX)) {
        throwIfAborted(options.signal, name);
        const lock = tryAcquire(name, options.purpose);
        if (lock !== null) return lock;
        if (performance.now() >= deadlineMs) throw lockedError(directory, name, options);
        await delay(delayMs, options.signal);
      }
    },

    acquireSync(name, options): Lock {
      const deadlineMs = performance.now() + options.waitMs;
      for (let delayMs = FIRST_DELAY_MS; ; delayMs = Math.min(delayMs * 2, DELAY_MS_MAX)) {
        const lock = tryAcquire(name, options.purpose);
        if (lock !== null) return lock;
        if (performance.now() >= deadlineMs) throw lockedError(directory, name, options);
        Atomics.wait(NEVER, 0, 0, delayMs);
      }
    },
  };
}

const NEVER = new Int32Array(new SharedArrayBuffer(4));

function openLockFile(directory: string, name: string): number {
  assert(LOCK_NAME.test(name), 'a lock has a plain name');
  const file = rawPathOf(path.join(directory, `${name}.lock`));
  try {
    return openAt(AT_FDCWD, file, O_RDWR | O_CREAT, 0o600);
  } catch (error) {
    if (fs.existsSync(directory)) throw error;
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
    return openAt(AT_FDCWD, file, O_RDWR | O_CREAT, 0o600);
  }
}

/** One write of a fixed length: a reader never sees the rest of a longer text. */
const text = Buffer.alloc(TEXT_BYTES, ' ');

function sign(fd: number, purpose: string): void {
  text.fill(' ');
  text.write(`${process.pid} ${Date.now()} ${purpose}`);
  text[TEXT_BYTES - 1] = 0x0a;
  fs.writeSync(fd, text, 0, TEXT_BYTES, 0);
}

function lockedError(directory: string, name: string, options: LockOptions): GhostsnapError {
  const file = path.join(directory, `${name}.lock`);
  const [pid = '?', since = '', ...purpose] = fs.readFileSync(file, 'utf8').trim().split(' ');
  const seconds = Math.max(0, Math.round((Date.now() - Number(since)) / 1000));
  return new GhostsnapError(
    'LOCKED',
    `The process ${pid} has held ${name} for ${seconds} s (${purpose.join(' ')}); ` +
      `gave up after ${options.waitMs} ms.`,
    {
      hint: 'Wait for it, or end that process: its lock ends with it.',
      data: { lock: name, pid: Number(pid), purpose: purpose.join(' ') },
    },
  );
}

function throwIfAborted(signal: AbortSignal | undefined, name: string): void {
  if (signal?.aborted !== true) return;
  throw new GhostsnapError('INTERRUPTED', `Waiting for ${name} was interrupted.`);
}

/** Resolves after `ms`, or at once when the signal is aborted. */
function delay(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal?.addEventListener('abort', done, { once: true });
  });
}
