/**
 * Every operation of the product that changes something, as a value that a process can be told to do: by
 * the public API, or where the command line alone does it, by the same function of `daemon/`.
 *
 * What an operation needs to stand ready is done before `begin` is said, so that neither steps nor calls of
 * the preparation count.
 */
import type { HarnessName } from '../../src/agent/harness/harness.ts';
import type { HookConnection } from '../../src/agent/install/installer.ts';
import { openCatalog } from '../../src/catalog/open-catalog.ts';
import { openBisect } from '../../src/daemon/bisect-file.ts';
import { forgetWorkspace } from '../../src/daemon/forget-workspace.ts';
import { planConnect, planDisconnect, writeHookFile } from '../../src/daemon/install-hooks.ts';
import { markBisect, prepareTrial, resetBisect, startBisect } from '../../src/engine/bisect.ts';
import {
  createPool,
  destroyPool,
  type Environment,
  initWorkspace,
  mountPool,
  openWorkspace,
  recoverWorkspace,
  type SnapshotId,
  type Workspace,
} from '../../src/index.ts';

type WorkspaceCall =
  | { readonly op: 'snapshot' | 'snapshot-sync' | 'adopt' | 'arm' | 'undo' | 'redo' }
  | { readonly op: 'recover' | 'retention' | 'destroy' | 'scratch-remove' }
  | { readonly op: 'rollback' | 'swap' | 'pin' | 'unpin' | 'scratch'; readonly id: SnapshotId }
  | { readonly op: 'restore'; readonly id: string; readonly paths: readonly string[] }
  | { readonly op: 'undo-call'; readonly call: string }
  | { readonly op: 'extract'; readonly id: string; readonly to: string }
  | { readonly op: 'bisect'; readonly id: SnapshotId }
  | { readonly op: 'label'; readonly id: string; readonly label: string }
  | { readonly op: 'prune'; readonly ids: readonly string[] };

/** What is done, with what: ids are of the workspace itself. */
export type OperationCall =
  | WorkspaceCall
  | { readonly op: 'open' | 'mend' | 'rebind' | 'forget' }
  | { readonly op: 'init'; readonly backend: 'btrfs' | 'store'; readonly pool?: string }
  | { readonly op: 'move'; readonly pool: string }
  | { readonly op: 'pool-create'; readonly pool: string; readonly directory: string }
  | { readonly op: 'pool-destroy'; readonly pool: string }
  | { readonly op: 'pool-mount'; readonly pool: string }
  | { readonly op: 'migrate'; readonly file: string }
  | { readonly op: 'hook-install' | 'hook-uninstall'; readonly harness: HarnessName };

export interface OperationPlace {
  readonly environment: Environment;
  readonly path: string;
  readonly begin: () => void;
  readonly end: () => void;
  readonly onStep: (label: string) => void;
}

const POOL_BYTES = 128 * 2 ** 20;

/** What a harness's file is told to call; nothing is there. */
export const HOOK_CONNECTION: HookConnection = {
  command: (harness, event) => `/opt/ghostsnap/ghostsnap-hook.sh ${harness} ${event}`,
  onFailure: 'block',
  http: null,
  socket: '/run/ghostsnap.sock',
  node: '/usr/bin/node',
  program: '/opt/ghostsnap/bin/ghostsnap.js',
  script: '/home/me/.local/share/ghostsnap/hooks/ghostsnap-hook.sh',
  ghostsnapHome: null,
};

/** @returns what the operation itself returns, where that says how much of it was done */
export async function runOperation(call: OperationCall, place: OperationPlace): Promise<unknown> {
  const { environment, path, begin, end, onStep } = place;
  switch (call.op) {
    case 'open': {
      begin();
      await using _workspace = await openWorkspace({ workspace: path, environment });
      end();
      return;
    }
    case 'init': {
      const { op: _, ...how } = call;
      begin();
      await initWorkspace({ path, environment, ...how, onStep });
      return;
    }
    case 'move':
      begin();
      await initWorkspace({ path, environment, pool: call.pool, onStep });
      return;
    case 'mend':
    case 'rebind':
      begin();
      await recoverWorkspace({ workspace: path, environment, onStep });
      return;
    case 'forget':
      begin();
      await forgetWorkspace({ workspace: path, environment, snapshots: 'delete', onStep });
      return;
    case 'pool-create':
    case 'pool-destroy':
    case 'pool-mount':
      begin();
      await onPool(call, environment);
      return;
    case 'migrate': {
      begin();
      using _catalog = openCatalog({ file: call.file });
      end();
      return;
    }
    case 'hook-install':
    case 'hook-uninstall':
      begin();
      changeHooks(call.op, call.harness, environment);
      return;
    default:
      return await onOpened(call, place);
  }
}

