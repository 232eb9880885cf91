/**
 * Going back over one, a thousand and all paths of a large tree, in place and by swap, on btrfs; and one
 * file given back by the program as a whole process.
 */
import { join } from 'node:path';
import { initWorkspace, openWorkspace } from '../../src/index.ts';
import { type BenchCase, homeOf, largeTree, rounds } from '../context.ts';
import { formatNs, formatSpread, type Row, type Series, spreadOf, timeAsync } from '../measure.ts';
import { makePlace } from '../place.ts';
import { editFile, makeFiles, wipe } from '../tree.ts';

const PROGRAM = join(import.meta.dirname, '..', '..', 'bin', 'ghostsnap.js');
const MODES = ['in-place', 'swap'] as const;
const RESTORE_MS_MAX = 30;

export const rollbackPaths: BenchCase = {
  name: 'rollback-paths',
  needs: 'root',
  async run(context): Promise<readonly Row[]> {
    await using place = await makePlace({ btrfsMiB: 6144 });
    const { environment } = place;
    const count = largeTree(context);
    const workspace = place.makeDirectory(place.btrfs, 'work');
    const paths = makeFiles(workspace, count);
    await initWorkspace({ path: workspace, backend: 'btrfs', environment });
    await using opened = await openWorkspace({ workspace, environment });
    const { id } = await opened.snapshot();
    const rows: Row[] = [];
    for (const changes of [1, 1000, count]) {
      for (const mode of MODES) {
        const samplesNs: number[] = [];
        for (let round = 0; round < (changes > 1000 ? 2 : rounds(context, 7)); round += 1) {
          if (changes === count) wipe(workspace);
          else for (const path of paths.slice(0, changes)) editFile(workspace, path);
          samplesNs.push(await timeAsync(() => opened.rollback(id, { mode })));
        }
        rows.push(pathsRow({ name: mode, samplesNs }, changes, count));
      }
    }
    const one = paths[7] ?? '';
    const restores: number[] = [];
    const nodes: number[] = [];
    for (let round = 0; round < rounds(context, 9); round += 1) {
      editFile(workspace, one);
      const command = [process.execPath, PROGRAM, 'restore', id, join(workspace, one)];
      const env = { GHOSTSNAP_HOME: homeOf(place) };
      restores.push(context.c.measure(command, { env, cwd: workspace }).wallNs);
      nodes.push(context.c.measure([process.execPath, '-e', '0']).wallNs);
    }
    rows.push(restoreRow(restores, nodes));
    return rows;
  },
};

function pathsRow(own: Series, changes: number, count: number): Row {
  const number = changes.toLocaleString('en');
  const how = own.name === 'swap' ? 'by swap' : 'in place';
  return {
    what: `rollback ${how} of ${number} changed paths of ${count.toLocaleString('en')}, btrfs`,
    ours: formatSpread(spreadOf(own)),
    baseline: '',
    result: formatNs(spreadOf(own).p50Ns),
    reach: null,
    series: [own],
  };
}

function restoreRow(restores: number[], nodes: number[]): Row {
  const own: Series = { name: 'ghostsnap restore', samplesNs: restores };
  const node: Series = { name: 'node -e 0', samplesNs: nodes };
  const beyondMs = (spreadOf(own).p50Ns - spreadOf(node).p50Ns) / 1e6;
  return {
    what: 'restore of one file to its place, as a whole process, btrfs',
    ours: formatSpread(spreadOf(own)),
    baseline: `node -e 0: ${formatSpread(spreadOf(node))}`,
    result: `${beyondMs.toFixed(0)} ms beyond it`,
    reach: { text: `<= ${RESTORE_MS_MAX} ms`, isMet: beyondMs <= RESTORE_MS_MAX },
    series: [own, node],
  };
}
