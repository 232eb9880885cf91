/** Binds a moved workspace again, or abandons one, and kills itself at the Nth labelled step. */
import { forgetWorkspace } from '../../src/daemon/forget-workspace.ts';
import type { Environment } from '../../src/daemon/home.ts';
import { recoverWorkspace } from '../../src/daemon/recover-workspace.ts';

const { what, workspace, nth, environment } = JSON.parse(process.argv[2] ?? '{}') as {
  what: 'rebind' | 'abandon';
  workspace: string;
  nth: number;
  environment: Environment;
};

let steps = 0;
function onStep(label: string): void {
  steps += 1;
  if (steps !== nth) return;
  process.stdout.write(label, () => {});
  process.kill(process.pid, 'SIGKILL');
}

if (what === 'rebind') await recoverWorkspace({ workspace, environment, onStep });
else await forgetWorkspace({ workspace, environment, snapshots: 'delete', onStep });
