/** An agent that stands in one workspace and reaches into another one: both have their snapshot before. */
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { handleHook } from '../../src/agent/handle-hook.ts';
import { AgentHost } from '../../src/daemon/agent-host.ts';
import { initWorkspace } from '../../src/daemon/init-workspace.ts';
import { openWorkspace } from '../../src/daemon/open-workspace.ts';
import type { CallInfo } from '../../src/engine/call-results.ts';
import { type HookWorld, makeHookWorld } from './hook-world.ts';

let world: HookWorld;
let other: string;
let host: AgentHost;
const errors: unknown[] = [];

beforeEach(async () => {
  world = await makeHookWorld({ config: { agents: { daemon: 'off' } } });
  other = join(world.base, 'other');
  mkdirSync(join(other, 'src'), { recursive: true });
  writeFileSync(join(other, 'src', 'a'), 'one\n');
  const { environment } = world;
  await initWorkspace({ path: other, backend: 'store', environment });
  host = new AgentHost({ environment, watch: 'off', onError: (error) => errors.push(error) });
});

afterEach(async () => {
  await host[Symbol.asyncDispose]();
  await world[Symbol.asyncDispose]();
  expect(errors.splice(0)).toEqual([]);
});

async function said(harness: string, event: string, payload: object): Promise<string> {
  const body = Buffer.from(JSON.stringify(payload));
  return (await handleHook({ harness, event, body }, host)).stdout;
}

/** Claude Code's payload, of an agent in the first workspace. */
function claude(event: string, fields: Record<string, unknown> = {}): Promise<string> {
  return said('claude-code', event, JSON.parse(world.payload(event, fields)) as object);
}

async function callsIn(path: string): Promise<readonly CallInfo[]> {
  const { environment } = world;
  await using workspace = await openWorkspace({ workspace: path, environment, readOnly: 'yes' });
  return workspace.listCalls();
}

const removal = { tool_input: { command: 'cd ../other && rm -rf src' } };

/** What each harness sends before and after a tool that reaches into the other workspace. */
const REACHES: Readonly<Record<string, (cwd: string, other: string) => [string, object][]>> = {
  'claude-code': (cwd, other) => {
    const call = { tool_name: 'Edit', tool_input: { file_path: `${other}/src/a` } };
    const shared = { session_id: 's', cwd, tool_use_id: 'c', ...call };
    return ['PreToolUse', 'PostToolUse'].map((event) => [
      event,
      { ...shared, hook_event_name: event },
    ]);
  },
  codex: (cwd) => {
    const patch = '*** Begin Patch\n*** Update File: ../other/src/a\n@@\n-one\n+two\n';
    const call = { tool_name: 'apply_patch', tool_input: { command: patch } };
    const shared = { session_id: 's', cwd, tool_use_id: 'c', turn_id: 't', ...call };
    return ['PreToolUse', 'PostToolUse'].map((event) => [
      event,
      { ...shared, hook_event_name: event },
    ]);
  },
  'gemini-cli': (cwd, other) => {
    const call = { tool_name: 'replace', tool_input: { file_path: `${other}/src/a` } };
    return ['BeforeTool', 'AfterTool'].map((event) => [
      event,
      { session_id: 's', cwd, hook_event_name: event, ...call },
    ]);
  },
  opencode: (cwd, other) => {
    const call = { session: 's', directory: cwd, call: 'c', args: { filePath: `${other}/src/a` } };
    return [
      ['tool.execute.before', { event: 'tool.execute.before', tool: 'edit', ...call }],
      ['tool.execute.after', { event: 'tool.execute.after', ...call }],
    ];
  },
  cursor: (cwd) => {
    const call = { tool_name: 'Shell', tool_input: { command: 'rm -rf ../other/src', cwd } };
    const shared = { conversation_id: 's', generation_id: 'g', tool_use_id: 'c', ...call };
    return ['preToolUse', 'postToolUse'].map((event) => [
      event,
      { ...shared, workspace_roots: [cwd], hook_event_name: event },
    ]);
  },
  vscode: (cwd, other) => {
    const call = { tool_name: 'editFiles', tool_input: { files: [`${other}/src/a`] } };
    return ['PreToolUse', 'PostToolUse'].map((event) => [
      event,
      { sessionId: 's', cwd, hookEventName: event, tool_use_id: 'c', ...call },
    ]);
  },
  'copilot-cli': (cwd, other) => {
    const call = { toolName: 'bash', toolArgs: JSON.stringify({ command: `rm -rf ${other}/src` }) };
    return ['preToolUse', 'postToolUse'].map((event) => [event, { sessionId: 's', cwd, ...call }]);
  },
};

