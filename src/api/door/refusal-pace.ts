/**
 * How fast one identity is told that its requests are wrong.
 *
 * A refusal costs less than a request, and still a flood of them would take the loop from those who ask
 * rightly. So an identity has so many refusals a second; the answer of one beyond that waits its turn, and
 * the bound of streams of its connections is what bounds its flood. Nothing is dropped, and nobody who
 * makes a mistake now and then sees any of it.
 */
import { setTimeout as pause } from 'node:timers/promises';

/** The longest that a refusal waits: a caller is told in time, whatever others of its identity do. */
const WAIT_MS_MAX = 2000;
/** Identities that are remembered; past it those that have long been quiet are forgotten. */
const IDENTITIES_MAX = 4096;

export interface RefusalPaceOptions {
  readonly monotonicMs: () => number;
  /** Also as many at once. */
  readonly perSecond: () => number;
}

interface Bucket {
  /** Refusals that may go at once; below zero: those that wait. */
  tokens: number;
  atMs: number;
}

export class RefusalPace {
  readonly #options: RefusalPaceOptions;
  readonly #buckets = new Map<string, Bucket>();

  constructor(options: RefusalPaceOptions) {
    this.#options = options;
  }

  /** Counts one. @returns milliseconds that its answer has to wait */
  take(identity: string): number {
    const perSecond = this.#options.perSecond();
    const nowMs = this.#options.monotonicMs();
    const bucket = this.#buckets.get(identity) ?? { tokens: perSecond, atMs: nowMs };
    const earned = ((nowMs - bucket.atMs) * perSecond) / 1000;
    // What waits longest is the most that can be owed: a flood that has ended is soon forgotten.
    const owedMax = (perSecond * WAIT_MS_MAX) / 1000;
    bucket.tokens = Math.max(-owedMax, Math.min(perSecond, bucket.tokens + earned) - 1);
    bucket.atMs = nowMs;
    this.#buckets.delete(identity);
    this.#buckets.set(identity, bucket);
    if (this.#buckets.size > IDENTITIES_MAX) this.#forgetOldest();
    return bucket.tokens >= 0 ? 0 : Math.ceil((-bucket.tokens * 1000) / perSecond);
  }

  /** Returns when the answer may go. */
  async wait(identity: string): Promise<void> {
    const waitMs = this.take(identity);
    if (waitMs > 0) await pause(waitMs);
  }

  #forgetOldest(): void {
    for (const identity of this.#buckets.keys()) {
      this.#buckets.delete(identity);
      return;
    }
  }
}
