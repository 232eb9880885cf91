/** A lane: what one side says is what the other reads, in bounded memory, and losses are counted. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  DURATION_BOUNDS_S,
  METRIC,
  OUTCOME,
  OUTCOME_NAMES,
  SPAN,
  SPANS,
  STATUS_CODES,
} from '../../src/core/telemetry-names.ts';
import { newTrace } from '../../src/core/trace-context.ts';
import {
  BUCKETS,
  createLane,
  HEAD,
  laneViews,
  RING_RECORDS,
  routeCells,
  spanCells,
  TAIL,
} from '../../src/telemetry/lane-layout.ts';
import { LaneReader, sumCells } from '../../src/telemetry/lane-reader.ts';
import { LaneWriter } from '../../src/telemetry/lane-writer.ts';

const trace = (sampled: 'yes' | 'no' = 'yes') => newTrace([1, -2, 3, -4, 5, -6], { sampled });

function laneWith(sampleRatio = 1) {
  const lane = createLane();
  return { lane, writer: new LaneWriter({ lane, sampleRatio }), reader: new LaneReader(lane) };
}

describe('spans', () => {
  test('are read as they were said, in their order', () => {
    const { writer, reader } = laneWith();
    const before = Date.now();
    const open = writer.begin(trace());
    const startNs = writer.nowNs();
    writer.span(SPAN.snapCreate, open, startNs, startNs + 1e6, OUTCOME.error);
    writer.end(SPAN.callBegin, open, startNs, OUTCOME.refused);
    const [inner, outer] = reader.take(10);
    expect(inner).toMatchObject({ name: SPAN.snapCreate, outcome: OUTCOME.error, status: 0 });
    expect(inner?.traceId).toBe(trace().traceId);
    expect(inner?.parentId).toBe(open?.spanId);
    expect(inner && inner.endMs - inner.startMs).toBeCloseTo(1, 2);
    expect(outer).toMatchObject({ name: SPAN.callBegin, outcome: OUTCOME.refused });
    expect(outer?.spanId).toBe(open?.spanId);
    expect(outer?.parentId).toBe(trace().spanId);
    expect(outer?.startMs).toBeGreaterThanOrEqual(before - 1);
    expect(reader.take(10)).toEqual([]);
  });

  test('of requests say their route and status, and whose doing a failure is', () => {
    const { writer, reader } = laneWith();
    for (const status of [200, 404, 503]) {
      writer.request(7, status, writer.begin(undefined), writer.nowNs());
    }
    expect(reader.take(10).map(({ route, status, outcome }) => [route, status, outcome])).toEqual([
      [7, 200, OUTCOME.ok],
      [7, 404, OUTCOME.refused],
      [7, 503, OUTCOME.error],
    ]);
  });

  test('of a trace that nobody records are not written, and their context goes on as it came', () => {
    const { writer, reader } = laneWith(0);
    const unsampled = trace('no');
    expect(writer.begin(unsampled)).toBe(unsampled);
    expect(writer.begin(undefined)).toBeUndefined();
    writer.end(SPAN.callBegin, unsampled, writer.nowNs(), OUTCOME.ok);
    writer.span(SPAN.rollback, undefined, 0, 5e6, OUTCOME.ok);
    expect(reader.waiting).toBe(0);
    expect(reader.cells[spanCells(SPAN.rollback, OUTCOME.ok) + BUCKETS]).toBeCloseTo(0.005);
  });

  test('that find no room are counted; their durations count, and the room comes back', () => {
    const { writer, reader } = laneWith();
    const open = writer.begin(trace());
    for (let n = 0; n < RING_RECORDS + 3; n += 1) {
      writer.span(SPAN.catalogCommit, open, 0, n, OUTCOME.ok);
    }
    expect(reader.cells[METRIC.telemetryDropped]).toBe(3);
    expect(reader.cells[spanCells(SPAN.catalogCommit, OUTCOME.ok)]).toBe(RING_RECORDS + 3);
    expect(reader.take(2)).toHaveLength(2);
    writer.span(SPAN.rollback, open, 0, 1, OUTCOME.ok);
    writer.span(SPAN.rollback, open, 0, 1, OUTCOME.ok);
    expect(reader.cells[METRIC.telemetryDropped]).toBe(3);
    expect(reader.take(RING_RECORDS * 2)).toHaveLength(RING_RECORDS);
  });

  test('come in the order of a queue, whatever the turns and where its counters stand', () => {
    const step = fc.record({ write: fc.nat(700), read: fc.nat(900) });
    const counter = fc.constantFrom(0, 2 ** 31 - 500, -500, -(2 ** 31));
    fc.assert(
      fc.property(counter, fc.array(step, { maxLength: 40 }), (from, steps) => {
        const { lane, writer, reader } = laneWith();
        const { header } = laneViews(lane);
        header[HEAD] = from;
        header[TAIL] = from;
        const expected: number[] = [];
        let said = 0;
        for (const { write, read } of steps) {
          for (let n = 0; n < write; n += 1) {
            said += 1;
            if (expected.length < RING_RECORDS) expected.push(said);
            writer.span(SPAN.rollback, trace(), said * 1e6, said * 1e6, OUTCOME.ok);
          }
          const epoch = Date.now() - performance.now();
          const taken = reader.take(read).map(({ startMs }) => Math.round((startMs - epoch) / 1));
          expect(taken.map((ms) => ms)).toHaveLength(Math.min(read, expected.length));
          const wanted = expected.splice(0, read);
          // The epoch is set when the writer is made; a clock step between is no matter here.
          taken.forEach((ms, index) => {
            expect(Math.abs(ms - (wanted[index] ?? 0))).toBeLessThan(50);
          });
        }
      }),
      { numRuns: 25 },
    );
  });
});

describe('durations', () => {
  test('fall into the bucket that holds them, at its bounds as well', () => {
    const duration = fc.oneof(
      fc.constantFrom(...DURATION_BOUNDS_S.map((bound) => bound * 1e9)),
      fc.double({ min: 0, max: 2e10, noNaN: true }),
    );
    fc.assert(
      fc.property(duration, fc.nat(SPANS.length - 1), (ns, name) => {
        const { writer, reader } = laneWith();
        writer.span(name as 0, undefined, 0, ns, OUTCOME.ok);
        const at = spanCells(name, OUTCOME.ok);
        const bucket = [...reader.cells.subarray(at, at + BUCKETS)].indexOf(1);
        const upper = DURATION_BOUNDS_S[bucket] ?? Number.POSITIVE_INFINITY;
        const lower = DURATION_BOUNDS_S[bucket - 1] ?? -1;
        expect(ns / 1e9).toBeLessThanOrEqual(upper * (1 + 1e-12));
        expect(ns / 1e9).toBeGreaterThan(lower * (1 - 1e-12));
      }),
    );
  });

  test('of every span, outcome, route and status have cells of their own', () => {
    const { writer, reader } = laneWith(0);
    const firsts = new Set<number>();
    for (const [span] of SPANS.entries()) {
      for (const [outcome] of OUTCOME_NAMES.entries()) firsts.add(spanCells(span, outcome));
    }
    for (let route = 0; route < 64; route += 1) {
      for (const [status] of STATUS_CODES.entries()) firsts.add(routeCells(route, status));
    }
    expect(firsts.size).toBe(SPANS.length * OUTCOME_NAMES.length + 64 * STATUS_CODES.length);
    expect(Math.max(...firsts) + BUCKETS).toBe(reader.cells.length - 1);
    // A status and a route beyond the tables count with their like, never elsewhere.
    writer.request(1000, 599, undefined, writer.nowNs());
    const at = routeCells(63, STATUS_CODES.indexOf(500));
    expect(reader.cells.subarray(at, at + BUCKETS).reduce((sum, n) => sum + n, 0)).toBe(1);
  });
});

test('counters add up over lanes, and gauges are what was last said', () => {
  const one = laneWith();
  const two = laneWith();
  one.writer.count(METRIC.events, 2);
  one.writer.count(METRIC.events, 3);
  two.writer.count(METRIC.events, 10);
  one.writer.gauge(METRIC.poolFree, 7);
  one.writer.gauge(METRIC.poolFree, 5);
  const sum = sumCells([one.reader, two.reader]);
  expect(sum[METRIC.events]).toBe(15);
  expect(sum[METRIC.poolFree]).toBe(5);
});

test('traces that begin here are recorded in the share that was asked for', () => {
  const { writer } = laneWith(0.25);
  const begun = Array.from({ length: 8000 }, () => writer.begin(undefined));
  const share = begun.filter((open) => open !== undefined).length / begun.length;
  expect(share).toBeGreaterThan(0.2);
  expect(share).toBeLessThan(0.3);
  const ids = new Set(begun.flatMap((open) => (open === undefined ? [] : [open.traceId])));
  expect(ids.size).toBe(begun.filter((open) => open !== undefined).length);
});
