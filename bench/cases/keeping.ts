/**
 * Many snapshots of one workspace kept: what that does to taking the next one, to the list, to what
 * retention plans, and what deleting most of them does to snapshots that are taken meanwhile.
 *
 * The C program takes its turns on the same workspace, so it meets the same kept snapshots and the same
 * changes: what btrfs itself charges for them is in the baseline's column. The engine is the one that a
 * daemon has, with retention in the background as it is by default.
 */
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { initWorkspace, openWorkspace, type Workspace } from '../../src/index.ts';
import { type BenchCase, type BenchContext, homeOf, rounds } from '../context.ts';
import { formatNs, formatSpread, type Row, type Series, spreadOf, timeAsync } from '../measure.ts';
import { makePlace, type Place } from '../place.ts';
import { makeFiles } from '../tree.ts';

/** Snapshots that are taken in a row, by us or by the C program, with a change of one file before each. */
const BLOCK = 100;
/** The C program has a block after each of so many of ours, and one at the beginning. */
const BLOCKS_A_TURN = 10;
/** Code is compiled in the first ones: they would make the first hundred look slow. */
const WARM_UP = 40;
/** Deletions of the C program that are made durable together: about as many as ours. */
const BARE_LOT = 8;
/** One of so many stays when retention is told to keep fewer. */
const KEPT_SHARE = 10;

const CREATION_BOUND = 2;
const DELETION_BOUND = 1.5;
const PLAN_MS_MAX = 300;

interface Subject {
  readonly context: BenchContext;
  readonly place: Place;
  readonly workspace: Workspace;
  /** Where the C program's snapshots go. */
  readonly parent: string;
  /** Another file for each block: a leaf of btrfs's tree that is copied again and again grows dear. */
  readonly nextFile: () => string;
  /** Snapshots that are kept at most. */
  readonly kept: number;
}

export const keeping: BenchCase = {
  name: 'keeping',
  needs: 'root',
  async run(context): Promise<readonly Row[]> {
    const kept = context.size === 'quick' ? 1000 : 10_000;
    await using place = await makePlace({ btrfsMiB: 6144 });
    const path = place.makeDirectory(place.btrfs, 'work');
    const parent = place.makeDirectory(place.btrfs, 'bare');
    const paths = makeFiles(path, kept);
    let files = 0;
    const nextFile = (): string => {
      files += 1;
      return paths[(files * 7919) % paths.length] ?? '';
    };
    const { environment } = place;
    await initWorkspace({ path, backend: 'btrfs', environment });
    await using workspace = await openWorkspace({ workspace: path, environment });
    const subject = { context, place, workspace, parent, nextFile, kept };
    const taken = await takeMany(subject);
    const bareDeletion = deleteBare(subject);
    return [
      ...creationRows(kept, taken),
      ...(await planRows(subject)),
      ...(await deletionRows(subject, taken, bareDeletion)),
    ];
  },
};

interface Taken {
  readonly first: Series;
  readonly last: Series;
  readonly bareFirst: Series;
  readonly bareLast: Series;
}

async function takeMany(subject: Subject): Promise<Taken> {
  const { kept, nextFile } = subject;
  await takeBlock(subject, nextFile(), WARM_UP);
  const bare: (readonly number[])[] = [];
  const ours: number[] = [];
  const bareBlock = (): void =>
    void bare.push(takeBare(subject, { count: BLOCK, prefix: `c${bare.length}` }));
  bareBlock();
  for (let block = 1; ours.length < kept; block += 1) {
    ours.push(...(await takeBlock(subject, nextFile(), BLOCK)));
    if (block % BLOCKS_A_TURN === 0) bareBlock();
  }
  return {
    first: { name: 'the first hundred', samplesNs: ours.slice(0, BLOCK) },
    last: { name: 'the last tenth', samplesNs: ours.slice(-kept / KEPT_SHARE) },
    bareFirst: { name: 'C, at first', samplesNs: bare[0] ?? [] },
    bareLast: { name: 'C, at the end', samplesNs: bare.at(-1) ?? [] },
  };
}

function takeBare(
  { context, workspace, parent, nextFile }: Subject,
  { count, prefix }: { readonly count: number; readonly prefix: string },
): readonly number[] {
  const pairs = [{ workspace: workspace.info.path, parent }];
  return context.c.snapshotLoop({ count, touch: nextFile(), prefix, pairs }).samplesNs;
}

/** The same in C: some of its own snapshots go in lots while it takes others. */
function deleteBare(subject: Subject): Series {
  const { context, workspace, parent, nextFile, kept } = subject;
  const count = kept / KEPT_SHARE;
  const prefix = 'doomed';
  takeBare(subject, { count, prefix });
  const call = { lot: BARE_LOT, count, prefix, touch: nextFile(), parent };
  const samplesNs = context.c.deleteBeside({ ...call, workspace: workspace.info.path });
  return { name: `C, in lots of ${BARE_LOT}`, samplesNs };
}

