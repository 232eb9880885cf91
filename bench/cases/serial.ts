/**
 * One snapshot after the other, against the bare ioctl in C and against starting btrfs(8).
 *
 * The three take turns in short series, so that what the machine does beside them meets all alike. A
 * series, not one each: starting a process makes the next thing that this process does slower (its
 * pages were shared for the fork), which is nothing that either side of the comparison does.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { initWorkspace, SnapshotManager } from '../../src/index.ts';
import { type BenchCase, rounds } from '../context.ts';
import { type Row, ratioRow, timeSync } from '../measure.ts';
import { makePlace } from '../place.ts';
import { makeFiles } from '../tree.ts';

const FILES = 1000;
/** Snapshots in one turn; btrfs(8), which is a process each, has one. */
const SERIES = 10;

export const serial: BenchCase = {
  name: 'serial',
  needs: 'root',
  async run(context): Promise<readonly Row[]> {
    await using place = await makePlace({ btrfsMiB: 2048 });
    const workspace = place.makeDirectory(place.btrfs, 'work');
    const bare = place.makeDirectory(place.btrfs, 'bare');
    makeFiles(workspace, FILES);
    const { environment } = place;
    await initWorkspace({ path: workspace, backend: 'btrfs', environment });
    const manager = new SnapshotManager({ workspace, environment });
    // Closed through the asynchronous side, which also waits for what the backend still does.
    await using _closing = manager.workspace;
    manager.createSnapshot();
    const ours: number[] = [];
    const ioctl: number[] = [];
    const started: number[] = [];
    for (let round = 0; round < rounds(context, 30); round += 1) {
      const pairs = [{ workspace, parent: bare }];
      const prefix = `c${round}`;
      ioctl.push(...context.c.snapshotLoop({ count: SERIES, touch: '-', prefix, pairs }).samplesNs);
      for (let taken = 0; taken < SERIES; taken += 1) {
        ours.push(timeSync(() => void manager.createSnapshot()));
      }
      const to = join(bare, `p${round}`);
      const args = ['subvolume', 'snapshot', '-r', workspace, to];
      started.push(timeSync(() => void execFileSync('btrfs', args, { stdio: 'ignore' })));
    }
    const own = { name: 'createSnapshot', samplesNs: ours };
    return [
      ratioRow({
        what: `btrfs createSnapshot, serial, ${FILES} files`,
        ours: own,
        baseline: { name: 'bare ioctl', samplesNs: ioctl },
        judge: 'at most',
        bound: 1.15,
      }),
      ratioRow({
        what: 'the same against starting "btrfs subvolume snapshot"',
        ours: own,
        baseline: { name: 'btrfs process', samplesNs: started },
        judge: 'times faster',
        bound: 5,
      }),
    ];
  },
};
