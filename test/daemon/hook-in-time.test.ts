/** A harness that has waited for a hook long enough runs the tool: the answer that it must not comes before. */
import { afterEach, expect, it, vi } from 'vitest';
import { handleHook } from '../../src/agent/handle-hook.ts';
import type { HookReply } from '../../src/agent/hook-action.ts';
import { AgentHost } from '../../src/daemon/agent-host.ts';
import type { Workspace } from '../../src/engine/workspace-api.ts';
import { type HookWorld, makeHookWorld } from './hook-world.ts';

let world: HookWorld;

afterEach(() => world[Symbol.asyncDispose]());

interface SlowWorld extends AsyncDisposable {
  readonly workspace: Workspace;
  before(fields?: Record<string, unknown>): Promise<HookReply>;
  /** The snapshot that took too long is ready. */
  ready(): void;
}

/** Snapshots wait until the test says so; a hook has a millisecond. */
async function makeSlowWorld(): Promise<SlowWorld> {
  const { environment } = world;
  const onError = vi.fn();
  const host = new AgentHost({ environment, watch: 'off', onError, answerMs: 1 });
  const { workspace } = await host.workspaceAt(world.path, 'write');
  if (workspace === null) throw new Error('there is a workspace');
  const gate = Promise.withResolvers<void>();
  const begin = workspace.beginCall.bind(workspace);
  vi.spyOn(workspace, 'beginCall').mockImplementation(async (request) => {
    await gate.promise;
    return await begin(request);
  });
  return {
    workspace,
    ready: gate.resolve,
    before: async (fields) => {
      const body = Buffer.from(world.payload('PreToolUse', fields));
      return await handleHook({ harness: 'claude-code', event: 'PreToolUse', body }, host);
    },
    [Symbol.asyncDispose]: async () => {
      gate.resolve();
      await host[Symbol.asyncDispose]();
      expect(onError).not.toHaveBeenCalled();
    },
  };
}

it('a snapshot that takes too long stops the tool, goes on, and is in the log as not run', async () => {
  world = await makeHookWorld();
  await using slow = await makeSlowWorld();
  const { hookSpecificOutput } = JSON.parse((await slow.before()).stdout);
  expect(hookSpecificOutput.permissionDecision).toBe('deny');
  expect(hookSpecificOutput.permissionDecisionReason).toContain('Try again in a while');
  expect(slow.workspace.listCalls()).toEqual([]);
  slow.ready();
  await expect.poll(() => slow.workspace.listCalls()).toMatchObject([{ outcome: 'blocked' }]);
  expect(slow.workspace.listCalls()[0]?.snapshot).not.toBe(null);
});

it('a tool that changes nothing does not wait for it', async () => {
  world = await makeHookWorld();
  await using slow = await makeSlowWorld();
  expect((await slow.before({ tool_name: 'Read' })).stdout).toBe('{}');
});

it('with "warn" the tool runs, and the person is told', async () => {
  world = await makeHookWorld({ config: { agents: { onSnapshotFailure: 'warn' } } });
  await using slow = await makeSlowWorld();
  const { systemMessage } = JSON.parse((await slow.before()).stdout);
  expect(systemMessage).toContain('no snapshot before this tool');
  slow.ready();
  // It is in flight: the tool runs.
  await expect.poll(() => slow.workspace.listCalls()).toMatchObject([{ outcome: null }]);
});