async function takeBlock(subject: Subject, path: string, count: number): Promise<number[]> {
  const samples: number[] = [];
  for (let taken = 0; taken < count; taken += 1) {
    overwrite(join(subject.workspace.info.path, path));
    samples.push(await timeAsync(() => subject.workspace.snapshot()));
  }
  return samples;
}

let changes = 0;

/** The same change as the C program makes. */
function overwrite(file: string): void {
  changes += 1;
  const fd = openSync(file, 'r+');
  writeSync(fd, `change ${changes}\n`);
  closeSync(fd);
}

function creationRows(kept: number, { first, last, bareFirst, bareLast }: Taken): Row[] {
  const growth = spreadOf(last).p99Ns / spreadOf(first).p99Ns;
  const bareGrowth = spreadOf(bareLast).p99Ns / spreadOf(bareFirst).p99Ns;
  const above = spreadOf(last).p50Ns / spreadOf(bareLast).p50Ns;
  const many = kept.toLocaleString('en');
  return [
    {
      what: `creating a snapshot with ${many} of one workspace kept, p99 against the first hundred`,
      ours: `${last.name}: ${formatSpread(spreadOf(last))}`,
      baseline: `${first.name}: ${formatSpread(spreadOf(first))}`,
      result: `${growth.toFixed(2)}x (C: ${bareGrowth.toFixed(2)}x)`,
      reach: { text: `<= ${CREATION_BOUND}x`, isMet: growth <= CREATION_BOUND },
      series: [first, last, bareFirst],
    },
    {
      what: `the same against the bare ioctl on the same workspace, p50`,
      ours: `${last.name}: ${formatSpread(spreadOf(last))}`,
      baseline: `${bareLast.name}: ${formatSpread(spreadOf(bareLast))}`,
      result: `${above.toFixed(2)}x`,
      reach: null,
      series: [bareLast],
    },
  ];
}

/** From here on retention keeps the newest tenth: the engine reads its rules anew each time. */
function keepFew({ place, kept }: Subject): void {
  const ages = { keepWithinMs: 0, hourlyForMs: 0, dailyForMs: 0, weeklyForMs: 0 };
  const retention = { keepLast: kept / KEPT_SHARE, ...ages };
  mkdirSync(homeOf(place), { recursive: true });
  writeFileSync(join(homeOf(place), 'config.json'), JSON.stringify({ retention }));
}

async function planRows(subject: Subject): Promise<Row[]> {
  const { context, workspace, kept } = subject;
  const many = kept.toLocaleString('en');
  const measured = async (what: string, work: () => Promise<unknown>): Promise<Row> => {
    const samplesNs: number[] = [];
    await work();
    for (let round = 0; round < rounds(context, 30); round += 1) {
      samplesNs.push(await timeAsync(work));
    }
    const series = { name: what, samplesNs };
    const { p99Ns } = spreadOf(series);
    return {
      what,
      ours: formatSpread(spreadOf(series)),
      baseline: '',
      result: `p99 ${formatNs(p99Ns)}`,
      reach: { text: `p99 <= ${PLAN_MS_MAX} ms`, isMet: p99Ns <= PLAN_MS_MAX * 1e6 },
      series: [series],
    };
  };
  const log = await measured(`log of all ${many} snapshots, engine open`, async () =>
    workspace.list(),
  );
  const plan = (): Promise<unknown> => workspace.prune({ apply: false });
  const keepsAll = await measured(`prune plan that keeps all ${many}, engine open`, plan);
  keepFew(subject);
  return [log, keepsAll, await measured(`prune plan that keeps a tenth of ${many}`, plan)];
}

async function deletionRows(
  subject: Subject,
  { last, bareLast }: Taken,
  bare: Series,
): Promise<Row[]> {
  const { workspace, nextFile } = subject;
  const samplesNs: number[] = [];
  let isDone = false;
  const there = workspace.list().length;
  const startedNs = process.hrtime.bigint();
  const pruning = workspace.prune().finally(() => {
    isDone = true;
  });
  for (let file = nextFile(); !isDone; ) {
    samplesNs.push(...(await takeBlock(subject, file, 1)));
    if (samplesNs.length % BLOCK === 0) file = nextFile();
  }
  await pruning;
  const seconds = Number(process.hrtime.bigint() - startedNs) / 1e9;
  const count = there + samplesNs.length - workspace.list().length;
  const during = { name: 'while deleting', samplesNs };
  const p99 = (series: Series): number => spreadOf(series).p99Ns;
  const ratio = p99(during) / p99(last);
  const bareRatio = p99(bare) / p99(bareLast);
  const many = count.toLocaleString('en');
  return [
    {
      what: `creating a snapshot while retention deletes ${many} (${seconds.toFixed(1)} s), p99`,
      ours: formatSpread(spreadOf(during)),
      baseline: `before it: ${formatSpread(spreadOf(last))}; ${bare.name}: ${formatSpread(spreadOf(bare))}`,
      result: `${ratio.toFixed(2)}x (C: ${bareRatio.toFixed(2)}x)`,
      reach: { text: `<= ${DELETION_BOUND}x`, isMet: ratio <= DELETION_BOUND },
      series: [during, bare],
    },
  ];
}
