/** ghostsnap's own files are deleted under an agent at work: its tools stop, and somebody says why. */
import { mkdirSync, mkdtempDisposableSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, expect, it } from 'vitest';
import { opencodePlugin } from '../../src/agent/install/opencode-plugin.ts';
import { prepareConnection } from '../../src/daemon/hook-script.ts';
import { type HookWorld, makeHookWorld } from './hook-world.ts';

let world: HookWorld;

afterEach(() => world[Symbol.asyncDispose]());

const homeOf = ({ base }: HookWorld): string => join(base, 'home');

it('a daemon that lives on lets no tool run that may change things, until there is a register again', async () => {
  // Its socket is not among the files that are deleted.
  using runtime = mkdtempDisposableSync(join(tmpdir(), 'ghostsnap-run-'));
  world = await makeHookWorld({ env: { XDG_RUNTIME_DIR: runtime.path } });
  await world.program(['daemon', 'start']);
  expect(await world.ask('PreToolUse', { tool_use_id: '1' })).toBe('{}');
  rmSync(homeOf(world), { recursive: true });
  const { hookSpecificOutput } = JSON.parse(await world.ask('PreToolUse', { tool_use_id: '2' }));
  expect(hookSpecificOutput.permissionDecision).toBe('deny');
  expect(hookSpecificOutput.permissionDecisionReason).toContain('The register of workspaces was');
  expect(hookSpecificOutput.permissionDecisionReason).toContain(join(homeOf(world), 'workspaces'));
  expect(await world.ask('PreToolUse', { tool_use_id: '3', tool_name: 'Read' })).toBe('{}');
  const { systemMessage } = JSON.parse(await world.ask('PostToolUse', { tool_use_id: '1' }));
  expect(systemMessage).toContain('The register of workspaces was deleted');
  expect((await world.program(['init', '--backend', 'store', world.path])).status).toBe(0);
  expect(await world.ask('PreToolUse', { tool_use_id: '4' })).toBe('{}');
  const calls = await world.read((workspace) => workspace.listCalls());
  expect(calls.map(({ key, snapshot }) => [key, snapshot !== null])).toEqual([['4', true]]);
});

interface Plugin {
  Ghostsnap(context: { directory: string }): Promise<{
    'tool.execute.before'(input: object, output: object): Promise<void>;
  }>;
}

/** OpenCode's plugin as it is installed, in a process that has no environment of ours. */
async function pluginBefore(): Promise<() => Promise<void>> {
  const { environment } = world;
  const connection = await prepareConnection({ environment, scope: 'user', way: 'command' });
  const file = join(world.base, 'plugin.mjs');
  writeFileSync(file, opencodePlugin(connection));
  const module = (await import(/* @vite-ignore */ pathToFileURL(file).href)) as Plugin;
  const plugin = await module.Ghostsnap({ directory: world.path });
  const call = { tool: 'bash', sessionID: 's', callID: 'c' };
  return () => plugin['tool.execute.before'](call, { args: { command: 'make' } });
}

it('the plugin finds them without a daemon, where they were put when it was installed', async () => {
  world = await makeHookWorld({ config: { agents: { daemon: 'off' } } });
  await (await pluginBefore())();
  const calls = await world.read((workspace) => workspace.listCalls());
  expect(calls).toMatchObject([{ tool: 'bash', session: 's', key: 'c' }]);
});

it('the plugin stops its tool when they are gone and no daemon knows better', async () => {
  world = await makeHookWorld({ config: { agents: { daemon: 'off' } } });
  const before = await pluginBefore();
  rmSync(homeOf(world), { recursive: true });
  await expect(before()).rejects.toThrow("ghostsnap's own files were deleted");
  // What is left of a directory is none.
  mkdirSync(homeOf(world));
  await expect(before()).rejects.toThrow('ghostsnap init');
});
