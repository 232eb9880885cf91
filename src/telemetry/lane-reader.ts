/**
 * The other side of a lane: takes spans out of its ring, and sums the cells of several lanes.
 *
 * One reader at a time. It may die between two records: what it had taken is lost with it, and the next
 * reader goes on with what it had not.
 */
import { spanIdOf } from '../core/trace-context.ts';
import {
  EPOCH_MS,
  HEAD,
  type LaneViews,
  laneViews,
  RECORD,
  RECORD_FLOATS,
  RECORD_INTS,
  RING_RECORDS,
  TAIL,
} from './lane-layout.ts';

export interface ReadSpan {
  readonly name: number;
  readonly outcome: number;
  readonly route: number;
  /** 0: no request. */
  readonly status: number;
  readonly traceId: string;
  readonly spanId: string;
  /** '': the first of its trace. */
  readonly parentId: string;
  /** Wall clock, milliseconds since the epoch. */
  readonly startMs: number;
  readonly endMs: number;
}

export class LaneReader {
  readonly #views: LaneViews;

  constructor(lane: SharedArrayBuffer) {
    this.#views = laneViews(lane);
  }

  get cells(): Float64Array<SharedArrayBuffer> {
    return this.#views.cells;
  }

  /** Spans that wait. */
  get waiting(): number {
    const { header } = this.#views;
    return (Atomics.load(header, HEAD) - Atomics.load(header, TAIL)) | 0;
  }

  /** Takes at most `limit` spans, oldest first. Their room is free on return. */
  take(limit: number): ReadSpan[] {
    const { header, clock } = this.#views;
    const count = Math.min(limit, this.waiting);
    const tail = Atomics.load(header, TAIL);
    const epochMs = clock[EPOCH_MS] ?? 0;
    const spans: ReadSpan[] = [];
    for (let index = 0; index < count; index += 1) {
      spans.push(this.#spanAt(((tail + index) >>> 0) % RING_RECORDS, epochMs));
    }
    Atomics.store(header, TAIL, (tail + count) | 0);
    return spans;
  }

  /** Frees what waits without looking at it: nobody wants spans. */
  discard(): void {
    const { header } = this.#views;
    Atomics.store(header, TAIL, Atomics.load(header, HEAD));
  }

  #spanAt(slot: number, epochMs: number): ReadSpan {
    const { ints, floats } = this.#views;
    const at = slot * RECORD_INTS;
    const int = (index: number): number => ints[at + index] ?? 0;
    const float = (index: number): number => floats[slot * RECORD_FLOATS + index] ?? 0;
    const high = int(RECORD.parentId);
    const low = int(RECORD.parentId + 1);
    return {
      name: int(RECORD.name) & 0xff,
      outcome: (int(RECORD.name) >>> 8) & 0xff,
      route: int(RECORD.request) >>> 16,
      status: int(RECORD.request) & 0xffff,
      traceId:
        hexPair(int(RECORD.traceId), int(RECORD.traceId + 1)) +
        hexPair(int(RECORD.traceId + 2), int(RECORD.traceId + 3)),
      spanId: spanIdOf(int(RECORD.spanId), int(RECORD.spanId + 1)),
      parentId: high === 0 && low === 0 ? '' : spanIdOf(high, low),
      startMs: epochMs + float(RECORD.startNs) / 1e6,
      endMs: epochMs + float(RECORD.endNs) / 1e6,
    };
  }
}

/** Cell by cell. Each metric has one writer, so that a gauge has one lane in which it is not zero. */
export function sumCells(lanes: readonly LaneReader[]): Float64Array<ArrayBuffer> {
  const [first, ...rest] = lanes;
  const sum = Float64Array.from(first?.cells ?? []);
  for (const { cells } of rest) {
    for (let index = 0; index < sum.length; index += 1) {
      sum[index] = (sum[index] ?? 0) + (cells[index] ?? 0);
    }
  }
  return sum;
}

function hexPair(high: number, low: number): string {
  const word = (value: number): string => (value >>> 0).toString(16).padStart(8, '0');
  return word(high) + word(low);
}
