/**
 * Going back: after `rm -rf` of everything (by swap and in place), and after ten changes (in place, as
 * root and as a plain user).
 */
import { execFileSync } from 'node:child_process';
import { chownSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { initWorkspace, openWorkspace } from '../../src/index.ts';
import { type BenchCase, largeTree, rounds, runChild } from '../context.ts';
import {
  formatNs,
  formatSpread,
  type Row,
  ratioRow,
  spreadOf,
  timeAsync,
  timeSync,
} from '../measure.ts';
import { makePlace, type Place } from '../place.ts';
import { editFile, makeFiles, wipe } from '../tree.ts';

const PLAIN_UID = 65_534;
const CHANGES = 10;
const FEW_CHANGES_MS_MAX = 20;

export const rollbackWipe: BenchCase = {
  name: 'rollback-wipe',
  needs: 'root',
  async run(context): Promise<readonly Row[]> {
    await using place = await makePlace({ btrfsMiB: 6144 });
    const { environment } = place;
    const count = largeTree(context);
    const workspace = place.makeDirectory(place.btrfs, 'work');
    const bare = place.makeDirectory(place.btrfs, 'bare');
    makeFiles(workspace, count);
    await initWorkspace({ path: workspace, backend: 'btrfs', environment });
    // The C program works on a subvolume of its own: our workspace refuses a tree it did not put there.
    const theirs = join(place.btrfs, 'theirs');
    const target = join(place.btrfs, 'target');
    execFileSync('btrfs', ['subvolume', 'snapshot', workspace, theirs], { stdio: 'ignore' });
    execFileSync('btrfs', ['subvolume', 'snapshot', '-r', workspace, target], { stdio: 'ignore' });
    await using opened = await openWorkspace({ workspace, environment });
    const { id } = await opened.snapshot();
    const swapNs: number[] = [];
    const inPlaceNs: number[] = [];
    const bareNs: number[] = [];
    const copyNs: number[] = [];
    const syncedNs: number[] = [];
    for (let round = 0; round < rounds(context, 5); round += 1) {
      wipe(theirs);
      bareNs.push(context.c.swap({ target, parent: bare, name: `s${round}`, workspace: theirs }));
      wipe(workspace);
      swapNs.push(await timeAsync(() => opened.rollback(id, { mode: 'swap' })));
      wipe(workspace);
      inPlaceNs.push(await timeAsync(() => opened.rollback(id, { mode: 'in-place' })));
      const copy = join(place.btrfs, `copy${round}`);
      mkdirSync(copy);
      const copiedNs = timeSync(() =>
        execFileSync('cp', ['-a', '--reflink=always', `${target}/.`, copy]),
      );
      copyNs.push(copiedNs);
      syncedNs.push(copiedNs + timeSync(() => execFileSync('sync', ['-f', copy])));
      rmSync(copy, { recursive: true });
    }
    const files = count.toLocaleString('en');
    return [
      ratioRow({
        what: `rollback by swap after rm -rf of ${files} files`,
        ours: { name: 'rollback', samplesNs: swapNs },
        baseline: { name: 'bare snapshot + exchange', samplesNs: bareNs },
        judge: 'at most',
        bound: 2,
      }),
      ratioRow({
        what: `rollback in place after rm -rf of ${files} files`,
        ours: { name: 'rollback', samplesNs: inPlaceNs },
        baseline: { name: 'cp -a --reflink', samplesNs: copyNs },
        judge: 'at most',
        bound: 1.3,
      }),
      ratioRow({
        what: 'the same against a copy that is as durable',
        ours: { name: 'rollback', samplesNs: inPlaceNs },
        baseline: { name: 'cp -a --reflink and sync', samplesNs: syncedNs },
        judge: 'at most',
        bound: null,
      }),
    ];
  },
};

interface FewResult {
  readonly samplesNs: readonly number[];
}

export const rollbackFew: BenchCase = {
  name: 'rollback-few',
  needs: 'root',
  async run(context): Promise<readonly Row[]> {
    await using place = await makePlace({ btrfsMiB: 6144 });
    const { environment } = place;
    const count = largeTree(context);
    const workspace = place.makeDirectory(place.btrfs, 'work');
    const paths = makeFiles(workspace, count);
    await initWorkspace({ path: workspace, backend: 'btrfs', environment });
    const bare = bareTrees(place, workspace);
    await using opened = await openWorkspace({ workspace, environment });
    const { id } = await opened.snapshot();
    const rootNs: number[] = [];
    const bareNs: number[][] = [];
    for (let round = 0; round < rounds(context, 15); round += 1) {
      const chosen = chosenPaths(paths, round);
      for (const path of chosen) editFile(bare.workspace, path);
      bareNs.push(context.c.rollbackFew({ ...bare, name: `s${round}`, paths: chosen }));
      for (const path of chosen) editFile(workspace, path);
      rootNs.push(await timeAsync(() => opened.rollback(id, { mode: 'in-place' })));
    }
    return [...rootRows(rootNs, bareNs, count), await plainUserRow(place.btrfs, count, context)];
  },
};

function chosenPaths(paths: readonly string[], round: number): string[] {
  return Array.from(
    { length: CHANGES },
    (_, i) => paths[((round * CHANGES + i) * 104_729) % paths.length] ?? '',
  );
}

/** Trees for the C program: our workspace refuses a tree that it did not put there. */
function bareTrees(
  place: Place,
  workspace: string,
): { readonly workspace: string; readonly target: string; readonly parent: string } {
  const theirs = join(place.btrfs, 'theirs');
  const target = join(place.btrfs, 'target');
  execFileSync('btrfs', ['subvolume', 'snapshot', workspace, theirs], { stdio: 'ignore' });
  execFileSync('btrfs', ['subvolume', 'snapshot', '-r', theirs, target], { stdio: 'ignore' });
  return { workspace: theirs, target, parent: place.makeDirectory(place.btrfs, 'bare') };
}

const STEPS = ['snapshot', 'send', 'files', 'flush'];

function rootRows(rootNs: number[], bareNs: readonly number[][], count: number): Row[] {
  const own = { name: 'rollback', samplesNs: rootNs };
  const stepOf = (at: number): number[] => bareNs.map((samples) => samples[at] ?? 0);
  const bare = { name: 'the same steps in C', samplesNs: stepOf(0) };
  const steps = STEPS.map((name, i) => ({ name: `C: ${name}`, samplesNs: stepOf(i + 1) }));
  const p50Ms = spreadOf(own).p50Ns / 1e6;
  const what = `rollback in place of ${CHANGES} changes among ${count.toLocaleString('en')} files`;
  const parts = steps.map((step) => `${step.name.slice(3)} ${formatNs(spreadOf(step).p50Ns)}`);
  return [
    {
      what: `${what}, as root`,
      ours: formatSpread(spreadOf(own)),
      baseline: `${bare.name}: ${parts.join(', ')}`,
      result: `${p50Ms.toFixed(1)} ms`,
      reach: { text: `<= ${FEW_CHANGES_MS_MAX} ms`, isMet: p50Ms <= FEW_CHANGES_MS_MAX },
      series: [own, ...steps],
    },
    ratioRow({
      what: `${what}, as root, against the same steps in C`,
      ours: own,
      baseline: bare,
      judge: 'at most',
      bound: null,
    }),
  ];
}

/** The same by a user without any privilege, in a process of that user. */
async function plainUserRow(
  btrfs: string,
  count: number,
  context: Parameters<BenchCase['run']>[0],
): Promise<Row> {
  const base = join(btrfs, 'plain');
  mkdirSync(base);
  chownSync(base, PLAIN_UID, PLAIN_UID);
  const result = runChild<FewResult>(
    'rollback-few',
    { base, count, changes: CHANGES, rounds: rounds(context, 9) },
    { uid: PLAIN_UID, env: { GHOSTSNAP_HOME: join(base, 'home'), HOME: base } },
  );
  const walkNs = context.c.statWalk(join(base, 'work'), rounds(context, 9));
  return ratioRow({
    what: `rollback in place of ${CHANGES} changes among ${count.toLocaleString('en')} files, unprivileged`,
    ours: { name: 'rollback', samplesNs: result.samplesNs },
    baseline: { name: 'bare stat walk', samplesNs: walkNs },
    judge: 'at most',
    bound: 1.3,
  });
}
