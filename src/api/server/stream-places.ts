/** Places for streams that stay: bounded, and no tenant may take more than its share of them. */
import { GhostsnapError } from '../../core/errors.ts';

const RETRY_AFTER_MS = 10_000;

export interface StreamPlacesBounds {
  /** What they are streams of, for messages. */
  readonly of: string;
  readonly max: number;
  readonly ofTenantMax: number;
}

export class StreamPlaces {
  readonly #bounds: StreamPlacesBounds;
  readonly #ofTenant = new Map<string, number>();
  #taken = 0;

  constructor(bounds: StreamPlacesBounds) {
    this.#bounds = bounds;
  }

  /** @returns the place; disposing of it gives it back @throws GhostsnapError TOO_MANY_REQUESTS, OVERLOADED */
  take(tenant: string): Disposable {
    const { of, max, ofTenantMax } = this.#bounds;
    const ofTenant = this.#ofTenant.get(tenant) ?? 0;
    const about = {
      hint: 'Share the streams that are open, or come back later.',
      data: { retryAfterMs: RETRY_AFTER_MS },
    };
    if (ofTenant >= ofTenantMax) {
      const message = `The tenant has too many streams of ${of}.`;
      throw new GhostsnapError('TOO_MANY_REQUESTS', message, about);
    }
    if (this.#taken >= max) {
      throw new GhostsnapError('OVERLOADED', `Too many streams of ${of} are open.`, about);
    }
    this.#add(tenant, 1);
    return { [Symbol.dispose]: () => this.#add(tenant, -1) };
  }

  #add(tenant: string, count: number): void {
    this.#taken += count;
    const ofTenant = (this.#ofTenant.get(tenant) ?? 0) + count;
    if (ofTenant === 0) this.#ofTenant.delete(tenant);
    else this.#ofTenant.set(tenant, ofTenant);
  }
}
