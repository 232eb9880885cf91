/**
 * One call's way to a lock: at the back of the queue, at its front, holding.
 *
 * `<name>.next` is the place at the front. Who has it tries for `<name>.lock` and gives the place up on
 * leaving, either way; a process that wants the lock again right after releasing it needs the place
 * first, which somebody else has by then. How often each of them asks is in wait-rhythm.ts.
 */
import { assert, GhostsnapError } from '../core/errors.ts';
import type { Lock, LockOptions } from '../engine/ports.ts';
import type { IdleLockFiles } from './idle-lock-files.ts';
import { isAlive, type LockFile, readHolder } from './lock-file.ts';
import type { PoolGate } from './pool-gate.ts';
import { frontPauseMs, queuePauseMs } from './wait-rhythm.ts';

const NAME_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

export interface LockAttemptOptions extends LockOptions {
  /** Absolute. */
  readonly directory: string;
  readonly name: string;
  readonly idle: IdleLockFiles;
  /** null: what is locked belongs to no pool. */
  readonly gate: PoolGate | null;
  /** Called when the lock that was won is given back. */
  readonly onRelease: () => void;
}

export class LockAttempt implements Disposable {
  readonly #options: LockAttemptOptions;
  readonly #path: string;
  readonly #startedMs = performance.now();
  #place: LockFile | null = null;
  #placeSinceMs = 0;

  constructor(options: LockAttemptOptions) {
    assert(NAME_PATTERN.test(options.name), 'a lock name is a plain file name');
    this.#options = options;
    this.#path = `${options.directory}/${options.name}`;
  }

  /** The lock, or null: wait `nextPauseMs` and try again. */
  tryOnce(): Lock | null {
    const { gate } = this.#options;
    const found = gate?.enter() ?? 'settled';
    let lock: Lock | null = null;
    try {
      lock = this.#tryInside(found);
      return lock;
    } finally {
      if (lock === null) gate?.leave();
    }
  }

  #tryInside(found: 'settled' | 'unsettled'): Lock | null {
    // Who will not wait needs no place: whoever has it may be about to leave with nothing held.
    if (this.#place === null && this.#options.waitMs > 0) {
      this.#place = this.#tryFile(`${this.#path}.next`);
      if (this.#place === null) return null;
      this.#placeSinceMs = performance.now();
    }
    const file = this.#tryFile(`${this.#path}.lock`);
    if (file === null) return null;
    const { name, purpose, idle, gate, onRelease } = this.#options;
    const isInherited = file.isSigned() || found === 'unsettled';
    file.sign({ pid: process.pid, purpose, sinceMs: Date.now() });
    let isHeld = true;
    let isSettled = true;
    return {
      name,
      isInherited,
      // Another process may have had it between, and asking would cost more than reading the state.
      isContinued: false,
      leaveUnsettled: () => {
        isSettled = false;
      },
      [Symbol.dispose]: () => {
        if (!isHeld) return;
        isHeld = false;
        onRelease();
        if (isSettled) file.wipe();
        release(file, idle);
        gate?.leave();
      },
    };
  }

  /** @throws GhostsnapError LOCKED when the time is over */
  nextPauseMs(): number {
    const nowMs = performance.now();
    const waitedMs = nowMs - this.#startedMs;
    const leftMs = this.#options.waitMs - waitedMs;
    if (leftMs <= 0) throw this.locked();
    const isAtFront = this.#place !== null;
    const pauseMs = isAtFront ? frontPauseMs(nowMs - this.#placeSinceMs) : queuePauseMs(waitedMs);
    // Uneven, or processes that began together would go on asking together.
    return Math.min(leftMs, pauseMs * (0.5 + Math.random()));
  }

  /** Leaves the queue. */
  [Symbol.dispose](): void {
    if (this.#place === null) return;
    release(this.#place, this.#options.idle);
    this.#place = null;
  }

  locked(): GhostsnapError {
    const holder = readHolder(`${this.#path}.lock`);
    if (holder === null || !isAlive(holder.pid)) {
      return new GhostsnapError('LOCKED', 'Another process is at work here.', {
        hint: 'Try again when it has ended.',
        data: { lock: this.#options.name },
      });
    }
    const { pid, purpose, sinceMs } = holder;
    const who = pid === process.pid ? 'This process itself' : `Process ${pid}`;
    return new GhostsnapError('LOCKED', `${who} is at work here (${purpose}).`, {
      hint: `Try again when it has ended; "ps -p ${pid}" shows it.`,
      data: { lock: this.#options.name, pid, purpose, sinceMs },
    });
  }

  interrupted(signal: AbortSignal): GhostsnapError {
    return new GhostsnapError('INTERRUPTED', 'Interrupted while waiting for another process.', {
      hint: 'Nothing was changed; run the command again.',
      data: { lock: this.#options.name },
      cause: signal.reason,
    });
  }

  #tryFile(path: string): LockFile | null {
    const { idle } = this.#options;
    for (;;) {
      const file = idle.take(path);
      const outcome = file.tryLock();
      if (outcome === 'locked') return file;
      if (outcome === 'busy') {
        idle.giveBack(file);
        return null;
      }
      // Removed under us: the next round opens what is there now.
      file.close();
    }
  }
}

/**
 * What was done under the lock is done, whatever becomes of the lock: giving it back throws nothing. Closing
 * the file unlocks it as well, and is what is left where unlocking is refused.
 */
function release(file: LockFile, idle: IdleLockFiles): void {
  try {
    file.unlock();
  } catch {
    file.close();
    return;
  }
  idle.giveBack(file);
}
