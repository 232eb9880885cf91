/**
 * What is left of very many snapshots in one engine: `npm run prove -- leaks`.
 *
 * One engine takes snapshot after snapshot and prunes behind itself. Descriptors, mounts and loop devices
 * at the end are those of the beginning, and memory has not grown. One op is one snapshot.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { initWorkspace } from '../../src/daemon/init-workspace.ts';
import { openWorkspace } from '../../src/daemon/open-workspace.ts';
import type { Workspace } from '../../src/engine/workspace-api.ts';
import { makeLoopImage } from '../platform/loop-image.ts';
import type { Spending } from './effort.ts';
import type { Prover } from './prover.ts';

/** Snapshots before the first look: caches fill, code is compiled. */
const WARM_UP = 300;
const KEPT = 50;
/** Old snapshots are deleted in batches of this many. Below 32, where the product prunes by itself. */
const BATCH = 20;
/** Pages that the allocator keeps come and go; a leak of 1 KiB a snapshot is beyond this in long runs. */
const GROWTH_MIB_MAX = 48;

interface Held {
  readonly descriptors: number;
  readonly mounts: number;
  readonly loops: number;
  readonly residentMiB: number;
}

export const leaks: Prover = {
  name: 'leaks',
  about: 'takes very many snapshots in one engine and counts what it still holds',
  async run(options) {
    const effort = options.effort({
      bounded: { ops: 2000, minutes: 4 },
      long: { ops: 100_000, minutes: 240 },
    });
    await using image = await makeLoopImage({ fs: 'btrfs', sizeMiB: 2048 });
    const failures: string[] = [];
    const notes: string[] = [];
    for (const [index, backend] of (['btrfs', 'store'] as const).entries()) {
      const share = effort.slice(2 - index);
      const path = join(image.mountPath, backend, 'work');
      mkdirSync(path, { recursive: true });
      for (let i = 0; i < 100; i += 1) writeFileSync(join(path, `f${i}`), `${i}`);
      const env = { GHOSTSNAP_HOME: join(image.mountPath, backend, 'home'), PATH: '' };
      const environment = { env, cwd: '/', homeDir: image.mountPath, uid: 0 };
      await initWorkspace({ path, environment, backend });
      await using workspace = await openWorkspace({ workspace: path, environment, watch: 'on' });
      const { before, after } = await measure({ workspace, path, effort: share });
      notes.push(`${backend}: ${JSON.stringify(before)} became ${JSON.stringify(after)}`);
      failures.push(...compare(before, after).map((what) => `${backend}: ${what}`));
    }
    return { counts: { snapshots: effort.done }, failures, notes };
  },
};

interface Run {
  readonly workspace: Workspace;
  readonly path: string;
  readonly effort: Spending;
}

async function measure(run: Run): Promise<{ before: Held; after: Held }> {
  const { workspace, path, effort } = run;
  const ids: string[] = [];
  let before: Held | null = null;
  for (let taken = 0; !effort.isSpent; taken += 1) {
    if (taken === WARM_UP) before = held(path);
    if (taken % 4 === 0) writeFileSync(join(path, `f${taken % 100}`), `${taken}`);
    ids.push((await workspace.snapshot()).id);
    effort.done += 1;
    // A small snapshot of a store is made without a turn of the event loop: no signal would be heard.
    if (taken % BATCH === 0) await nextTurn();
    if (ids.length >= KEPT + BATCH) await workspace.prune({ specs: ids.splice(0, BATCH) });
  }
  return { before: before ?? held(path), after: held(path) };
}

function compare(before: Held, after: Held): string[] {
  const wrong: string[] = [];
  for (const key of ['descriptors', 'mounts', 'loops'] as const) {
    if (after[key] !== before[key]) wrong.push(`${before[key]} ${key} became ${after[key]}`);
  }
  const grownMiB = after.residentMiB - before.residentMiB;
  if (grownMiB > GROWTH_MIB_MAX) wrong.push(`memory grew by ${grownMiB} MiB`);
  return wrong;
}

function held(path: string): Held {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  const base = path.slice(0, path.indexOf('/mnt/'));
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  const loops = execFileSync('losetup', ['--noheadings', '--output', 'BACK-FILE'], {
    encoding: 'utf8',
  }).split('\n');
  return {
    descriptors: readdirSync('/proc/self/fd').length,
    // Of this run alone: others may be at work on the machine.
    mounts: mounts.filter((line) => line.includes(base)).length,
    loops: loops.filter((line) => line.includes(base)).length,
    residentMiB: Math.round(process.memoryUsage.rss() / 2 ** 20),
  };
}