it.each(Object.keys(REACHES))(
  '%s: both have a snapshot and the call, and its end',
  async (name) => {
    for (const [event, payload] of REACHES[name]?.(world.path, other) ?? []) {
      expect(JSON.parse(await said(name, event, payload))).not.toHaveProperty('permissionDecision');
    }
    for (const path of [world.path, other]) {
      const [call, ...more] = await callsIn(path);
      expect(more).toEqual([]);
      expect(call).toMatchObject({ session: 's', outcome: 'ok', readOnly: false });
      expect(call?.snapshot).not.toBe(null);
    }
  },
);

it('an agent outside of all workspaces is in the one that its tool names', async () => {
  await claude('PreToolUse', { cwd: world.base, tool_input: { command: 'rm -rf other/src' } });
  expect(await callsIn(other)).toHaveLength(1);
  expect(await callsIn(world.path)).toEqual([]);
});

it('a symlink in one leads into the other', async () => {
  symlinkSync(other, join(world.path, 'link'));
  await claude('PreToolUse', { tool_name: 'Write', tool_input: { file_path: 'link/src/a' } });
  expect(await callsIn(other)).toHaveLength(1);
});

it('a call that names nothing outside is in no other log', async () => {
  await claude('PreToolUse', { tool_input: { command: `rm -rf ${world.path}/src ./x /etc/none` } });
  expect(await callsIn(other)).toEqual([]);
});

it('where one can take no snapshot the tool does not run, and the log of the other says so', async () => {
  await claude('PreToolUse', removal);
  await claude('PostToolUse', removal);
  rmSync(other, { recursive: true });
  writeFileSync(other, 'no directory');
  const again = { ...removal, tool_use_id: '2' };
  const { hookSpecificOutput } = JSON.parse(await claude('PreToolUse', again));
  expect(hookSpecificOutput).toMatchObject({ permissionDecision: 'deny' });
  const calls = await callsIn(world.path);
  expect(calls.map(({ key, outcome }) => [key, outcome])).toEqual([
    ['2', 'blocked'],
    ['toolu_1', 'ok'],
  ]);
});

it('a call ends where it began, also when the agent stands elsewhere by then', async () => {
  await claude('PreToolUse', removal);
  await claude('PostToolUse', { ...removal, cwd: other });
  await claude('PreToolUse', { tool_use_id: '2', tool_input: { command: 'cd $PROJECT' } });
  await claude('PostToolUse', { tool_use_id: '2', cwd: other });
  for (const path of [world.path, other]) {
    expect((await callsIn(path)).filter(({ outcome }) => outcome !== 'ok')).toEqual([]);
  }
});

it('a prompt and the end of the session are told to where it has been', async () => {
  await claude('PreToolUse', removal);
  await claude('UserPromptSubmit', { prompt: 'go on' });
  expect(await callsIn(other)).toMatchObject([{ outcome: 'unknown' }]);
  await claude('PreToolUse', { ...removal, tool_use_id: '2' });
  expect((await callsIn(other))[0]?.prompt).not.toBe(null);
});

it('what the policy of the other says is told with its name', async () => {
  const rules = [{ rule: 'deleted-files', max: 0, action: 'warn' }];
  writeFileSync(join(other, 'ghostsnap.json'), JSON.stringify({ policy: { rules } }));
  await claude('PreToolUse', removal);
  rmSync(join(other, 'src'), { recursive: true });
  const { systemMessage } = JSON.parse(await claude('PostToolUse', removal));
  expect(systemMessage).toContain(`In ${other}:\nghostsnap: this call did more than usual`);
});
