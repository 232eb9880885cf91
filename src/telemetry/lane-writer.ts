/**
 * The telemetry port on a lane: what the core calls on its hottest path.
 *
 * Nothing here throws, waits or, for work that is not traced, allocates: numbers go into cells, and a
 * traced span into one record of the ring. A full ring means that the reader is behind: the span is
 * dropped and counted, and its duration still counts.
 */
import { randomFillSync } from 'node:crypto';
import {
  DURATION_BOUNDS_S,
  METRIC,
  type MetricName,
  OUTCOME,
  type Outcome,
  ROUTES_MAX,
  SPAN,
  type SpanName,
  STATUS_CODES,
} from '../core/telemetry-names.ts';
import { childContext, isSampled, newTrace, type TraceContext } from '../core/trace-context.ts';
import type { Telemetry } from '../engine/ports.ts';
import {
  BUCKETS,
  DROPPED,
  EPOCH_MS,
  HEAD,
  type LaneViews,
  laneViews,
  RECORD,
  RECORD_FLOATS,
  RECORD_INTS,
  RING_RECORDS,
  routeCells,
  spanCells,
  TAIL,
} from './lane-layout.ts';

/** In the unit that durations are measured in here. */
const BOUNDS_NS = Float64Array.from(DURATION_BOUNDS_S, (bound) => bound * 1e9);

/** The value of a hexadecimal digit by its code. */
const DIGITS = new Int32Array(128);
for (const [value, digit] of [...'0123456789abcdef'].entries()) {
  DIGITS[digit.charCodeAt(0)] = value;
}

/** Status by number: its place in the table, or that of the first of its hundred. */
const STATUS_INDEX = new Uint8Array(600);
for (let status = 0; status < STATUS_INDEX.length; status += 1) {
  const exact = (STATUS_CODES as readonly number[]).indexOf(status);
  const family = STATUS_CODES.findIndex(
    (code) => Math.floor(code / 100) === Math.floor(status / 100),
  );
  STATUS_INDEX[status] = Math.max(exact >= 0 ? exact : family, 0);
}

export interface LaneWriterOptions {
  readonly lane: SharedArrayBuffer;
  /** Share of the traces that begin here which are recorded, 0 to 1. */
  readonly sampleRatio: number;
}

export class LaneWriter implements Telemetry {
  readonly #views: LaneViews;
  readonly #sampleRatio: number;
  /** xorshift128: span ids need to be different, not secret; no call into C++ a span. */
  readonly #random = new Int32Array(4);
  readonly #words = new Int32Array(6);
  /** Spans of one trace come together: its id is read once. */
  #traceId = '';
  readonly #traceWords = new Int32Array(4);
  /** So do those of one parent. */
  #parentId = '';
  readonly #parentWords = new Int32Array(2);

