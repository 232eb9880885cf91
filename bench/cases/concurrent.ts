/**
 * 64 workspaces of one pool at once, in one engine process, against 64 threads of the C program.
 */
import { initWorkspace } from '../../src/index.ts';
import { type BenchCase, homeOf, rounds, runChild } from '../context.ts';
import { formatSpread, type Row, spreadOf } from '../measure.ts';
import { makePlace } from '../place.ts';
import { makeFiles } from '../tree.ts';

const WORKSPACES = 64;
const FILES = 100;
const EACH = 20;

interface ChildResult {
  readonly wallNs: number;
  readonly samplesNs: readonly number[];
}

export const concurrent: BenchCase = {
  name: 'concurrent',
  needs: 'root',
  async run(context): Promise<readonly Row[]> {
    await using place = await makePlace({ btrfsMiB: 4096 });
    const { environment } = place;
    const pairs = [];
    for (let i = 0; i < WORKSPACES; i += 1) {
      const workspace = place.makeDirectory(place.btrfs, `work${i}`);
      makeFiles(workspace, FILES);
      await initWorkspace({ path: workspace, backend: 'btrfs', environment });
      pairs.push({ workspace, parent: place.makeDirectory(place.btrfs, `bare${i}`) });
    }
    const ours: ChildResult[] = [];
    const bare: ChildResult[] = [];
    for (let round = 0; round < rounds(context, 5); round += 1) {
      const prefix = `c${round}`;
      bare.push(context.c.snapshotLoop({ count: EACH, touch: '-', prefix, pairs }));
      ours.push(
        runChild<ChildResult>(
          'concurrent',
          { workspaces: pairs.map(({ workspace }) => workspace), each: EACH },
          { env: { GHOSTSNAP_HOME: homeOf(place), UV_THREADPOOL_SIZE: String(WORKSPACES) } },
        ),
      );
    }
    const perSecond = (results: readonly ChildResult[]): number => {
      const walls = { name: 'wall', samplesNs: results.map(({ wallNs }) => wallNs) };
      return (WORKSPACES * EACH * 1e9) / spreadOf(walls).p50Ns;
    };
    const share = perSecond(ours) / perSecond(bare);
    const own = { name: 'snapshot()', samplesNs: ours.flatMap(({ samplesNs }) => samplesNs) };
    const other = { name: 'C, 64 threads', samplesNs: bare.flatMap((b) => b.samplesNs) };
    return [
      {
        what: `${WORKSPACES} workspaces at once, throughput`,
        ours: `${perSecond(ours).toFixed(0)}/s, each ${formatSpread(spreadOf(own))}`,
        baseline: `${other.name}: ${perSecond(bare).toFixed(0)}/s, each ${formatSpread(spreadOf(other))}`,
        result: `${share.toFixed(2)}x`,
        reach: { text: '>= 0.85x', isMet: share >= 0.85 },
        series: [own, other],
      },
    ];
  },
};
