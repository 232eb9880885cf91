/**
 * Faults: at every labelled step of the simulated disk and catalog, the process may die (`SimCrash`, as
 * SIGKILL would end it) or the call may fail with an error that the engine must handle.
 */
import { GhostsnapError } from '../../src/core/errors.ts';
import type { SimRandom } from './sim-random.ts';

/** The process is gone. Nobody may catch it and go on: what still runs of it touches nothing. */
export class SimCrash extends Error {
  override readonly name = 'SimCrash';
}

export interface FaultRates {
  /** 0: never. */
  readonly crashOneIn: number;
  readonly failOneIn: number;
}

export class SimFaults {
  readonly #random: SimRandom;
  readonly #rates: FaultRates;
  #isArmed = true;
  crashes = 0;
  failures = 0;

  constructor(random: SimRandom, rates: FaultRates) {
    this.#random = random;
    this.#rates = rates;
  }

  /** 'crash': the process that asks is to die now. @throws GhostsnapError the failure that was drawn */
  draw(label: string): 'crash' | 'go-on' {
    if (!this.#isArmed) return 'go-on';
    const { crashOneIn, failOneIn } = this.#rates;
    if (crashOneIn > 0 && this.#random.oneIn(crashOneIn)) {
      this.crashes += 1;
      return 'crash';
    }
    if (failOneIn > 0 && this.#random.oneIn(failOneIn)) {
      this.failures += 1;
      const code = this.#random.oneIn(2) ? 'POOL_FULL' : 'IO';
      throw new GhostsnapError(code, `The simulated disk failed at ${label}.`);
    }
    return 'go-on';
  }

  disarm(): void {
    this.#isArmed = false;
  }

  rearm(): void {
    this.#isArmed = true;
  }
}
