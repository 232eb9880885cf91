/**
 * How long a prover goes on: a number of tries, or a time, whichever ends first.
 *
 * Time only ever decides whether something new is begun; no try is cut short and none is judged by it.
 */
export interface EffortBounds {
  readonly ops: number;
  readonly minutes: number;
}

export class Effort {
  readonly opsMax: number;
  /** Counted by the prover itself. */
  done = 0;
  readonly #endMs: number;
  readonly #signal: AbortSignal;

  /** @param signal aborted when the person has had enough: as if the time were over */
  constructor({ ops, minutes }: EffortBounds, signal: AbortSignal) {
    this.opsMax = ops;
    this.#endMs = performance.now() + minutes * 60_000;
    this.#signal = signal;
  }

  /** The same, spent when this share of the tries is done: for what is tried in several places. */
  part(share: number): Pick<Effort, 'isSpent' | 'done'> {
    const whole = this;
    const until = Math.ceil(whole.opsMax * share);
    return {
      get isSpent() {
        return whole.isOver || whole.done >= until;
      },
      get done() {
        return whole.done;
      },
      set done(value) {
        whole.done = value;
      },
    };
  }

  /** Nothing new may begin. */
  get isSpent(): boolean {
    return this.done >= this.opsMax || this.isOver;
  }

  /** The time is over, however little was done. */
  get isOver(): boolean {
    return this.#signal.aborted || performance.now() >= this.#endMs;
  }
}
