/**
 * A process that works on a store and kills itself at its Nth labelled step.
 *
 *   node store-scenario.ts <workspace id> <live> <pool> <n> <what> [snapshot id...]
 *
 * With GHOSTSNAP_TEST_UID it works as that user.
 */
import type { WorkspaceRef } from '../../src/backend/backend.ts';
import { createStoreBackend } from '../../src/backend/store/store-backend.ts';
import type { SnapshotId, WorkspaceId } from '../../src/core/ids.ts';

const [id, path, poolRoot, at, what, ...snapshots] = process.argv.slice(2) as string[];
const ref: WorkspaceRef = { id: id as WorkspaceId, path: path ?? '', poolRoot: poolRoot ?? '' };
let steps = 0;
const uid = Number(process.env.GHOSTSNAP_TEST_UID ?? 0);
if (uid !== 0) {
  process.setgroups?.([]);
  process.setgid?.(uid);
  process.setuid?.(uid);
}

function onStep(label: string): void {
  steps += 1;
  if (steps !== Number(at)) return;
  process.stdout.write(label, () => {});
  process.kill(process.pid, 'SIGKILL');
}

await using backend = createStoreBackend({ onStep });
const ids = snapshots as SnapshotId[];
switch (what) {
  case 'init':
    await backend.initWorkspace(ref, { onStep });
    break;
  case 'snapshot':
    for (const snapshot of ids) backend.createSnapshotSync(ref, snapshot);
    break;
  case 'background-snapshot':
    for (const snapshot of ids) await backend.createSnapshot(ref, snapshot);
    break;
  case 'recover':
    await backend.recoverWorkspace(ref);
    break;
  case 'delete':
    await backend.deleteSnapshots(ref, ids);
    break;
  case 'rollback':
    for (const snapshot of ids) await backend.applyInPlace(ref, snapshot, { onStep });
    break;
  case 'release':
    await backend.releaseWorkspace(ref, { onStep });
    break;
  default:
    throw new Error(`Unknown scenario ${what}.`);
}
