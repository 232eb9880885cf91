/** What is done when nobody waits is begun in a later turn of the loop: the harness's answer goes first. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { WorkspaceGuard } from '../../src/agent/workspace-guard.ts';
import { AgentHost } from '../../src/daemon/agent-host.ts';
import { makeEngineWorld } from '../engine/engine-world.ts';
import { type HookWorld, makeHookWorld } from './hook-world.ts';

const CALL = { session: 's', harness: 'test', tool: 'Bash', key: 'k' };

let world: HookWorld;

beforeEach(async () => {
  world = await makeHookWorld();
});

afterEach(() => world[Symbol.asyncDispose]());

/** All that was promised in this turn of the loop; a turn ends only when there is nothing left of it. */
function restOfThisTurn(): Promise<void> {
  return new Promise((resolve) => process.nextTick(() => queueMicrotask(resolve)));
}

async function manyPromises(): Promise<void> {
  for (let count = 0; count < 1000; count += 1) await restOfThisTurn();
}

it('a hook is answered before changes are looked for, notes are written and the next is armed', async () => {
  const onError = vi.fn();
  await using host = new AgentHost({ environment: world.environment, watch: 'off', onError });
  const { workspace } = await host.workspaceAt(world.path, 'write');
  if (workspace === null) throw new Error('there is a workspace');
  const look = vi.spyOn(workspace, 'findUnattributed');
  const arm = vi.spyOn(workspace, 'arm');
  const notes = join(world.base, 'home', 'hooks', 'claude-code.json');

  const { call } = await workspace.beginCall(CALL);
  host.callBegun(workspace, call);
  host.note('claude-code', 'protected');
  await manyPromises();
  expect([look.mock.calls.length, existsSync(notes)]).toEqual([0, false]);
  await host.settle();
  expect([look.mock.calls.length, existsSync(notes)]).toEqual([1, true]);

  await workspace.endCall({ call, outcome: 'ok' });
  await host.callEnded(workspace, call);
  await manyPromises();
  expect(arm).not.toHaveBeenCalled();
  await host.settle();
  expect(arm).toHaveBeenCalledOnce();
  expect(onError).not.toHaveBeenCalled();
});

it("a guarded call's end is told before the next snapshot is armed", async () => {
  const { workspace } = await makeEngineWorld();
  const arm = vi.spyOn(workspace, 'arm');
  const onProblem = vi.fn();
  const guard = new WorkspaceGuard({
    ...{ workspace, session: 's', harness: 'test', onSnapshotFailure: 'block', onProblem },
  });
  const begun = await guard.begin({ tool: 'Bash', key: 'k', input: null, readOnly: 'no' });
  await begun.end('ok');
  await manyPromises();
  expect(arm).not.toHaveBeenCalled();
  await guard.close();
  expect(arm).toHaveBeenCalledOnce();
  expect(onProblem).not.toHaveBeenCalled();
});
