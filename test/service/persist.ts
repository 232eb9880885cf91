/** A caller that asks until it is answered, as a platform does that must not lose a call. */
import { randomUUID } from 'node:crypto';
import type { RequestOptions } from '../../src/api/client/client.ts';
import { ERROR_KINDS, GhostsnapError } from '../../src/core/errors.ts';

/** Under one key, so that it is done once: the client's own repeats end with its budget, the caller's do not. */
export async function persist<T>(ask: (options: RequestOptions) => Promise<T>): Promise<T> {
  const idempotencyKey = randomUUID();
  for (;;) {
    try {
      return await ask({ idempotencyKey, timeoutMs: 120_000 });
    } catch (error) {
      if (!(error instanceof GhostsnapError) || !ERROR_KINDS[error.kind].retryable) throw error;
    }
  }
}
