/**
 * Judging a call that changed 10 files in a large tree: the rules alone, on the changes of a real
 * comparison, and the whole of it, comparison included, which counting the call's changes needs anyway.
 */
import { combineRules, NO_USER_POLICY } from '../../src/core/policy/combine-rules.ts';
import { judgeChanges } from '../../src/core/policy/judge-changes.ts';
import type { TreeChange } from '../../src/core/tree-change.ts';
import { initWorkspace, openWorkspace } from '../../src/index.ts';
import { type BenchCase, largeTree, rounds } from '../context.ts';
import { formatNs, formatSpread, type Row, spreadOf, timeAsync, timeSync } from '../measure.ts';
import { makePlace } from '../place.ts';
import { editFile, makeFiles } from '../tree.ts';

const CHANGED = 10;
const BOUND_NS = 10e6;

export const judgeCall: BenchCase = {
  name: 'judge-call',
  needs: 'root',
  async run(context): Promise<readonly Row[]> {
    await using place = await makePlace({ btrfsMiB: 2048 });
    const { environment } = place;
    const count = largeTree(context);
    const path = place.makeDirectory(place.btrfs, 'work');
    const paths = makeFiles(path, count);
    await initWorkspace({ path, backend: 'btrfs', environment });
    await using workspace = await openWorkspace({ workspace: path, environment });
    const whole: number[] = [];
    const rulesOnly: number[] = [];
    for (let round = 0; round < rounds(context, 12); round += 1) {
      const request = { session: 's', harness: 'bench', tool: 'Bash', key: String(round) };
      const { call, snapshot } = await workspace.beginCall(request);
      for (let i = 0; i < CHANGED; i += 1) {
        editFile(path, paths[((round * CHANGED + i) * 104_729) % paths.length] ?? '');
      }
      await workspace.endCall({ call, outcome: 'ok' });
      whole.push(await timeAsync(() => workspace.judgeCall(call, { act: 'plan' })));
      const changes: TreeChange[] = [];
      for await (const change of workspace.diff(snapshot ?? '', 'live')) changes.push(change);
      rulesOnly.push(timeSync(() => judge(changes)));
    }
    const what = `${count.toLocaleString('en')} files, a call that changed ${CHANGED}`;
    return [
      row(`${what}: evaluating the policy`, rulesOnly, BOUND_NS),
      row(`${what}: comparing and evaluating`, whole, null),
    ];
  },
};

function judge(changes: readonly TreeChange[]): void {
  const judging = judgeChanges(combineRules(NO_USER_POLICY, []));
  for (const change of changes) judging.see(change);
  judging.verdict(0);
}

function row(what: string, samplesNs: readonly number[], boundNs: number | null): Row {
  const series = { name: what, samplesNs };
  const spread = spreadOf(series);
  return {
    what,
    ours: formatSpread(spread),
    baseline: '-',
    result: formatNs(spread.p50Ns),
    reach: boundNs === null ? null : { text: '<= 10 ms', isMet: spread.p99Ns <= boundNs },
    series: [series],
  };
}
