/**
 * One edit in a large tree, captured: by each backend, by shadow git, by cp and, where it is installed,
 * by restic. All on the same tree, in turns.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { initWorkspace, SnapshotManager } from '../../src/index.ts';
import { type BenchCase, type BenchContext, homeOf, largeTree, rounds } from '../context.ts';
import { type Row, ratioRow, type Series, timeSync } from '../measure.ts';
import { makePlace, type Place } from '../place.ts';
import { makeShadowGit } from '../shadow-git.ts';
import { editFile, makeFiles } from '../tree.ts';

const PROGRAM = join(import.meta.dirname, '..', '..', 'bin', 'ghostsnap.js');

export const oneEditBtrfs: BenchCase = {
  name: 'one-edit-btrfs',
  needs: 'root',
  async run(context): Promise<readonly Row[]> {
    await using place = await makePlace({ btrfsMiB: 6144 });
    const prepared = await prepare(context, place, 'btrfs');
    const { workspace, git, paths, files } = prepared;
    const manager = new SnapshotManager({ workspace, environment: place.environment });
    // Closed through the asynchronous side, which also waits for what the backend still does.
    await using _closing = manager.workspace;
    const ours: number[] = [];
    const bare: number[] = [];
    const theirs: number[] = [];
    const copies: number[] = [];
    const copy = join(place.btrfs, 'copy');
    const parent = place.makeDirectory(place.btrfs, 'bare');
    const gitEdit = (path: string): void => {
      editFile(workspace, path);
      theirs.push(timeSync(() => void git.capture()));
      settle();
    };
    for (let round = 0; round < rounds(context, 12); round += 1) {
      gitEdit(pathOf(paths, round + 500));
      editFile(workspace, pathOf(paths, round));
      ours.push(timeSync(() => void manager.createSnapshot()));
      gitEdit(pathOf(paths, round + 700));
      const touch = pathOf(paths, round + 200);
      const pairs = [{ workspace, parent }];
      bare.push(
        ...context.c.snapshotLoop({ count: 1, touch, prefix: `c${round}`, pairs }).samplesNs,
      );
      if (round > 1) continue;
      copies.push(timeSync(() => execFileSync('cp', ['-a', '--reflink=always', workspace, copy])));
      rmSync(copy, { recursive: true });
    }
    const own: Series = { name: 'createSnapshot', samplesNs: ours };
    return [
      ratioRow({
        what: `${files} files, one edit, btrfs against shadow git`,
        ours: own,
        baseline: { name: 'shadow git', samplesNs: theirs },
        judge: 'times faster',
        bound: 37,
      }),
      ratioRow({
        what: `the same by the bare ioctl in C, against shadow git`,
        ours: { name: 'bare ioctl', samplesNs: bare },
        baseline: { name: 'shadow git', samplesNs: theirs },
        judge: 'times faster',
        bound: null,
      }),
      ratioRow({
        what: `${files} files, one edit, btrfs against cp -a --reflink`,
        ours: own,
        baseline: { name: 'cp -a --reflink', samplesNs: copies },
        judge: 'times faster',
        bound: null,
      }),
    ];
  },
};

export const oneEditStore: BenchCase = {
  name: 'one-edit-store',
  needs: 'nothing',
  async run(context): Promise<readonly Row[]> {
    await using place = await makePlace({ btrfsMiB: 0 });
    const { workspace, git, paths, files } = await prepare(context, place, 'store');
    const open: number[] = [];
    const cold: number[] = [];
    const theirs: number[] = [];
    const restic = prepareRestic(place, workspace);
    const resticNs: number[] = [];
    const environment = place.environment;
    for (let round = 0; round < rounds(context, 8); round += 1) {
      editFile(workspace, pathOf(paths, round + 300));
      theirs.push(timeSync(() => void git.capture()));
      settle();
      editFile(workspace, pathOf(paths, round + 600));
      const command = [process.execPath, PROGRAM, 'snap', '-w', workspace];
      const env = { GHOSTSNAP_HOME: homeOf(place) };
      cold.push(context.c.measure(command, { env }).wallNs);
      if (restic === null || round > 2) continue;
      resticNs.push(timeSync(restic));
    }
    {
      // Kept for last: the watching engine would hear, and pay for, the others' edits.
      const manager = new SnapshotManager({ workspace, environment, watch: 'on' });
      // Closed through the asynchronous side, which also waits for what the backend still does.
      await using _closing = manager.workspace;
      manager.createSnapshot();
      for (let round = 0; round < rounds(context, 20); round += 1) {
        editFile(workspace, pathOf(paths, round));
        open.push(timeSync(() => void manager.createSnapshot()));
      }
    }
    const baseline = { name: 'shadow git', samplesNs: theirs };
    const coldSeries = { name: 'ghostsnap snap', samplesNs: cold };
    const rows = [
      ratioRow({
        what: `${files} files, one edit, store with the engine open, against shadow git`,
        ours: { name: 'createSnapshot', samplesNs: open },
        baseline,
        judge: 'times faster',
        bound: 5,
      }),
      ratioRow({
        what: `${files} files, one edit, store as a cold process, against shadow git`,
        ours: coldSeries,
        baseline,
        judge: 'times faster',
        bound: 1.5,
      }),
    ];
    if (resticNs.length === 0) return rows;
    const other = { name: 'restic', samplesNs: resticNs };
    const what = `${files} files, one edit, store as a cold process, against restic`;
    return [
      ...rows,
      ratioRow({ what, ours: coldSeries, baseline: other, judge: 'times faster', bound: null }),
    ];
  },
};

/** What one side has written and not synced is no part of what the other costs. */
function settle(): void {
  execFileSync('sync');
}

interface Prepared {
  readonly workspace: string;
  readonly paths: readonly string[];
  readonly files: string;
  readonly git: ReturnType<typeof makeShadowGit>;
}

/** A workspace with its baseline, and a shadow git that has seen everything once. */
async function prepare(
  context: BenchContext,
  place: Place,
  backend: 'btrfs' | 'store',
): Promise<Prepared> {
  const count = largeTree(context);
  const base = backend === 'btrfs' ? place.btrfs : place.plain;
  const workspace = place.makeDirectory(base, 'work');
  const paths = makeFiles(workspace, count);
  await initWorkspace({ path: workspace, backend, environment: place.environment });
  const git = makeShadowGit(join(place.plain, 'shadow.git'), workspace);
  git.capture();
  return { workspace, paths, files: count.toLocaleString('en'), git };
}

function pathOf(paths: readonly string[], index: number): string {
  return paths[(index * 104_729) % paths.length] ?? '';
}

/** null: restic is not installed. */
function prepareRestic(place: Place, workspace: string): (() => void) | null {
  if (!existsSync('/usr/bin/restic')) return null;
  const env = {
    ...process.env,
    RESTIC_PASSWORD: 'bench',
    RESTIC_REPOSITORY: join(place.plain, 'restic'),
  };
  execFileSync('restic', ['init', '-q'], { env, stdio: 'ignore' });
  const backup = (): void => {
    execFileSync('restic', ['backup', '-q', workspace], { env, stdio: 'ignore' });
  };
  backup();
  return backup;
}
