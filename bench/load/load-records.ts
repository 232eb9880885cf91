/**
 * What load runs have measured: docs/load.json, from which the tables of docs/load.md and docs/benchmarks.md are
 * written. `--record NAME` replaces the run of that name and keeps the others.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readRecords } from '../record.ts';
import { renderDocument } from '../report.ts';

export interface LoadRecord {
  /** Heads its column: '10,000', 'limit'. */
  readonly name: string;
  /** ISO date. */
  readonly at: string;
  readonly command: string;
  readonly machine: string;
  /** Processes that wanted to run, on average over the minute before; null: not noted. */
  readonly loadBefore: number | null;
  /** By what they are. */
  readonly rows: Readonly<Record<string, string>>;
}

const BEGIN = '<!-- figures: written from load.json by npm run load -- --record NAME -->';
const END = '<!-- end of the figures -->';

/** [] when there is none yet. */
export function readLoadRecords(docs: string): readonly LoadRecord[] {
  const file = join(docs, 'load.json');
  if (!existsSync(file)) return [];
  return JSON.parse(readFileSync(file, 'utf8')) as readonly LoadRecord[];
}

/** Writes the record and both documents. */
export function keepLoadRecord(docs: string, record: LoadRecord): void {
  const kept = readLoadRecords(docs);
  const isKnown = kept.some(({ name }) => name === record.name);
  const records = isKnown
    ? kept.map((one) => (one.name === record.name ? record : one))
    : [...kept, record];
  writeFileSync(join(docs, 'load.json'), `${JSON.stringify(records, null, 2)}\n`);
  writeLoadDocuments(docs);
}

export function writeLoadDocuments(docs: string): void {
  const records = readLoadRecords(docs);
  const page = join(docs, 'load.md');
  writeFileSync(page, withFigures(readFileSync(page, 'utf8'), records));
  const cases = readRecords(join(docs, 'benchmarks.json'));
  writeFileSync(join(docs, 'benchmarks.md'), renderDocument(cases, renderLoadSummary(records)));
}

/** The page with the figures of these runs in the place of those that it has. */
export function withFigures(page: string, records: readonly LoadRecord[]): string {
  const from = page.indexOf(BEGIN);
  const to = page.indexOf(END);
  if (from < 0 || to < from) throw new Error('docs/load.md has no place for the figures.');
  return `${page.slice(0, from)}${BEGIN}\n${renderFigures(records)}\n${page.slice(to)}`;
}

/** A column a run, a row for whatever one of them has measured. */
export function renderFigures(records: readonly LoadRecord[]): string {
  const whats = [...new Set(records.flatMap(({ rows }) => Object.keys(rows)))];
  const measured = records.map(
    ({ at, loadBefore }) => `${at.slice(0, 16)}, ${loadText(loadBefore)}`,
  );
  const lines = [
    ['run', ...records.map(({ name }) => name)],
    ['---', ...records.map(() => '---')],
    ['measured (UTC), load average before', ...measured],
    ...whats.map((what) => [what, ...records.map(({ rows }) => rows[what] ?? '')]),
  ];
  const commands = records.map(({ name, command }) => `- ${name}: \`${command}\``);
  return `${lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n')}\n\n${commands.join('\n')}`;
}

function loadText(load: number | null): string {
  return load === null ? 'not noted' : load.toFixed(1);
}

/** What the table of the issue asks for, a line a run. */
export const SUMMARY = [
  'sessions, requests a second',
  'begin, all: p50 / p99 / p99.9 / max ms',
  'daemon RSS, of it anonymous, MB',
  'daemon CPU, cores: user + system',
  'generator CPU, cores',
  'errors',
  'lost, doubled, wrong, astray',
  'shadow git afterwards: captures a second',
] as const;

export function renderLoadSummary(records: readonly LoadRecord[]): string {
  const lines = [
    ['run', ...SUMMARY, 'measured', 'load'],
    ['---', ...SUMMARY.map(() => '---'), '---', '---'],
    ...records.map(({ name, at, loadBefore, rows }) => [
      ...[name, ...SUMMARY.map((what) => rows[what] ?? '')],
      ...[at.slice(0, 10), loadText(loadBefore)],
    ]),
  ];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