async function onPool(
  call: Extract<OperationCall, { op: 'pool-create' | 'pool-destroy' | 'pool-mount' }>,
  environment: Environment,
): Promise<void> {
  const { pool: name } = call;
  switch (call.op) {
    case 'pool-mount':
      await mountPool({ name, environment });
      return;
    case 'pool-destroy':
      await destroyPool({ name, environment });
      return;
    case 'pool-create':
      await createPool({
        ...{ name, directory: call.directory, environment },
        sizeBytes: POOL_BYTES,
      });
  }
}

export function changeHooks(
  op: 'hook-install' | 'hook-uninstall',
  harness: HarnessName,
  environment: Environment,
): void {
  const change =
    op === 'hook-install'
      ? planConnect(harness, { scope: 'user', environment, connection: HOOK_CONNECTION })
      : planDisconnect(harness, 'user', environment);
  if (change !== null) writeHookFile(change);
}

async function onOpened(call: WorkspaceCall, place: OperationPlace): Promise<unknown> {
  const { environment, path, begin, end } = place;
  await using workspace = await openWorkspace({ workspace: path, environment });
  if (call.op === 'adopt') await workspace.arm();
  if (call.op === 'scratch-remove') await workspace.makeScratch('@');
  using bisect =
    call.op === 'bisect'
      ? await openBisect({ environment, workspace: workspace.info.workspace })
      : null;
  begin();
  try {
    if (call.op === 'bisect' && bisect !== null) {
      return await searchOnce({ workspace, store: bisect }, call.id);
    }
    return await onWorkspace(workspace, call, place.onStep);
  } finally {
    end();
  }
}

/** Begun, the first state tried and found bad, the next made ready, and ended. */
async function searchOnce(on: Parameters<typeof resetBisect>[0], good: SnapshotId): Promise<void> {
  await startBisect({ ...on, good, bad: null, where: 'scratch' });
  const { record } = await prepareTrial(on);
  if (record.path !== null) {
    markBisect(on.store, 'bad');
    await prepareTrial(on);
  }
  await resetBisect(on);
}

async function onWorkspace(
  workspace: Workspace,
  call: WorkspaceCall,
  onStep: (label: string) => void,
): Promise<unknown> {
  switch (call.op) {
    case 'snapshot':
    case 'adopt':
      return await workspace.snapshot({ onStep });
    case 'snapshot-sync':
      return workspace.snapshotSync();
    case 'arm':
      return await workspace.arm({ onStep });
    case 'rollback':
      return await workspace.rollback(call.id, { mode: 'in-place', onStep });
    case 'swap':
      return await workspace.rollback(call.id, { mode: 'swap', onStep });
    case 'restore':
      return await workspace.restore(call.id, call.paths, { onStep });
    case 'undo':
      return await workspace.undo({ onStep });
    case 'redo':
      return await workspace.redo({ onStep });
    case 'undo-call':
      return await workspace.undoCall(call.call, { onStep });
    case 'extract':
      return await workspace.extract(call.id, [''], call.to);
    case 'scratch':
      return await workspace.makeScratch(call.id);
    case 'scratch-remove':
      return await workspace.removeScratch();
    case 'pin':
      return await workspace.pin(call.id);
    case 'unpin':
      return await workspace.unpin(call.id);
    case 'label':
      return await workspace.label(call.id, call.label);
    case 'prune':
      return await workspace.prune({ specs: call.ids, onStep });
    case 'retention':
      return await workspace.prune({ onStep });
    case 'recover':
      return await workspace.recover();
    case 'destroy':
      return await workspace.destroy({ onStep });
    case 'bisect':
      return await Promise.reject(new Error('A bisect needs the record that is open around it.'));
  }
}
