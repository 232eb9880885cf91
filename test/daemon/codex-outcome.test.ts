/** How a shell command of Codex ended is in the session's own record, and in no payload. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { handleHook } from '../../src/agent/handle-hook.ts';
import { AgentHost } from '../../src/daemon/agent-host.ts';
import { type HookWorld, makeHookWorld } from './hook-world.ts';

let world: HookWorld;
let host: AgentHost;

beforeEach(async () => {
  world = await makeHookWorld({ config: { agents: { daemon: 'off' } } });
  const { environment } = world;
  host = new AgentHost({
    ...{ environment, watch: 'off' },
    onError: (error) => {
      throw error;
    },
  });
});

afterEach(async () => {
  await host[Symbol.asyncDispose]();
  await world[Symbol.asyncDispose]();
});

/** As Codex 0.169.0 writes it, shortened. */
function recorded(call: string, status: string, output = ''): string {
  const item = {
    ...{ type: 'CommandExecution', id: call, command: ['/bin/bash', '-lc', 'make'], status },
    ...{ cwd: `file://${world.path}`, aggregated_output: output, exit_code: 3 },
  };
  const payload = { type: 'item_completed', thread_id: 't', turn_id: 'u', item };
  return `${JSON.stringify({ timestamp: 'now', ordinal: 27, type: 'event_msg', payload })}\n`;
}

async function outcomeOf(transcript: string): Promise<unknown> {
  for (const event of ['PreToolUse', 'PostToolUse']) {
    const body = Buffer.from(world.payload(event, { transcript_path: transcript }));
    await handleHook({ harness: 'codex', event, body }, host);
  }
  const [call] = await world.read((workspace) => workspace.listCalls());
  return call?.outcome;
}

const rollout = (): string => join(world.base, 'rollout-1.jsonl');

it.each([
  ['failed', 'failed'],
  ['declined', 'failed'],
  ['completed', 'ok'],
])('a command that is written down as %s is %s', async (status, outcome) => {
  const quoted = recorded('toolu_1', status === 'completed' ? 'failed' : 'completed');
  const lines = [recorded('toolu_0', 'failed'), recorded('toolu_1', status)];
  // A later command that prints such a line says nothing of this one.
  lines.push(recorded('toolu_2', 'completed', `${quoted}"toolu_1"`));
  writeFileSync(rollout(), lines.join(''));
  expect(await outcomeOf(rollout())).toBe(outcome);
});

it('of a long record the end is read, and a line that begins before it tells nothing', async () => {
  const long = recorded('toolu_0', 'failed', 'x'.repeat(2_000_000));
  writeFileSync(rollout(), long + recorded('toolu_1', 'failed'));
  expect(await outcomeOf(rollout())).toBe('failed');
});

it('what is no such record is not waited for, and says nothing', async () => {
  execFileSync('mkfifo', [rollout()]);
  expect(await outcomeOf(rollout())).toBe('ok');
  expect(await outcomeOf(join(world.base, 'rollout-none.jsonl'))).toBe('ok');
  writeFileSync(join(world.base, 'other.jsonl'), recorded('toolu_1', 'failed'));
  expect(await outcomeOf(join(world.base, 'other.jsonl'))).toBe('ok');
});
