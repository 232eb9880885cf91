/** 64 engines of one pool in one process: each takes its snapshots in a row, all of them at once. */
import { openWorkspace, systemEnvironment } from '../../src/index.ts';
import { timeAsync } from '../measure.ts';

const { workspaces, each } = JSON.parse(process.argv[2] ?? '{}') as {
  workspaces: readonly string[];
  each: number;
};

const environment = systemEnvironment();
const opened = await Promise.all(
  workspaces.map((workspace) => openWorkspace({ workspace, environment })),
);
const samplesNs: number[] = [];
const wallNs = await timeAsync(() =>
  Promise.all(
    opened.map(async (workspace) => {
      for (let i = 0; i < each; i += 1) {
        samplesNs.push(await timeAsync(() => workspace.snapshot()));
      }
    }),
  ),
);
for (const workspace of opened) await workspace.close();
process.stdout.write(JSON.stringify({ wallNs, samplesNs }));
