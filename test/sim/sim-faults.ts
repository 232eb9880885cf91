/**
 * Faults: at every labelled step of the simulated disk and catalog, the world may end (`SimCrash`, as
 * SIGKILL would) or the call may fail with an error that the engine must handle.
 */
import { type ErrorCode, GhostsnapError } from '../../src/core/errors.ts';
import type { SimRandom } from './sim-random.ts';

/** The process is gone. Nobody may catch it and go on: the simulator throws the engine away. */
export class SimCrash extends Error {
  override readonly name = 'SimCrash';
}

export class SimFaults {
  readonly #random: SimRandom;
  readonly #crashOneIn: number;
  readonly #failOneIn: number;
  #armed = true;
  #isDown = false;
  #next: ErrorCode | null = null;
  crashes = 0;
  failures = 0;

  constructor(random: SimRandom, rates: { crashOneIn: number; failOneIn: number }) {
    this.#random = random;
    this.#crashOneIn = rates.crashOneIn;
    this.#failOneIn = rates.failOneIn;
  }

  /** Called by the simulated parts before and after each thing that lasts. */
  step(label: string): void {
    // Once the process is gone, nothing it still has on its stack may touch the disk.
    if (this.#isDown) throw new SimCrash(label);
    if (this.#next !== null) {
      const code = this.#next;
      this.#next = null;
      throw new GhostsnapError(code, `The simulated disk was told to fail at ${label}.`);
    }
    if (!this.#armed) return;
    if (this.#crashOneIn > 0 && this.#random.oneIn(this.#crashOneIn)) {
      this.crashes += 1;
      this.#isDown = true;
      throw new SimCrash(label);
    }
    if (this.#failOneIn > 0 && this.#random.oneIn(this.#failOneIn)) {
      this.failures += 1;
      const code = this.#random.oneIn(2) ? 'POOL_FULL' : 'IO';
      throw new GhostsnapError(code, `The simulated disk failed at ${label}.`);
    }
  }

  /** The next step fails, once. */
  failNext(code: ErrorCode): void {
    this.#next = code;
  }

  get isDown(): boolean {
    return this.#isDown;
  }

  restart(): void {
    this.#isDown = false;
  }

  /** Faults off while the auditor looks. */
  quietly<T>(work: () => T): T {
    this.#armed = false;
    try {
      return work();
    } finally {
      this.#armed = true;
    }
  }

  disarm(): void {
    this.#armed = false;
  }

  rearm(): void {
    this.#armed = true;
  }
}
