/**
 * What V8's collector takes in a storm of snapshots, of one workspace and of many at once, in an engine
 * process with Node's own settings.
 *
 * The share is that of the storm's wall clock; of the process's CPU time it is more, as a snapshot mostly
 * waits for the filesystem. Both are shown.
 */
import { initWorkspace } from '../../src/index.ts';
import { type BenchCase, homeOf, rounds, runChild } from '../context.ts';
import type { Row } from '../measure.ts';
import { makePlace } from '../place.ts';
import { makeFiles } from '../tree.ts';

const FILES = 100;
const MANY = 64;
/** Snapshots of one storm: enough for tens of collections. */
const SNAPSHOTS = 6400;
const GC_SHARE_MAX = 0.01;

interface Storm {
  readonly wallNs: number;
  readonly cpuMs: number;
  readonly pausesMs: readonly number[];
  readonly bytesPerSnapshot: number;
  readonly loopP99Ms: number;
  readonly loopMaxMs: number;
}

export const storm: BenchCase = {
  name: 'storm',
  needs: 'root',
  async run(context): Promise<readonly Row[]> {
    const rows: Row[] = [];
    for (const count of [1, MANY]) {
      await using place = await makePlace({ btrfsMiB: 4096 });
      const { environment } = place;
      const workspaces: string[] = [];
      for (let i = 0; i < count; i += 1) {
        const workspace = place.makeDirectory(place.btrfs, `work${i}`);
        makeFiles(workspace, FILES);
        await initWorkspace({ path: workspace, backend: 'btrfs', environment });
        workspaces.push(workspace);
      }
      const each = Math.ceil(rounds(context, SNAPSHOTS) / count);
      const measured = runChild<Storm>(
        'storm',
        { workspaces, each },
        {
          nodeFlags: ['--expose-gc'],
          env: { GHOSTSNAP_HOME: homeOf(place), UV_THREADPOOL_SIZE: String(MANY) },
        },
      );
      rows.push(...rowsOf(measured, { count, each }));
    }
    return rows;
  },
};

function rowsOf(measured: Storm, { count, each }: { count: number; each: number }): Row[] {
  const { wallNs, cpuMs, pausesMs, bytesPerSnapshot, loopP99Ms, loopMaxMs } = measured;
  const wallMs = wallNs / 1e6;
  const pausedMs = pausesMs.reduce((sum, ms) => sum + ms, 0);
  const longestMs = Math.max(0, ...pausesMs);
  const share = pausedMs / wallMs;
  const percent = (of: number): string => `${(of * 100).toFixed(2)} %`;
  const who = count === 1 ? 'one workspace' : `${count} workspaces at once`;
  const total = (count * each).toLocaleString('en');
  const bytes = `${bytesPerSnapshot.toFixed(0)} bytes`;
  return [
    {
      what: `collecting garbage in a storm of ${total} snapshots, ${who}`,
      ours: `${pausesMs.length} pauses, ${pausedMs.toFixed(0)} ms of ${(wallMs / 1000).toFixed(1)} s, longest ${longestMs.toFixed(1)} ms`,
      baseline: `${percent(pausedMs / cpuMs)} of the process's ${(cpuMs / 1000).toFixed(1)} s of CPU`,
      result: percent(share),
      reach: { text: `<= ${percent(GC_SHARE_MAX)}`, isMet: share <= GC_SHARE_MAX },
      series: [{ name: `pauses, ${who}`, samplesNs: pausesMs.map((ms) => ms * 1e6) }],
    },
    {
      what: `heap bytes allocated for one snapshot() in it`,
      ours: `${bytes}; event loop held up p99 ${loopP99Ms.toFixed(1)} ms, at most ${loopMaxMs.toFixed(1)} ms`,
      baseline: '',
      result: bytes,
      reach: null,
      series: [],
    },
  ];
}
