/**
 * `npm run bench`: measures, prints one table, writes docs/benchmarks.md and the raw samples.
 *
 * Options: `--quick` (small trees, minutes; the document is left alone), `--full` (a million files as
 * well), `--only NAME` (one case; the document keeps the rows of the others). Nothing here fails when a
 * number is bad: a measurement is read by people, a slow machine is not a defect.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { compilePrograms } from './c-programs.ts';
import { arming } from './cases/arming.ts';
import { concurrent } from './cases/concurrent.ts';
import { curve } from './cases/curve.ts';
import { door } from './cases/door.ts';
import { flood } from './cases/flood.ts';
import { hookWays } from './cases/hook-ways.ts';
import { judgeCall } from './cases/judge-call.ts';
import { keeping } from './cases/keeping.ts';
import { oneEditBtrfs, oneEditStore } from './cases/one-edit.ts';
import { allocation, engineMemory, startUp } from './cases/process.ts';
import { proxyArmed } from './cases/proxy-armed.ts';
import { rollbackFew, rollbackWipe } from './cases/rollback.ts';
import { rollbackPaths } from './cases/rollback-paths.ts';
import { serial } from './cases/serial.ts';
import { storeBaseline, storeRescan, storeRollback } from './cases/store.ts';
import { storm } from './cases/storm.ts';
import { telemetry } from './cases/telemetry.ts';
import { type BenchCase, type BenchContext, stripChildren } from './context.ts';
import { readLoadRecords, renderLoadSummary } from './load/load-records.ts';
import type { Row } from './measure.ts';
import {
  type CaseRecord,
  mergeRecords,
  readRecords,
  withoutSamples,
  writeRecords,
} from './record.ts';
import { currentLoad, describeMachine, renderDocument, renderTable } from './report.ts';

const CASES: readonly BenchCase[] = [
  serial,
  concurrent,
  curve,
  oneEditBtrfs,
  oneEditStore,
  rollbackWipe,
  rollbackFew,
  rollbackPaths,
  keeping,
  arming,
  hookWays,
  proxyArmed,
  door,
  flood,
  storeBaseline,
  storeRescan,
  storeRollback,
  judgeCall,
  telemetry,
  startUp,
  engineMemory,
  allocation,
  storm,
];

const ROOT = join(import.meta.dirname, '..');

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    full: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true, default: [] },
  },
});

const unknown = values.only.filter((name) => !CASES.some((candidate) => candidate.name === name));
if (unknown.length > 0) {
  console.error(`No case ${unknown.join(', ')}. There are: ${CASES.map((c) => c.name).join(' ')}`);
  process.exit(64);
}

const context: BenchContext = {
  c: compilePrograms(join(ROOT, '.bench', 'bin')),
  size: values.quick ? 'quick' : values.full ? 'full' : 'normal',
};
stripChildren();
const at = new Date().toISOString();
const flags = process.argv.slice(2);
const command = flags.length === 0 ? 'npm run bench' : `npm run bench -- ${flags.join(' ')}`;
const machine = describeMachine();
const isRoot = process.getuid?.() === 0;
const rows: Row[] = [];
const leftOut: string[] = [];
const raw = join(ROOT, '.bench', `${at.replaceAll(':', '-')}.json`);

/** After each case: a run takes an hour, and what it has found must not depend on its end. */
function keep(record: CaseRecord): void {
  writeFileSync(raw, `${JSON.stringify({ at, command, machine, rows, leftOut }, null, 1)}\n`);
  if (values.quick) return;
  const file = join(ROOT, 'docs', 'benchmarks.json');
  const order = CASES.map(({ name }) => name);
  const merged = mergeRecords(readRecords(file), [record], order);
  writeRecords(file, merged);
  const load = renderLoadSummary(readLoadRecords(join(ROOT, 'docs')));
  writeFileSync(join(ROOT, 'docs', 'benchmarks.md'), renderDocument(merged, load));
}

for (const { name, needs, run } of CASES) {
  if (values.only.length > 0 && !values.only.includes(name)) continue;
  if (needs === 'root' && !isRoot) {
    leftOut.push(`${name}: needs root to make a btrfs image`);
    continue;
  }
  console.error(`measuring ${name}`);
  try {
    const loadBefore = currentLoad();
    const measured = await run(context);
    rows.push(...measured);
    keep({ name, at, command, machine, loadBefore, rows: measured.map(withoutSamples) });
  } catch (error) {
    // The other cases still count; this one is shown as what it is.
    console.error(error);
    leftOut.push(
      `${name}: failed, ${error instanceof Error ? error.message.split('\n')[0] : error}`,
    );
    process.exitCode = 1;
  }
}

console.log(renderTable(rows));
for (const line of leftOut) console.log(`left out: ${line}`);
