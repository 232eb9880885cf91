/**
 * What was measured last, case by case: docs/benchmarks.json, from which docs/benchmarks.md is written.
 *
 * A run replaces the rows of the cases it has measured and keeps all others, so that one case can be
 * measured again without hours for the rest. Each case says when, under which load, on which machine and
 * by which command; raw samples of each run are in `.bench/`, and are never replaced.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { Row } from './measure.ts';

/** A row as it is kept: without its samples. */
export type KeptRow = Omit<Row, 'series'>;

export interface CaseRecord {
  readonly name: string;
  /** ISO date. */
  readonly at: string;
  readonly command: string;
  readonly machine: string;
  /** Processes that wanted to run, on average over the minute before the case began. */
  readonly loadBefore: number;
  readonly rows: readonly KeptRow[];
}

/** [] when there is none yet. */
export function readRecords(file: string): readonly CaseRecord[] {
  if (!existsSync(file)) return [];
  return JSON.parse(readFileSync(file, 'utf8')) as readonly CaseRecord[];
}

/** @param order names of all cases; a case that is not among them does not exist any more, and goes */
export function mergeRecords(
  kept: readonly CaseRecord[],
  measured: readonly CaseRecord[],
  order: readonly string[],
): readonly CaseRecord[] {
  const byName = new Map([...kept, ...measured].map((record) => [record.name, record]));
  return order.flatMap((name) => byName.get(name) ?? []);
}

export function writeRecords(file: string, records: readonly CaseRecord[]): void {
  writeFileSync(file, `${JSON.stringify(records, null, 2)}\n`);
}

export function withoutSamples({ series: _samples, ...row }: Row): KeptRow {
  return row;
}
