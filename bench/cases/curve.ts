/**
 * How the cost of a snapshot grows with the workspace when one file changes between two of them.
 *
 * Both take turns on the same tree: the first write after a snapshot and the commit cost what btrfs
 * makes them cost, for the C program as for us. What is judged is what we add at the largest size.
 */
import { initWorkspace, SnapshotManager } from '../../src/index.ts';
import { type BenchCase, rounds } from '../context.ts';
import { type Row, ratioRow, timeSync } from '../measure.ts';
import { makePlace } from '../place.ts';
import { editFile, makeFiles } from '../tree.ts';

const SIZES = {
  quick: [10, 1000, 10_000],
  normal: [10, 10_000, 100_000],
  full: [10, 10_000, 100_000, 1_000_000],
} as const;

/** p50 at the largest size against C's own at that size. */
const BOUND_AT_LARGEST = 2;

export const curve: BenchCase = {
  name: 'curve',
  needs: 'root',
  async run(context): Promise<readonly Row[]> {
    const rows: Row[] = [];
    const sizes = SIZES[context.size];
    for (const files of sizes) {
      await using place = await makePlace({ btrfsMiB: files > 200_000 ? 16_384 : 4096 });
      const { environment } = place;
      const workspace = place.makeDirectory(place.btrfs, 'work');
      const bare = place.makeDirectory(place.btrfs, 'bare');
      const paths = makeFiles(workspace, files);
      await initWorkspace({ path: workspace, backend: 'btrfs', environment });
      const manager = new SnapshotManager({ workspace, environment });
      // Closed through the asynchronous side, which also waits for what the backend still does.
      await using _closing = manager.workspace;
      manager.createSnapshot();
      const ours: number[] = [];
      const ioctl: number[] = [];
      const pairs = [{ workspace, parent: bare }];
      for (let round = 0; round < rounds(context, 30); round += 1) {
        const touch = paths[(round * 7919) % paths.length] ?? '';
        const prefix = `c${round}`;
        ioctl.push(...context.c.snapshotLoop({ count: 1, touch, prefix, pairs }).samplesNs);
        editFile(workspace, paths[(round * 104_729) % paths.length] ?? '');
        ours.push(timeSync(() => void manager.createSnapshot()));
      }
      rows.push(
        ratioRow({
          what: `btrfs createSnapshot, ${files.toLocaleString('en')} files, one changed`,
          ours: { name: 'createSnapshot', samplesNs: ours },
          baseline: { name: 'bare ioctl', samplesNs: ioctl },
          judge: 'at most',
          bound: files === sizes.at(-1) ? BOUND_AT_LARGEST : null,
        }),
      );
    }
    return rows;
  },
};
