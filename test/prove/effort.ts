/**
 * How long a prover goes on: a number of tries, or a time, whichever ends first.
 *
 * Time only ever decides whether something new is begun; no try is cut short and none is judged by it.
 */
export interface EffortBounds {
  readonly ops: number;
  readonly minutes: number;
}

/** What is left to try: the whole, or a slice of it. */
export interface Spending {
  /** Nothing new may begin. */
  readonly isSpent: boolean;
  /** Tries of the whole, counted by the prover itself. */
  done: number;
  /**
   * The next of so many parts that come one after the other: it may use that share of the tries and of the
   * time that are left now, so that no part takes everything. What it leaves is the others'.
   */
  slice(partsLeft: number): Spending;
}

export class Effort implements Spending {
  readonly opsMax: number;
  done = 0;
  readonly #endMs: number;
  readonly #signal: AbortSignal;

  /** @param signal aborted when the person has had enough: as if the time were over */
  constructor({ ops, minutes }: EffortBounds, signal: AbortSignal) {
    this.opsMax = ops;
    this.#endMs = performance.now() + minutes * 60_000;
    this.#signal = signal;
  }

  get isSpent(): boolean {
    return this.done >= this.opsMax || this.isOver;
  }

  slice(partsLeft: number): Spending {
    return sliceOf(this, { opsMax: this.opsMax, endMs: this.#endMs, partsLeft });
  }

  /** The time is over, however little was done. */
  get isOver(): boolean {
    return this.#signal.aborted || performance.now() >= this.#endMs;
  }
}

interface Slicing {
  readonly opsMax: number;
  readonly endMs: number;
  readonly partsLeft: number;
}

function sliceOf(whole: Effort, { opsMax, endMs, partsLeft }: Slicing): Spending {
  const nowMs = performance.now();
  const ownOpsMax = whole.done + Math.ceil((opsMax - whole.done) / partsLeft);
  const ownEndMs = nowMs + (endMs - nowMs) / partsLeft;
  return {
    get isSpent() {
      return whole.isOver || whole.done >= ownOpsMax || performance.now() >= ownEndMs;
    },
    get done() {
      return whole.done;
    },
    set done(value) {
      whole.done = value;
    },
    slice: (parts) => sliceOf(whole, { opsMax: ownOpsMax, endMs: ownEndMs, partsLeft: parts }),
  };
}
