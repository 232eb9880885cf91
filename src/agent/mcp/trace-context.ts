/**
 * W3C trace context of a tool call, carried in `params._meta.traceparent`.
 *
 * A call that has none gets one, so that a snapshot, the call and what the server traces can be put
 * together. Identifiers are random and are made here, at the edge; the core never sees how.
 * Source: https://www.w3.org/TR/trace-context/ (version 00).
 */
import { randomBytes } from 'node:crypto';

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/;

export interface TraceContext {
  readonly traceId: string;
  readonly spanId: string;
  /** Two hexadecimal digits; 01 is "sampled". */
  readonly flags: string;
}

/** null for anything that version 00 does not allow, all-zero ids and the version ff included. */
export function parseTraceparent(text: string): TraceContext | null {
  const [, version, traceId = '', spanId = '', flags = ''] = TRACEPARENT.exec(text) ?? [];
  if (version === undefined || version === 'ff') return null;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return null;
  return { traceId, spanId, flags };
}

/** A new span: of `parent`'s trace when there is one, else of a new trace. */
export function newTraceparent(parent: TraceContext | null): string {
  const traceId = parent?.traceId ?? randomBytes(16).toString('hex');
  return `00-${traceId}-${randomBytes(8).toString('hex')}-${parent?.flags ?? '01'}`;
}
