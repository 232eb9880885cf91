/** What a run of some cases does to the figures of the others: nothing. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readLoadRecords, renderLoadSummary } from '../../bench/load/load-records.ts';
import { type CaseRecord, mergeRecords, readRecords } from '../../bench/record.ts';
import { renderDocument } from '../../bench/report.ts';

const DOCS = `${import.meta.dirname}/../../docs`;

function record(name: string, result: string, at = '2026-01-02T03:04:05.000Z'): CaseRecord {
  const row = { what: `${name} row`, ours: '', baseline: '', result, reach: null };
  const command = `npm run bench -- --only ${name}`;
  return { name, at, command, machine: 'one', loadBefore: 0.5, rows: [row] };
}

describe('the figures that are kept', () => {
  it('are replaced by what was measured anew, and kept where nothing was', () => {
    const kept = [record('a', '1x'), record('b', '2x')];
    const again = record('b', '3x', '2026-02-03T04:05:06.000Z');
    expect(mergeRecords(kept, [again], ['a', 'b', 'c'])).toEqual([kept[0], again]);
    expect(mergeRecords([], [again], ['a', 'b', 'c'])).toEqual([again]);
  });

  it('stand in the order of the cases, without those of cases that are gone', () => {
    const merged = mergeRecords(
      [record('gone', '1x'), record('b', '1x')],
      [record('a', '1x')],
      [...['a', 'b']],
    );
    expect(merged.map(({ name }) => name)).toEqual(['a', 'b']);
  });

  it('each say when, under which load and by which command', () => {
    const text = renderDocument(
      [record('a', '1x'), record('b', '2x', '2026-02-03T04:05:06.000Z')],
      '| run |',
    );
    expect(text).toContain('| a row |  |  | 1x | reported |  | 2026-01-02 | 0.5 |');
    expect(text).toContain('| b row |  |  | 2x | reported |  | 2026-02-03 | 0.5 |');
    expect(text).toContain('| b | 2026-02-03T04:05 | `npm run bench -- --only b` |');
  });

  it('are what the document shows', () => {
    const document = readFileSync(`${DOCS}/benchmarks.md`, 'utf8');
    const load = renderLoadSummary(readLoadRecords(DOCS));
    expect(document).toBe(renderDocument(readRecords(`${DOCS}/benchmarks.json`), load));
  });
});
