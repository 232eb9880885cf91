/**
 * Virtual time: what shall happen, in order of when.
 *
 * Nothing waits for real time. Two things at the same instant happen in the order they were asked for,
 * so that one seed is one run. After each, every promise reaction that can run has run before the next
 * begins: whatever code does between two waits is one step, as it is in a single thread.
 */

interface Happening {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

export class SimScheduler {
  /** A binary heap; the next is first. */
  readonly #heap: Happening[] = [];
  #order = 0;
  #nowMs = 0;

  /** Milliseconds since the run began; never stepping back. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** @param delayMs 0 or more */
  after(delayMs: number, run: () => void): void {
    this.#order += 1;
    this.#push({ atMs: this.#nowMs + delayMs, order: this.#order, run });
  }

  /** Lets the next thing happen. False: nothing is left, or it lies beyond `untilMs` and stays. */
  async step(untilMs: number): Promise<boolean> {
    const next = this.#heap[0];
    if (next === undefined || next.atMs > untilMs) return false;
    this.#pop();
    this.#nowMs = next.atMs;
    next.run();
    await settled();
    return true;
  }

  /** Lets things happen until the work has ended. Throws what it throws; throws when it would never end. */
  async untilSettled(work: Promise<void>): Promise<void> {
    let isSettled = false;
    const watched = work.finally(() => {
      isSettled = true;
    });
    // Whoever fails is heard below; without this Node would end the run before.
    watched.catch(() => {});
    await settled();
    while (!isSettled) {
      const isLeft = await this.step(Number.POSITIVE_INFINITY);
      if (!isLeft && !isSettled)
        throw new Error('The work waits for something that never happens.');
    }
    await watched;
  }

  #push(happening: Happening): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(happening);
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above] as Happening;
      if (isBefore(parent, happening)) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = happening;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Happening;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= heap.length) break;
      const right = heap[below + 1];
      if (right !== undefined && isBefore(right, heap[below] as Happening)) below += 1;
      const child = heap[below] as Happening;
      if (isBefore(last, child)) break;
      heap[at] = child;
      at = below;
    }
    heap[at] = last;
  }
}

function isBefore(a: Happening, b: Happening): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** All promise reactions that can run have run. */
function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