  constructor(options: LaneWriterOptions) {
    this.#views = laneViews(options.lane);
    this.#sampleRatio = options.sampleRatio;
    randomFillSync(this.#random);
    // All zero is the one state that a xorshift never leaves.
    this.#random[0] = (this.#random[0] ?? 0) | 1;
    this.setEpoch();
  }

  /** Wall clocks are set now and then: to be called every second or so. */
  setEpoch(): void {
    this.#views.clock[EPOCH_MS] = Date.now() - performance.now();
  }

  nowNs(): number {
    return performance.now() * 1e6;
  }

  begin(parent: TraceContext | undefined): TraceContext | undefined {
    if (parent !== undefined) {
      if (!isSampled(parent)) return parent;
      return childContext(parent, this.#next(), this.#next());
    }
    if (this.#sampleRatio === 0) return undefined;
    if ((this.#next() >>> 0) / 0x1_0000_0000 >= this.#sampleRatio) return undefined;
    for (let index = 0; index < this.#words.length; index += 1) this.#words[index] = this.#next();
    return newTrace(this.#words, { sampled: 'yes' });
  }

  end(name: SpanName, open: TraceContext | undefined, startNs: number, outcome: Outcome): void {
    const endNs = this.nowNs();
    this.#observe(spanCells(name, outcome), endNs - startNs);
    if (open === undefined || !isSampled(open)) return;
    const at = this.#reserve(name, outcome, startNs, endNs);
    if (at < 0) return;
    this.#writeIds(at, open.traceId, open.spanId, open.parentId);
    this.#publish();
  }

  span(
    name: SpanName,
    trace: TraceContext | undefined,
    startNs: number,
    endNs: number,
    outcome: Outcome,
  ): void {
    this.#observe(spanCells(name, outcome), endNs - startNs);
    if (trace === undefined || !isSampled(trace)) return;
    const at = this.#reserve(name, outcome, startNs, endNs);
    if (at < 0) return;
    this.#writeIds(at, trace.traceId, '', trace.spanId);
    this.#publish();
  }

  request(route: number, status: number, open: TraceContext | undefined, startNs: number): void {
    const endNs = this.nowNs();
    const known = route >= 0 && route < ROUTES_MAX ? route : ROUTES_MAX - 1;
    this.#observe(routeCells(known, STATUS_INDEX[status] ?? 0), endNs - startNs);
    if (open === undefined || !isSampled(open)) return;
    const outcome = status >= 500 ? OUTCOME.error : status >= 400 ? OUTCOME.refused : OUTCOME.ok;
    const at = this.#reserve(SPAN.httpRequest, outcome, startNs, endNs);
    if (at < 0) return;
    this.#views.ints[at + RECORD.request] = (known << 16) | (status & 0xffff);
    this.#writeIds(at, open.traceId, open.spanId, open.parentId);
    this.#publish();
  }

  count(metric: MetricName, n: number): void {
    const { cells } = this.#views;
    cells[metric] = (cells[metric] ?? 0) + n;
  }

  gauge(metric: MetricName, value: number): void {
    this.#views.cells[metric] = value;
  }

  #observe(cell: number, durationNs: number): void {
    const { cells } = this.#views;
    let bucket = 0;
    while (bucket < BUCKETS - 1 && durationNs > (BOUNDS_NS[bucket] ?? 0)) bucket += 1;
    cells[cell + bucket] = (cells[cell + bucket] ?? 0) + 1;
    cells[cell + BUCKETS] = (cells[cell + BUCKETS] ?? 0) + durationNs / 1e9;
  }

  /** The index of a record's first integer, or -1 when the ring is full. */
  #reserve(name: SpanName, outcome: Outcome, startNs: number, endNs: number): number {
    const { header, ints, floats, cells } = this.#views;
    const head = header[HEAD] ?? 0;
    if (((head - Atomics.load(header, TAIL)) | 0) >= RING_RECORDS) {
      header[DROPPED] = ((header[DROPPED] ?? 0) + 1) | 0;
      cells[METRIC.telemetryDropped] = (cells[METRIC.telemetryDropped] ?? 0) + 1;
      return -1;
    }
    const slot = (head >>> 0) % RING_RECORDS;
    const at = slot * RECORD_INTS;
    ints[at + RECORD.name] = name | (outcome << 8);
    ints[at + RECORD.request] = 0;
    floats[slot * RECORD_FLOATS + RECORD.startNs] = startNs;
    floats[slot * RECORD_FLOATS + RECORD.endNs] = endNs;
    return at;
  }

  /** After everything of the record: the reader sees a whole one or none. */
  #publish(): void {
    const { header } = this.#views;
    Atomics.store(header, HEAD, ((header[HEAD] ?? 0) + 1) | 0);
  }

  #writeIds(at: number, traceId: string, spanId: string, parentId: string): void {
    const { ints } = this.#views;
    if (traceId !== this.#traceId) {
      this.#traceId = traceId;
      for (let word = 0; word < 4; word += 1) this.#traceWords[word] = wordAt(traceId, word * 8);
    }
    for (let word = 0; word < 4; word += 1) {
      ints[at + RECORD.traceId + word] = this.#traceWords[word] ?? 0;
    }
    ints[at + RECORD.spanId] = spanId === '' ? this.#next() : wordAt(spanId, 0);
    ints[at + RECORD.spanId + 1] = spanId === '' ? this.#next() : wordAt(spanId, 8);
    if (parentId !== this.#parentId) {
      this.#parentId = parentId;
      this.#parentWords[0] = parentId === '' ? 0 : wordAt(parentId, 0);
      this.#parentWords[1] = parentId === '' ? 0 : wordAt(parentId, 8);
    }
    ints[at + RECORD.parentId] = this.#parentWords[0] ?? 0;
    ints[at + RECORD.parentId + 1] = this.#parentWords[1] ?? 0;
  }

  #next(): number {
    const state = this.#random;
    let t = state[3] ?? 0;
    const s = state[0] ?? 0;
    state[3] = state[2] ?? 0;
    state[2] = state[1] ?? 0;
    state[1] = s;
    t ^= t << 11;
    t ^= t >>> 8;
    const next = t ^ s ^ (s >>> 19);
    state[0] = next;
    return next;
  }
}

/** Eight hexadecimal digits as a 32-bit integer. */
function wordAt(text: string, from: number): number {
  let word = 0;
  for (let index = from; index < from + 8; index += 1) {
    word = (word << 4) | (DIGITS[text.charCodeAt(index) & 0x7f] ?? 0);
  }
  return word;
}
