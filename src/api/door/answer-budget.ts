/**
 * Bytes of answers that were made and that nobody has taken yet: bounded, of one tenant and of all.
 *
 * A peer that asks and does not read (a window of zero, a socket that is full) would have the service hold
 * every answer it can think of. Past its share a tenant is refused before anything is begun, and an answer
 * that was only a look is dropped for a refusal; what a change answers is small and always held. An answer
 * that is not taken in time is cut off with its stream, so that a peer that has died gives back what it holds.
 */
import { GhostsnapError } from '../../core/errors.ts';

/** Bytes of all: some hundred of the largest pages, on a service that shall stay below 200 MB. */
const BYTES_MAX = 67_108_864;
/** Bytes of one tenant: whoever reads what it asked for has a few pages under way. */
const TENANT_BYTES_MAX = 16_777_216;
/** Milliseconds within which an answer is taken. */
const TAKEN_WITHIN_MS = 60_000;
const SWEEP_MS = 5000;
const RETRY_AFTER_MS = 1000;

export interface AnswerBounds {
  readonly bytesMax: number;
  readonly tenantBytesMax: number;
  readonly takenWithinMs: number;
}

interface Held {
  readonly sinceMs: number;
  readonly cut: () => void;
}

const BOUNDS: AnswerBounds = {
  bytesMax: BYTES_MAX,
  tenantBytesMax: TENANT_BYTES_MAX,
  takenWithinMs: TAKEN_WITHIN_MS,
};

export class AnswerBudget implements Disposable {
  readonly #bounds: AnswerBounds;
  readonly #monotonicMs: () => number;
  readonly #ofTenant = new Map<string, number>();
  /** Oldest first. */
  readonly #held = new Set<Held>();
  readonly #sweeper: NodeJS.Timeout;
  #bytes = 0;

  constructor(monotonicMs: () => number, bounds: AnswerBounds = BOUNDS) {
    this.#monotonicMs = monotonicMs;
    this.#bounds = bounds;
    this.#sweeper = setInterval(() => this.sweep(), SWEEP_MS);
    this.#sweeper.unref();
  }

  /** Bytes of answers that nobody has taken yet. */
  get bytes(): number {
    return this.#bytes;
  }

  /** @throws GhostsnapError TOO_MANY_REQUESTS, OVERLOADED */
  assertRoom(tenant: string, bytes = 0): void {
    const { bytesMax, tenantBytesMax } = this.#bounds;
    const ofTenant = this.#ofTenant.get(tenant) ?? 0;
    // One answer always has room: a bound below the largest page would refuse it for ever.
    if (ofTenant > 0 && ofTenant + bytes >= tenantBytesMax) throw tooMuchOfTenant();
    if (ofTenant > 0 && this.#bytes + bytes >= bytesMax) throw tooMuch();
  }

  /**
   * @param cut ends the stream of an answer that was not taken in time
   * @returns lets go of it; to be called once it was taken, and when nobody will; again does nothing
   */
  hold(tenant: string, bytes: number, cut: () => void): () => void {
    const held: Held = { sinceMs: this.#monotonicMs(), cut };
    this.#held.add(held);
    this.#count(tenant, bytes);
    return () => {
      if (this.#held.delete(held)) this.#count(tenant, -bytes);
    };
  }

  /** Cuts off what was not taken in time. */
  sweep(): void {
    const before = this.#monotonicMs() - this.#bounds.takenWithinMs;
    for (const held of this.#held) {
      if (held.sinceMs > before) return;
      held.cut();
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#sweeper);
  }

  #count(tenant: string, bytes: number): void {
    this.#bytes += bytes;
    const ofTenant = (this.#ofTenant.get(tenant) ?? 0) + bytes;
    if (ofTenant === 0) this.#ofTenant.delete(tenant);
    else this.#ofTenant.set(tenant, ofTenant);
  }
}

function tooMuchOfTenant(): GhostsnapError {
  return new GhostsnapError(
    'TOO_MANY_REQUESTS',
    'Too many answers of the tenant wait to be read.',
    {
      hint: 'Read what was asked for, then ask on.',
      data: { retryAfterMs: RETRY_AFTER_MS },
    },
  );
}

function tooMuch(): GhostsnapError {
  return new GhostsnapError('OVERLOADED', 'Too many answers wait to be read.', {
    hint: 'Read what was asked for, and come back after the time in Retry-After.',
    data: { retryAfterMs: RETRY_AFTER_MS },
  });
}
