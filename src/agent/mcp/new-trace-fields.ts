/**
 * The trace that a tool call gets which came without one, so that a snapshot, the call and what the server
 * traces can be put together. Ids are random and are made here, at the edge.
 */
import { randomFillSync } from 'node:crypto';
import {
  childContext,
  newTrace,
  type TraceContext,
  traceFields,
} from '../../core/trace-context.ts';

const words = new Int32Array(6);

/** Fields of a new span: of `parent`'s trace, with its state and baggage, else of a new trace. */
export function newTraceFields(parent: TraceContext | null): Readonly<Record<string, string>> {
  randomFillSync(words);
  const [high = 0, low = 0] = words;
  return traceFields(
    parent === null ? newTrace(words, { sampled: 'yes' }) : childContext(parent, high, low),
  );
}
