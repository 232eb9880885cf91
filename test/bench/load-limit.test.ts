/** What a load run says of rates: which is tried next, where the limit lies, what gave first; and where it keeps it. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  describeLimit,
  nextFactor,
  type Tried,
  whatGivesFirst,
} from '../../bench/load/find-limit.ts';
import {
  type LoadRecord,
  readLoadRecords,
  renderFigures,
  withFigures,
} from '../../bench/load/load-records.ts';

const DOCS = `${import.meta.dirname}/../../docs`;

function tried(factor: number, p99Ms: number, more: Partial<Tried> = {}): Tried {
  return {
    ...{ factor, requestsPerSecond: 100 * factor, p99Ms, readOnlyP99Ms: 5, refused: 0 },
    ...{ mainCores: 0.2, serviceCores: 0.5, machineCores: 1, loopDelayP99Ms: 1, ...more },
  };
}

describe('the limit', () => {
  it('is looked for upwards while the p99 holds, and is between the last two', () => {
    expect(nextFactor([tried(1, 5)])).toBe(1.5);
    const both = [tried(1, 5), tried(1.5, 20)];
    expect(nextFactor(both)).toBeNull();
    expect(describeLimit(both)).toEqual({
      'highest rate that holds 12 ms': '100 requests a second (begin p99 5.0 ms)',
      'lowest rate that does not': '150 requests a second (begin p99 20.0 ms)',
      'what gives first': expect.stringContaining('the snapshot in the kernel'),
    });
  });

  it('is looked for downwards when the first rate does not hold, or was refused', () => {
    expect(nextFactor([tried(1, 13)])).toBeCloseTo(1 / 1.5);
    expect(nextFactor([tried(1, 5, { refused: 1 })])).toBeCloseTo(1 / 1.5);
    const both = [tried(1.5, 20), tried(1, 13), tried(0.66, 5)];
    expect(nextFactor(both)).toBeNull();
    expect(describeLimit(both)['lowest rate that does not']).toContain('100 requests');
  });

  it('is said not to be known when every rate did the same', () => {
    const never = Array.from({ length: 8 }, (_, at) => tried(1 / 1.5 ** at, 50));
    expect(nextFactor(never)).toBeNull();
    expect(describeLimit(never)['highest rate that holds 12 ms']).toBe('none of those tried');
  });

  it('names what was used up', () => {
    const broken = (more: Partial<Tried>): string => whatGivesFirst(tried(1, 20, more), 2);
    expect(broken({ mainCores: 0.95 })).toMatch(/^the main thread \(/);
    expect(broken({ machineCores: 1.95, serviceCores: 1.5 })).toMatch(/^the processors \(/);
    expect(broken({ machineCores: 1.95 })).toMatch(/^the processors, which others had/);
    expect(broken({ readOnlyP99Ms: 15 })).toMatch(/^waiting behind commits/);
  });
});

function run(name: string, rows: Record<string, string>): LoadRecord {
  const at = '2026-01-02T03:04:05.000Z';
  return { name, at, command: `npm run load -- ${name}`, machine: 'one', loadBefore: 0.5, rows };
}

describe('the figures of load runs', () => {
  it('are a column a run, empty where it has not measured something', () => {
    const text = renderFigures([run('a', { x: '1' }), run('b', { x: '2', y: '3' })]);
    expect(text).toContain('| x | 1 | 2 |\n| y |  | 3 |');
    expect(text).toContain('2026-01-02T03:04, 0.5');
    expect(text).toContain('- b: `npm run load -- b`');
  });

  it('are what the page shows', () => {
    const page = readFileSync(`${DOCS}/load.md`, 'utf8');
    expect(withFigures(page, readLoadRecords(DOCS))).toBe(page);
  });
});
