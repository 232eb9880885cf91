/**
 * Bodies of requests, read whole within bounds: bytes of one, bytes of all that are under way, and time.
 *
 * Thousands of bodies that are all but finished must not fill the memory, so all readers share a budget:
 * past it a body is refused at once, and whoever sent it may come again. A tenant has a share of it: one
 * connection has streams enough to fill it with bodies that never end, and every other tenant would be refused.
 * A sender that is slow on purpose is cut off. A refusal is a value, and what had come is let go.
 */
import type { Readable } from 'node:stream';
import { REQUEST_TIMEOUT_MS } from './http-limits.ts';
import { REQUEST_BODY } from './strict-json.ts';

/** Bytes of all bodies under way: 256 whole ones, or many thousands as they usually are. */
const BODIES_BYTES_MAX = 16_777_216;
/** Bytes of one tenant's: as many as 64 whole ones. */
const TENANT_BYTES_MAX = 4_194_304;

export type BodyReading =
  | { readonly ok: true; readonly bytes: Buffer }
  | { readonly ok: false; readonly status: 408 | 413 | 429 | 503; readonly why: string };

export interface BodyBounds {
  readonly bytesMax: number;
  readonly timeoutMs: number;
}

const BOUNDS: BodyBounds = { bytesMax: REQUEST_BODY.bytesMax, timeoutMs: REQUEST_TIMEOUT_MS };

export interface BodyBudget {
  readonly bytesMax: number;
  readonly tenantBytesMax: number;
}

const BUDGET: BodyBudget = { bytesMax: BODIES_BYTES_MAX, tenantBytesMax: TENANT_BYTES_MAX };

export class BodyReader {
  readonly #budget: BodyBudget;
  readonly #ofTenant = new Map<string, number>();
  #usedBytes = 0;

  constructor(budget: BodyBudget = BUDGET) {
    this.#budget = budget;
  }

  /** Bytes of bodies under way. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Resolves at the end, at the first bound that is met, or with what broke the stream thrown. */
  read(stream: Readable, tenant: string, bounds: BodyBounds = BOUNDS): Promise<BodyReading> {
    const { promise, resolve, reject } = Promise.withResolvers<BodyReading>();
    const chunks: Buffer[] = [];
    let bytes = 0;
    const end = (): void => {
      clearTimeout(timer);
      this.#count(tenant, -bytes);
      bytes = 0;
      stream.removeListener('data', onData).removeListener('end', onEnd);
    };
    const refuse = (status: 408 | 413 | 429 | 503, why: string): void => {
      end();
      // What still comes is thrown away; the connection's own bounds end it.
      stream.resume();
      resolve({ ok: false, status, why });
    };
    const timer = setTimeout(() => refuse(408, 'its body did not come in time'), bounds.timeoutMs);
    const onData = (chunk: Buffer): void => {
      bytes += chunk.length;
      const ofTenant = this.#count(tenant, chunk.length);
      const { bytesMax, tenantBytesMax } = this.#budget;
      chunks.push(chunk);
      if (bytes > bounds.bytesMax) refuse(413, `its body has more than ${bounds.bytesMax} bytes`);
      else if (ofTenant > tenantBytesMax)
        refuse(429, 'too many bodies of the tenant are under way');
      else if (this.#usedBytes > bytesMax) refuse(503, 'too many bodies are under way');
    };
    const onEnd = (): void => {
      end();
      resolve({
        ok: true,
        bytes: chunks.length === 1 ? only(chunks) : Buffer.concat(chunks),
      });
    };
    stream.on('data', onData).once('end', onEnd);
    stream.once('close', () => {
      if (stream.readableEnded) return;
      end();
      reject(new Error('The request ended before its body.'));
    });
    stream.once('error', (error) => {
      end();
      reject(error);
    });
    return promise;
  }

  /** @returns bytes of the tenant's bodies under way */
  #count(tenant: string, bytes: number): number {
    this.#usedBytes += bytes;
    const ofTenant = (this.#ofTenant.get(tenant) ?? 0) + bytes;
    if (ofTenant === 0) this.#ofTenant.delete(tenant);
    else this.#ofTenant.set(tenant, ofTenant);
    return ofTenant;
  }
}

function only(chunks: readonly Buffer[]): Buffer {
  return chunks[0] ?? Buffer.alloc(0);
}
