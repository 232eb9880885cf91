/**
 * Numbered pieces of work that several threads of one process take from, a few at a time.
 *
 * All of it is two counters and a byte for each piece in shared memory. A verdict is 0 unless somebody
 * has written another one, so what a thread did not get to, or failed at, counts as not proven.
 */

/** 1 for a piece that is proven. */
export const PROVEN = 1;

/** Words of `counters`: the next piece to be claimed, and how many are done. */
const NEXT = 0;
const DONE = 1;

export interface LotMemory {
  readonly counters: SharedArrayBuffer;
  readonly verdicts: SharedArrayBuffer;
}

export function makeLotMemory(pieces: number): LotMemory {
  return { counters: new SharedArrayBuffer(8), verdicts: new SharedArrayBuffer(pieces) };
}

export class SharedLots {
  readonly verdicts: Uint8Array;
  readonly #counters: Int32Array;
  readonly #lot: number;

  /** `lot`: pieces that are claimed at once; as much work as the last to end may be waited for. */
  constructor(memory: LotMemory, lot: number) {
    this.verdicts = new Uint8Array(memory.verdicts);
    this.#counters = new Int32Array(memory.counters);
    this.#lot = lot;
  }

  /** Claims a lot and judges its pieces. False: everything is claimed. */
  judgeSome(isProven: (piece: number) => boolean): boolean {
    const start = Atomics.add(this.#counters, NEXT, this.#lot);
    if (start >= this.verdicts.length) return false;
    const end = Math.min(start + this.#lot, this.verdicts.length);
    try {
      for (let i = start; i < end; i += 1) if (isProven(i)) this.verdicts[i] = PROVEN;
    } finally {
      Atomics.add(this.#counters, DONE, end - start);
      Atomics.notify(this.#counters, DONE);
    }
    return true;
  }

  /** Waits until every lot is done, whoever claimed it. False: somebody did not end in time. */
  waitForOthers(timeoutMs: number): boolean {
    for (;;) {
      const done = Atomics.load(this.#counters, DONE);
      if (done >= this.verdicts.length) return true;
      if (Atomics.wait(this.#counters, DONE, done, timeoutMs) === 'timed-out') return false;
    }
  }
}
