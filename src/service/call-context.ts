/** What comes with a request beside its input. */
import type { TraceContext } from '../core/trace-context.ts';

export interface CallContext {
  readonly trace: TraceContext | undefined;
  /** Milliseconds of `performance.now()` after which nobody waits any more; undefined: no limit of the caller's. */
  readonly deadline: number | undefined;
  /** Aborts when the caller has gone away, and when the deadline has passed. */
  readonly signal: AbortSignal;
  /** Given with every mutation; a mutation without one is refused. */
  readonly idempotencyKey: string | undefined;
}
