/** Takes a call back and kills itself, as kill -9 would, at the Nth labelled step. */
import { type Environment, openWorkspace } from '../../src/index.ts';

const { path, call, nth, environment } = JSON.parse(process.argv[2] ?? '{}') as {
  path: string;
  call: string;
  nth: number;
  environment: Environment;
};

let steps = 0;
await using workspace = await openWorkspace({ workspace: path, environment });
await workspace.undoCall(call, {
  onStep() {
    steps += 1;
    if (steps === nth) process.kill(process.pid, 'SIGKILL');
  },
});
