/**
 * The store on its own: a first baseline of a real node_modules, looks at trees of several sizes with a
 * warm and a cold page cache, the way back of few and of many, and what it all takes in memory.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { initWorkspace, openWorkspace, SnapshotManager } from '../../src/index.ts';
import { type BenchCase, type BenchContext, homeOf, rounds } from '../context.ts';
import {
  formatNs,
  formatSpread,
  type Row,
  ratioRow,
  type Series,
  spreadOf,
  timeAsync,
  timeSync,
} from '../measure.ts';
import { makePlace, type Place } from '../place.ts';
import { editFile, makeFiles } from '../tree.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const PROGRAM = join(ROOT, 'bin', 'ghostsnap.js');
const STORE_MB_MAX = 250;
const RESTORE_MS_MAX = 30;
const DROP_CACHES = '/proc/sys/vm/drop_caches';

function filesOf(context: BenchContext): readonly number[] {
  if (context.size === 'quick') return [10_000];
  return context.size === 'full'
    ? [25_000, 100_000, 300_000, 1_000_000]
    : [25_000, 100_000, 300_000];
}

function command(place: Place, ...words: readonly string[]): readonly string[] {
  return [process.execPath, PROGRAM, ...words, '-w', join(place.plain, 'work')];
}

export const storeBaseline: BenchCase = {
  name: 'store-baseline',
  needs: 'nothing',
  async run(context): Promise<readonly Row[]> {
    const ours: number[] = [];
    const theirs: number[] = [];
    let sourceKib = 0;
    let storeKib = 0;
    for (let round = 0; round < (context.size === 'quick' ? 1 : 3); round += 1) {
      await using place = await makePlace({ btrfsMiB: 0 });
      const workspace = place.makeDirectory(place.plain, 'work');
      cpSync(join(ROOT, 'node_modules'), join(workspace, 'node_modules'), {
        recursive: true,
        verbatimSymlinks: true,
      });
      await initWorkspace({ path: workspace, backend: 'store', environment: place.environment });
      execFileSync('sync');
      const copy = join(place.plain, 'copy');
      theirs.push(timeSync(() => copyAndSync(workspace, copy)));
      rmSync(copy, { recursive: true });
      execFileSync('sync');
      await using opened = await openWorkspace({ workspace, environment: place.environment });
      ours.push(await timeAsync(() => opened.snapshot()));
      sourceKib = diskKib(workspace);
      storeKib = diskKib(opened.info.poolRoot);
    }
    const row = ratioRow({
      what: "first baseline of this checkout's node_modules in the store",
      ours: { name: 'snapshot', samplesNs: ours },
      baseline: { name: 'cp -a and sync', samplesNs: theirs },
      judge: 'at most',
      bound: 1.3,
    });
    const share = storeKib / sourceKib;
    const mib = (kib: number): string => `${(kib / 1024).toFixed(0)} MiB on disk`;
    return [
      row,
      {
        what: 'the same, size on disk',
        ours: mib(storeKib),
        baseline: `node_modules: ${mib(sourceKib)}`,
        result: `${share.toFixed(2)}x`,
        reach: { text: '< 1x', isMet: share < 1 },
        series: [],
      },
    ];
  },
};

/** A snapshot is durable when it returns; a copy is when it was synced. */
function copyAndSync(from: string, to: string): void {
  execFileSync('cp', ['-a', from, to]);
  execFileSync('sync', ['-f', to]);
}

function diskKib(path: string): number {
  return Number(execFileSync('du', ['-sk', path], { encoding: 'utf8' }).split('\t')[0]);
}

export const storeRescan: BenchCase = {
  name: 'store-rescan',
  needs: 'nothing',
  async run(context): Promise<readonly Row[]> {
    const rows: Row[] = [];
    for (const count of filesOf(context)) rows.push(...(await rescanRows(context, count)));
    return rows;
  },
};

