/** What the policy says of a call reaches the agent, in its hook's own channel. */
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type HookWorld, makeHookWorld } from './hook-world.ts';

let world: HookWorld;

beforeEach(async () => {
  world = await makeHookWorld({ config: { agents: { daemon: 'off' } } });
});

afterEach(() => world[Symbol.asyncDispose]());

const policy = (action: string): void =>
  writeFileSync(
    join(world.path, 'ghostsnap.json'),
    JSON.stringify({ policy: { rules: [{ rule: 'deleted-files', max: 0, action }] } }),
  );

it.each(['warn', 'rollback'] as const)('a call that the policy answers with %s', async (action) => {
  policy(action);
  await world.hook('PreToolUse');
  rmSync(join(world.path, 'src'), { recursive: true });
  const { status, stdout } = await world.hook('PostToolUse');
  const reply = JSON.parse(stdout);
  expect(status).toBe(0);
  expect(reply.hookSpecificOutput).toMatchObject({ hookEventName: 'PostToolUse' });
  expect(reply.hookSpecificOutput.additionalContext).toContain('It deleted 1 file');
  expect(existsSync(join(world.path, 'src', 'main.ts'))).toBe(action === 'rollback');
  const [call] = await world.read((workspace) => workspace.listCalls());
  expect(call?.judged).toMatchObject({ action });
});

it('an ordinary call is not talked about', async () => {
  policy('ask');
  await world.hook('PreToolUse');
  writeFileSync(join(world.path, 'new'), 'x');
  expect((await world.hook('PostToolUse')).stdout).toBe('{}');
});

const tool_input = { command: 'rm -rf src' };
const commands = (action: string): void =>
  writeFileSync(
    join(world.path, 'ghostsnap.json'),
    JSON.stringify({ policy: { rules: [{ rule: 'destructive-commands', action }] } }),
  );

it('a destructive command is spoken of before it runs, as advice', async () => {
  const { hookSpecificOutput: said } = JSON.parse(
    (await world.hook('PreToolUse', { tool_input })).stdout,
  );
  expect(said.additionalContext).toContain('rm -r: It deletes directories');
  expect(said).not.toHaveProperty('permissionDecision');
  const { stdout } = await world.hook('PreToolUse', {
    ...{ tool_use_id: 'toolu_2', tool_input: { command: 'ls > list' } },
  });
  expect(stdout).toBe('{}');
});

it("the policy opens the harness's own dialog, or refuses where there is none", async () => {
  commands('ask');
  const { hookSpecificOutput: said } = JSON.parse(
    (await world.hook('PreToolUse', { tool_input })).stdout,
  );
  expect(said).toMatchObject({ permissionDecision: 'ask' });
  expect(said.permissionDecisionReason).toContain('rm -r');
  const stdin = world.payload('PreToolUse', { tool_use_id: 'toolu_2', tool_input });
  const { stdout } = await world.program(['hook', 'run', 'codex', 'PreToolUse'], { stdin });
  expect(JSON.parse(stdout).hookSpecificOutput).toMatchObject({ permissionDecision: 'deny' });
  const calls = await world.read((workspace) => workspace.listCalls());
  expect(calls.map(({ outcome }) => outcome)).toEqual(['blocked', null]);
});
