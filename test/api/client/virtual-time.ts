/** Time that a test makes pass: timers run in their order, and what they resolve is carried out before the next. */
export class VirtualTime {
  #timers: { readonly at: number; readonly order: number; readonly run: () => void }[] = [];
  #order = 0;
  nowMs = 0;

  readonly after = (ms: number, run: () => void): (() => void) => {
    this.#order += 1;
    const timer = { at: this.nowMs + Math.max(0, ms), order: this.#order, run };
    this.#insert(timer);
    return () => {
      const at = this.#timers.indexOf(timer);
      if (at >= 0) this.#timers.splice(at, 1);
    };
  };

  /** Runs everything that is due until `ms` have passed. */
  async pass(ms: number): Promise<void> {
    const end = this.nowMs + ms;
    for (;;) {
      const at = this.#timers[0]?.at;
      if (at === undefined || at > end) break;
      this.nowMs = at;
      while ((this.#timers[0]?.at ?? Number.POSITIVE_INFINITY) <= at) this.#timers.shift()?.run();
      await settled();
    }
    this.nowMs = end;
  }

  #insert(timer: { readonly at: number; readonly order: number; readonly run: () => void }): void {
    let low = 0;
    let high = this.#timers.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#timers[middle]?.at ?? 0) <= timer.at) low = middle + 1;
      else high = middle;
    }
    this.#timers.splice(low, 0, timer);
  }
}

/** Every promise that could go on has gone on. */
function settled(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  setImmediate(resolve);
  return promise;
}

/** The same numbers for the same seed. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