async function rescanRows(context: BenchContext, count: number): Promise<readonly Row[]> {
  await using place = await makePlace({ btrfsMiB: 0 });
  const workspace = place.makeDirectory(place.plain, 'work');
  const paths = makeFiles(workspace, count);
  await initWorkspace({ path: workspace, backend: 'store', environment: place.environment });
  const env = { GHOSTSNAP_HOME: homeOf(place) };
  const files = count.toLocaleString('en');
  const first = context.c.measure(command(place, 'snap'), { env });
  let rssKib = first.rssKib;
  const snap = (): number => {
    editFile(workspace, paths[Math.floor(paths.length / 2)] ?? '');
    const measured = context.c.measure(command(place, 'snap'), { env });
    rssKib = Math.max(rssKib, measured.rssKib);
    return measured.wallNs;
  };
  const warm: number[] = [];
  const walks: number[] = [];
  const cold: number[] = [];
  const coldWalks: number[] = [];
  for (let round = 0; round < rounds(context, 6); round += 1) {
    walks.push(...context.c.statWalk(workspace, 1));
    warm.push(snap());
    if (round > 1 || !dropCaches()) continue;
    coldWalks.push(...context.c.statWalk(workspace, 1));
    dropCaches();
    cold.push(snap());
  }
  const rssMb = (rssKib * 1024) / 1e6;
  const rows = [scanRow('warm', files, warm, walks)];
  if (cold.length > 0) rows.push(scanRow('with a cold page cache', files, cold, coldWalks));
  rows.push({
    what: `largest resident set of a baseline and of rescans, ${files} files, store`,
    ours: `${rssMb.toFixed(0)} MB`,
    baseline: `first snapshot: ${formatNs(first.wallNs)}`,
    result: `${rssMb.toFixed(0)} MB`,
    reach: { text: `<= ${STORE_MB_MAX} MB`, isMet: rssMb <= STORE_MB_MAX },
    series: [],
  });
  return rows;
}

function scanRow(how: string, files: string, ours: number[], walks: number[]): Row {
  return ratioRow({
    what: `rescan of ${files} files, ${how}, store as a whole process`,
    ours: { name: 'ghostsnap snap', samplesNs: ours },
    baseline: { name: 'bare stat walk', samplesNs: walks },
    judge: 'at most',
    bound: null,
  });
}

/** False: only root may. */
function dropCaches(): boolean {
  if (process.getuid?.() !== 0 || !existsSync(DROP_CACHES)) return false;
  execFileSync('sync');
  writeFileSync(DROP_CACHES, '3');
  return true;
}

export const storeRollback: BenchCase = {
  name: 'store-rollback',
  needs: 'nothing',
  async run(context): Promise<readonly Row[]> {
    await using place = await makePlace({ btrfsMiB: 0 });
    const workspace = place.makeDirectory(place.plain, 'work');
    const count = context.size === 'quick' ? 10_000 : 100_000;
    const paths = makeFiles(workspace, count);
    const { environment } = place;
    await initWorkspace({ path: workspace, backend: 'store', environment });
    const rows: Row[] = [];
    let id = '';
    {
      using manager = new SnapshotManager({ workspace, environment });
      id = manager.createSnapshot();
    }
    rows.push(restoreOneRow(context, place, { id, path: paths[7] ?? '' }));
    await using opened = await openWorkspace({ workspace, environment });
    for (const changes of [1, 1000, count]) {
      const samplesNs: number[] = [];
      for (let round = 0; round < (changes > 1000 ? 2 : rounds(context, 5)); round += 1) {
        change(workspace, paths, changes);
        samplesNs.push(await timeAsync(() => opened.rollback(id, { mode: 'in-place' })));
      }
      const own: Series = { name: 'rollback', samplesNs };
      const number = changes.toLocaleString('en');
      rows.push({
        what: `rollback of ${number} changed paths of ${count.toLocaleString('en')}, store`,
        ours: formatSpread(spreadOf(own)),
        baseline: '',
        result: formatNs(spreadOf(own).p50Ns),
        reach: null,
        series: [own],
      });
    }
    return rows;
  },
};

/** All of them: the tree is removed, as `rm -rf` does it. */
function change(workspace: string, paths: readonly string[], changes: number): void {
  if (changes < paths.length) {
    for (const path of paths.slice(0, changes)) editFile(workspace, path);
    return;
  }
  for (const name of readdirSync(workspace)) rmSync(join(workspace, name), { recursive: true });
}

function restoreOneRow(
  context: BenchContext,
  place: Place,
  { id, path }: { readonly id: string; readonly path: string },
): Row {
  const env = { GHOSTSNAP_HOME: homeOf(place) };
  const restores: number[] = [];
  const nodes: number[] = [];
  for (let round = 0; round < rounds(context, 9); round += 1) {
    const to = join(place.plain, `out${round}`);
    const words = ['restore', id, path, '--to', to];
    restores.push(context.c.measure(command(place, ...words), { env }).wallNs);
    nodes.push(context.c.measure([process.execPath, '-e', '0']).wallNs);
  }
  const own: Series = { name: 'ghostsnap restore --to', samplesNs: restores };
  const node: Series = { name: 'node -e 0', samplesNs: nodes };
  const beyondMs = (spreadOf(own).p50Ns - spreadOf(node).p50Ns) / 1e6;
  return {
    what: 'restore of one file to another place, as a whole process',
    ours: formatSpread(spreadOf(own)),
    baseline: `node -e 0: ${formatSpread(spreadOf(node))}`,
    result: `${beyondMs.toFixed(0)} ms beyond it`,
    reach: { text: `<= ${RESTORE_MS_MAX} ms`, isMet: beyondMs <= RESTORE_MS_MAX },
    series: [own, node],
  };
}
