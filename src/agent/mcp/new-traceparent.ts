/**
 * The `traceparent` that a tool call gets which came without one, so that a snapshot, the call and what the
 * server traces can be put together. Ids are random and are made here, at the edge.
 */
import { randomFillSync } from 'node:crypto';
import {
  childContext,
  formatTraceparent,
  newTrace,
  type TraceContext,
} from '../../core/trace-context.ts';

const words = new Int32Array(6);

/** A new span: of `parent`'s trace when there is one, else of a new trace. */
export function newTraceparent(parent: TraceContext | null): string {
  randomFillSync(words);
  const [high = 0, low = 0] = words;
  return formatTraceparent(
    parent === null ? newTrace(words, { sampled: 'yes' }) : childContext(parent, high, low),
  );
}
