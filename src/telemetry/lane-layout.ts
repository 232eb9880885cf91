/**
 * A lane: the shared memory through which one thread says what happened, and the layout of it.
 *
 * Two kinds of memory lie in it. Cells are sums: counters, gauges, histograms by bucket. They are exact
 * whatever becomes of the reader, and outlive it. The ring holds spans as records of 64 bytes; it is
 * bounded, and what finds no room is dropped and counted. One thread writes a lane and one reads it, so
 * neither locks: the writer alone moves `HEAD`, the reader alone moves `TAIL`, each with a store that makes
 * what was written before visible.
 *
 * Cells are 64-bit floats on 8-byte boundaries, written with plain stores: the machines this runs on
 * (x86-64, arm64) store such a value whole, so a reader sees the old sum or the new one.
 */
import {
  DURATION_BOUNDS_S,
  METRICS,
  OUTCOME_NAMES,
  ROUTES_MAX,
  SPANS,
  STATUS_CODES,
} from '../core/telemetry-names.ts';

/** Spans that wait for the reader: half a megabyte; at 8 spans a request and 1,000 requests/s one second. */
export const RING_RECORDS = 8192;
export const RECORD_BYTES = 64;

const HEADER_BYTES = 64;
/** Indices of 32-bit integers in the header. Both count records and wrap around. */
export const HEAD = 0;
export const TAIL = 1;
/** Records that found no room. */
export const DROPPED = 2;
/** Index of a 64-bit float in the header: wall clock minus the writer's monotonic clock, milliseconds. */
export const EPOCH_MS = 2;

/** Buckets of a histogram, the one without an upper bound included. */
export const BUCKETS = DURATION_BOUNDS_S.length + 1;
/** Cells of a histogram: its buckets, then the sum in seconds. */
export const HISTOGRAM_CELLS = BUCKETS + 1;
const SPAN_CELLS = SPANS.length * OUTCOME_NAMES.length * HISTOGRAM_CELLS;
const ROUTE_CELLS = ROUTES_MAX * STATUS_CODES.length * HISTOGRAM_CELLS;
const CELLS = METRICS.length + SPAN_CELLS + ROUTE_CELLS;

const CELLS_AT = HEADER_BYTES;
/** Records begin on a cache line of their own. */
const RING_AT = Math.ceil((CELLS_AT + CELLS * 8) / RECORD_BYTES) * RECORD_BYTES;

/** Indices of 32-bit integers in a record, and of its two 64-bit floats. */
export const RECORD = {
  /** Span name, and the outcome from bit 8. */
  name: 0,
  /** HTTP status, and the route from bit 16; 0 for what is no request. */
  request: 1,
  traceId: 2,
  spanId: 6,
  parentId: 8,
  startNs: 6,
  endNs: 7,
} as const;
export const RECORD_INTS = RECORD_BYTES / 4;
export const RECORD_FLOATS = RECORD_BYTES / 8;

export interface LaneViews {
  readonly header: Int32Array<SharedArrayBuffer>;
  readonly clock: Float64Array<SharedArrayBuffer>;
  readonly cells: Float64Array<SharedArrayBuffer>;
  readonly ints: Int32Array<SharedArrayBuffer>;
  readonly floats: Float64Array<SharedArrayBuffer>;
}

export function createLane(): SharedArrayBuffer {
  return new SharedArrayBuffer(RING_AT + RING_RECORDS * RECORD_BYTES);
}

export function laneViews(lane: SharedArrayBuffer): LaneViews {
  return {
    header: new Int32Array(lane, 0, HEADER_BYTES / 4),
    clock: new Float64Array(lane, 0, HEADER_BYTES / 8),
    cells: new Float64Array(lane, CELLS_AT, CELLS),
    ints: new Int32Array(lane, RING_AT, RING_RECORDS * RECORD_INTS),
    floats: new Float64Array(lane, RING_AT, RING_RECORDS * RECORD_FLOATS),
  };
}

/** The first cell of a histogram of a span. */
export function spanCells(span: number, outcome: number): number {
  return METRICS.length + (span * OUTCOME_NAMES.length + outcome) * HISTOGRAM_CELLS;
}

/** The first cell of a histogram of a route's answers. `status` is an index in `STATUS_CODES`. */
export function routeCells(route: number, status: number): number {
  return METRICS.length + SPAN_CELLS + (route * STATUS_CODES.length + status) * HISTOGRAM_CELLS;
}
