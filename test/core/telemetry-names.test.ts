/** The tables of names: a number leads to the row that its key promises. */
import { describe, expect, test } from 'vitest';
import {
  DURATION_BOUNDS_S,
  METRIC,
  METRICS,
  OUTCOME,
  OUTCOME_NAMES,
  SPAN,
  SPANS,
} from '../../src/core/telemetry-names.ts';
import { NO_TELEMETRY } from '../../src/engine/ports.ts';

describe('the tables of names', () => {
  test.each([
    ['spans', SPAN, SPANS],
    ['metrics', METRIC, METRICS],
    ['outcomes', OUTCOME, OUTCOME_NAMES],
  ])('%s: each row has exactly one key', (_, keys, rows) => {
    expect(Object.values(keys)).toEqual(rows.map((_row, index) => index));
  });

  test('name each number once', () => {
    const names = METRICS.map(({ name, attributes }) => `${name} ${JSON.stringify(attributes)}`);
    expect(new Set(names).size).toBe(names.length);
    expect(new Set(SPANS.map(({ name }) => name)).size).toBe(SPANS.length);
  });

  test('a name has one kind, one unit, one text and one set of attributes', () => {
    for (const metric of METRICS) {
      const alike = METRICS.filter(({ name }) => name === metric.name);
      for (const other of alike) {
        expect(other).toMatchObject({ kind: metric.kind, unit: metric.unit, help: metric.help });
        expect(Object.keys(other.attributes)).toEqual(Object.keys(metric.attributes));
      }
    }
  });

  test('say which row is which, by what the keys and the rows have in common', () => {
    expect(SPANS[SPAN.snapCreate].name).toBe('ghostsnap.btrfs.snap_create');
    expect(SPANS[SPAN.destroyWorkspace].name).toBe('ghostsnap.workspace.destroy');
    expect(METRICS[METRIC.armedUnproven].attributes).toEqual({ result: 'unproven' });
    expect(METRICS[METRIC.queueLarge].attributes).toEqual({ queue: 'large' });
    expect(METRICS[METRIC.poolFree].name).toBe('ghostsnap.pool.free');
    expect(METRICS[METRIC.gcMajor].attributes).toEqual({ 'v8js.gc.type': 'major' });
    expect(METRICS[METRIC.telemetryRestarts].name).toBe('ghostsnap.telemetry.restarts');
  });

  test('bounds of buckets rise, and hold the objectives exactly', () => {
    expect([...DURATION_BOUNDS_S].sort((a, b) => a - b)).toEqual(DURATION_BOUNDS_S);
    expect(DURATION_BOUNDS_S).toContain(0.012);
  });
});

test('NO_TELEMETRY passes a context on as it came', () => {
  expect(NO_TELEMETRY.begin(undefined)).toBeUndefined();
  expect(NO_TELEMETRY.nowNs()).toBe(0);
});
