/**
 * A bounded queue before something that only so many may do at once, fair between tenants.
 *
 * Tenants take turns, each first come first served, so that one that asks a thousand times waits behind
 * itself. It refuses before latency grows: when the tenant's own share is full (429), when all of it is
 * (503), and when the caller's deadline would pass before its turn. What is refused was never begun.
 */
import { GhostsnapError } from '../core/errors.ts';

export interface FairQueueBounds {
  /** For messages. */
  readonly name: string;
  /** At work at once. */
  readonly concurrent: number;
  readonly waitingMax: number;
  readonly waitingOfTenantMax: number;
}

export interface Turn {
  readonly tenant: string;
  readonly signal: AbortSignal;
  /** Of the monotonic clock. */
  readonly deadline: number | undefined;
}

interface Waiting {
  readonly start: () => void;
  readonly refuse: (error: GhostsnapError) => void;
  readonly signal: AbortSignal;
}

/** How much of the newest duration the average takes. */
const SMOOTHING = 0.1;
const FIRST_GUESS_MS = 5;
const RETRY_AFTER_MIN_MS = 1000;
const RETRY_AFTER_MAX_MS = 30_000;

export class FairQueue {
  #bounds: FairQueueBounds;
  readonly #monotonicMs: () => number;
  /** Tenants with somebody waiting, the next one first. */
  readonly #tenants = new Map<string, Waiting[]>();
  #waiting = 0;
  #running = 0;
  #averageMs = FIRST_GUESS_MS;
  #isClosed = false;

  constructor(bounds: FairQueueBounds, monotonicMs: () => number) {
    this.#bounds = bounds;
    this.#monotonicMs = monotonicMs;
  }

  get waiting(): number {
    return this.#waiting;
  }

  get running(): number {
    return this.#running;
  }

  /** @throws GhostsnapError TOO_MANY_REQUESTS, OVERLOADED, STOPPING, INTERRUPTED; what `work` throws */
  async run<T>(turn: Turn, work: () => Promise<T>): Promise<T> {
    if (this.#isClosed) throw stopping();
    if (this.#running >= this.#bounds.concurrent || this.#waiting > 0) await this.#wait(turn);
    else this.#running += 1;
    const startedMs = this.#monotonicMs();
    try {
      if (turn.signal.aborted) throw interrupted(turn.signal);
      if (turn.deadline !== undefined && startedMs >= turn.deadline) throw tooLate();
      return await work();
    } finally {
      const tookMs = this.#monotonicMs() - startedMs;
      this.#averageMs += (tookMs - this.#averageMs) * SMOOTHING;
      this.#running -= 1;
      this.#startNext();
    }
  }

  /**
   * Other bounds from now on. Who was let in stays, also beyond a lower bound: what waits is not thrown
   * out, what is at work ends.
   */
  resize(bounds: FairQueueBounds): void {
    this.#bounds = bounds;
    while (this.#waiting > 0 && this.#running < bounds.concurrent) this.#startNext();
  }

  /** Nobody new is let in; who waits or is at work goes on. */
  close(): void {
    this.#isClosed = true;
  }

  #wait(turn: Turn): Promise<void> {
    const refusal = this.#refusal(turn);
    if (refusal !== null) return Promise.reject(refusal);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onAbort = (): void => this.#leave(turn.tenant, waiting);
    const waiting: Waiting = {
      signal: turn.signal,
      start: () => {
        turn.signal.removeEventListener('abort', onAbort);
        resolve();
      },
      refuse: (error) => {
        turn.signal.removeEventListener('abort', onAbort);
        reject(error);
      },
    };
    turn.signal.addEventListener('abort', onAbort, { once: true });
    const list = this.#tenants.get(turn.tenant);
    if (list === undefined) this.#tenants.set(turn.tenant, [waiting]);
    else list.push(waiting);
    this.#waiting += 1;
    return promise;
  }

  #refusal({ tenant, signal, deadline }: Turn): GhostsnapError | null {
    if (signal.aborted) return interrupted(signal);
    const { name, waitingMax, waitingOfTenantMax } = this.#bounds;
    const waitMs = this.#expectedWaitMs(this.#waiting + 1);
    const data = { queue: name, retryAfterMs: retryAfter(waitMs) };
    if (this.#waiting >= waitingMax) {
      return new GhostsnapError('OVERLOADED', `Too much is waiting (${name}).`, {
        hint: 'Come back after the time in Retry-After.',
        data,
      });
    }
    if ((this.#tenants.get(tenant)?.length ?? 0) >= waitingOfTenantMax) {
      return new GhostsnapError('TOO_MANY_REQUESTS', `The tenant's share is used up (${name}).`, {
        hint: 'Ask less at once, or come back after the time in Retry-After.',
        data,
      });
    }
    if (deadline !== undefined && this.#monotonicMs() + waitMs > deadline) {
      return new GhostsnapError('OVERLOADED', 'The turn would come after the deadline.', {
        hint: 'Give it more time, or come back after the time in Retry-After.',
        data,
      });
    }
    return null;
  }

  #expectedWaitMs(place: number): number {
    return (place / this.#bounds.concurrent) * this.#averageMs;
  }

  #leave(tenant: string, waiting: Waiting): void {
    const list = this.#tenants.get(tenant);
    const at = list?.indexOf(waiting) ?? -1;
    if (list === undefined || at < 0) return;
    list.splice(at, 1);
    if (list.length === 0) this.#tenants.delete(tenant);
    this.#waiting -= 1;
    waiting.refuse(interrupted(waiting.signal));
  }

  #startNext(): void {
    if (this.#running >= this.#bounds.concurrent) return;
    for (const [tenant, list] of this.#tenants) {
      const next = list.shift();
      this.#tenants.delete(tenant);
      if (list.length > 0) this.#tenants.set(tenant, list);
      if (next === undefined) continue;
      this.#waiting -= 1;
      this.#running += 1;
      next.start();
      return;
    }
  }
}

function retryAfter(waitMs: number): number {
  return Math.min(RETRY_AFTER_MAX_MS, Math.max(RETRY_AFTER_MIN_MS, Math.ceil(waitMs)));
}

function stopping(): GhostsnapError {
  return new GhostsnapError('STOPPING', 'The service is shutting down.', {
    hint: 'Ask again in a moment, or another endpoint.',
    data: { retryAfterMs: RETRY_AFTER_MIN_MS },
  });
}

function tooLate(): GhostsnapError {
  return new GhostsnapError('DEADLINE_EXCEEDED', 'The deadline passed before it was begun.', {
    hint: 'Ask again with more time; nothing was done.',
  });
}

/** The signal says why: the caller has gone, or its deadline has passed. */
function interrupted(signal: AbortSignal): GhostsnapError {
  if (signal.reason instanceof GhostsnapError) return signal.reason;
  return new GhostsnapError('INTERRUPTED', 'The caller has gone away.', {
    hint: 'Nothing was begun.',
  });
}
