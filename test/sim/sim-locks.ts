/**
 * Locks between the simulated processes, as src/locks gives them: a lock dies with its process, waiters
 * poll for a place at the front and then for the lock, with growing uneven pauses, and give up with
 * LOCKED when their time is over. Only the files and the clock are simulated.
 */
import { strict as assert } from 'node:assert';
import { GhostsnapError } from '../../src/core/errors.ts';
import type { Lock, LockOptions, Locks } from '../../src/engine/ports.ts';
import type { SimProcess } from './sim-process.ts';

/** As in src/locks/lock-attempt.ts. */
const PAUSE_SHARE = 1 / 16;
const FRONT_PAUSE_MS = { min: 0.5, max: 25 } as const;
const QUEUE_PAUSE_MS = { min: 3, max: 50 } as const;

export interface SimLocksOptions {
  readonly nowMs: () => number;
  /** Called under the lock, before the work begins. */
  readonly onAcquired: (name: string, process: SimProcess) => void;
}

/** Shared by all processes; each takes its own view with `forProcess`. */
export class SimLocks {
  readonly #options: SimLocksOptions;
  readonly #holders = new Map<string, SimProcess>();
  readonly #inFront = new Map<string, SimProcess>();
  /** Names whose last holder died, or left them unsettled. */
  readonly #unsettled = new Set<string>();
  longestWaitMs = 0;

  constructor(options: SimLocksOptions) {
    this.#options = options;
  }

  holderOf(name: string): SimProcess | null {
    return this.#holders.get(name) ?? null;
  }

  /** The kernel does this when a process ends. */
  releaseAllOf(process: SimProcess): void {
    for (const [name, owner] of this.#inFront) if (owner === process) this.#inFront.delete(name);
    for (const [name, owner] of this.#holders) {
      if (owner !== process) continue;
      this.#holders.delete(name);
      this.#unsettled.add(name);
    }
  }

  forProcess(process: SimProcess): Locks {
    return {
      acquire: (name, options) => this.#acquire(process, name, options),
      acquireSync: (name) => {
        // The thread would sleep until the other one ends, or give up: here it always gives up.
        if (this.#holders.has(name)) throw locked(name);
        return this.#hold(process, name);
      },
    };
  }

  async #acquire(process: SimProcess, name: string, options: LockOptions): Promise<Lock> {
    const startedMs = this.#options.nowMs();
    for (;;) {
      const waitedMs = this.#options.nowMs() - startedMs;
      if (this.#isInFront(process, name) && !this.#holders.has(name)) {
        this.#inFront.delete(name);
        this.longestWaitMs = Math.max(this.longestWaitMs, waitedMs);
        return this.#hold(process, name);
      }
      const leftMs = options.waitMs - waitedMs;
      if (leftMs <= 0) {
        if (this.#inFront.get(name) === process) this.#inFront.delete(name);
        throw locked(name);
      }
      const isInFront = this.#inFront.get(name) === process;
      const { min, max } = isInFront ? FRONT_PAUSE_MS : QUEUE_PAUSE_MS;
      const pauseMs = Math.min(max, Math.max(min, waitedMs * PAUSE_SHARE));
      await process.sleep(Math.min(leftMs, pauseMs * (0.5 + process.random.below(1000) / 1000)));
    }
  }

  /** Takes the place at the front when it is free. One process has one session on a workspace. */
  #isInFront(process: SimProcess, name: string): boolean {
    const first = this.#inFront.get(name);
    if (first === undefined) this.#inFront.set(name, process);
    return first === undefined || first === process;
  }

  #hold(process: SimProcess, name: string): Lock {
    assert.ok(!this.#holders.has(name), 'a lock has one holder');
    this.#holders.set(name, process);
    this.#options.onAcquired(name, process);
    const isInherited = this.#unsettled.delete(name);
    return {
      name,
      isInherited,
      isContinued: false,
      leaveUnsettled: () => void this.#unsettled.add(name),
      [Symbol.dispose]: () => {
        // A process that died holds nothing any more; somebody else may.
        if (this.#holders.get(name) === process) this.#holders.delete(name);
      },
    };
  }
}

function locked(name: string): GhostsnapError {
  return new GhostsnapError('LOCKED', `Another process is at work here (${name}).`);
}
