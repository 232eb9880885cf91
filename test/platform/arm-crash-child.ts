/** Arms, then takes a snapshot, and kills itself as kill -9 would at a labelled step. */
import { type Environment, openWorkspace } from '../../src/index.ts';

const { path, killAt, environment } = JSON.parse(process.argv[2] ?? '{}') as {
  path: string;
  killAt: string;
  environment: Environment;
};

function onStep(label: string): void {
  if (label === killAt) process.kill(process.pid, 'SIGKILL');
}

await using workspace = await openWorkspace({ workspace: path, environment });
const { armed } = await workspace.arm({ onStep });
const { id, adopted } = await workspace.snapshot({ label: 'asked for', onStep });
process.stdout.write(JSON.stringify({ armed, id, adopted }));
