/**
 * What arming takes from a tool call: adopting what lies ready, and a snapshot after much was written,
 * with and without having armed. Arming itself happens while the model thinks, so it is not in the times.
 */
import { randomFillSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { initWorkspace, openWorkspace } from '../../src/index.ts';
import { type BenchCase, rounds } from '../context.ts';
import { formatNs, formatSpread, type Row, ratioRow, spreadOf, timeAsync } from '../measure.ts';
import { makePlace } from '../place.ts';
import { makeFiles } from '../tree.ts';

const FILES = 1000;
const ADOPTION_MS_MAX = 1;
const WRITTEN_BYTES = 100e6;

export const arming: BenchCase = {
  name: 'arming',
  needs: 'root',
  async run(context): Promise<readonly Row[]> {
    await using place = await makePlace({ btrfsMiB: 4096 });
    const path = place.makeDirectory(place.btrfs, 'work');
    makeFiles(path, FILES);
    const { environment } = place;
    await initWorkspace({ path, backend: 'btrfs', environment });
    await using workspace = await openWorkspace({ workspace: path, environment });
    let fresh = 0;
    const adoptions: number[] = [];
    for (let round = 0; round < rounds(context, 100); round += 1) {
      await workspace.arm();
      let adopted = false;
      const ns = await timeAsync(async () => {
        ({ adopted } = await workspace.snapshot());
      });
      if (adopted) adoptions.push(ns);
      else fresh += 1;
    }
    const written = join(path, 'written');
    const bytes = Buffer.alloc(WRITTEN_BYTES);
    const unarmed: number[] = [];
    const armed: number[] = [];
    for (let round = 0; round < rounds(context, 6); round += 1) {
      for (const [samples, arms] of [
        [unarmed, false],
        [armed, true],
      ] as const) {
        writeFileSync(written, randomFillSync(bytes));
        if (arms) await workspace.arm();
        samples.push(await timeAsync(() => workspace.snapshot()));
      }
    }
    return [
      adoptionRow(adoptions, fresh),
      ratioRow({
        what: 'snapshot after 100 MB were written, armed, against not armed',
        ours: { name: 'armed', samplesNs: armed },
        baseline: { name: 'not armed', samplesNs: unarmed },
        judge: 'times faster',
        bound: null,
      }),
    ];
  },
};

function adoptionRow(samplesNs: readonly number[], fresh: number): Row {
  const series = { name: 'adopting', samplesNs };
  const spread = spreadOf(series);
  const missed = fresh === 0 ? '' : `, ${fresh} more were not proven and taken fresh`;
  return {
    what: `adopting an armed snapshot, ${FILES} files${missed}`,
    ours: formatSpread(spread),
    baseline: '',
    result: `p99 ${formatNs(spread.p99Ns)}`,
    reach: { text: `p99 <= ${ADOPTION_MS_MAX} ms`, isMet: spread.p99Ns <= ADOPTION_MS_MAX * 1e6 },
    series: [series],
  };
}
