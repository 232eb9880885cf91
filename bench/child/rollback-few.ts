/** A plain user's rollback of a few changes in a large tree. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { initWorkspace, openWorkspace, systemEnvironment } from '../../src/index.ts';
import { timeAsync } from '../measure.ts';
import { editFile, makeFiles } from '../tree.ts';

const { base, count, changes, rounds } = JSON.parse(process.argv[2] ?? '{}') as {
  base: string;
  count: number;
  changes: number;
  rounds: number;
};

const environment = systemEnvironment();
const workspace = join(base, 'work');
mkdirSync(workspace);
const paths = makeFiles(workspace, count);
await initWorkspace({ path: workspace, backend: 'btrfs', environment });
await using opened = await openWorkspace({ workspace, environment });
const { id } = await opened.snapshot();
const samplesNs: number[] = [];
for (let round = 0; round < rounds; round += 1) {
  for (let i = 0; i < changes; i += 1) {
    editFile(workspace, paths[((round * changes + i) * 104_729) % paths.length] ?? '');
  }
  samplesNs.push(await timeAsync(() => opened.rollback(id, { mode: 'in-place' })));
}
process.stdout.write(JSON.stringify({ samplesNs }));
