/**
 * The command that harnesses run, when something is in its way. To most of them a status other than 2 is a hook
 * that failed, after which the tool runs; at other events 2 would stop a prompt, or keep a subagent from ending.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { HookConnection } from '../../src/agent/install/installer.ts';
import { prepareConnection } from '../../src/daemon/hook-script.ts';
import { PROGRAM as OWN_PROGRAM } from '../../src/daemon/own-files.ts';
import { type HookWorld, makeHookWorld } from './hook-world.ts';

let world: HookWorld;
let connection: HookConnection;
let script: string;

beforeEach(async () => {
  world = await makeHookWorld({ config: { agents: { daemon: 'off' } } });
  const { environment } = world;
  connection = await prepareConnection({ environment, scope: 'user', way: 'command' });
  script = join(world.base, 'home', 'hooks', 'ghostsnap-hook.sh');
});

afterEach(() => world[Symbol.asyncDispose]());

/** As a harness runs it: by a shell, the payload on standard input. */
function run(event: string): Promise<{ readonly status: unknown; readonly stderr: string }> {
  const { promise, resolve } = Promise.withResolvers<{ status: unknown; stderr: string }>();
  const env = { ...world.environment.env, PATH: `${world.base}/bin:${process.env.PATH}` };
  const child = execFile(
    'bash',
    ['-c', connection.command('claude-code', event)],
    { env, cwd: world.path },
    (error, _, stderr) => resolve({ status: error === null ? 0 : error.code, stderr }),
  );
  child.stdin?.on('error', () => {});
  child.stdin?.end(world.payload(event));
  return promise;
}

const others = ['PostToolUse', 'UserPromptSubmit', 'SubagentStop'] as const;

it('a daemon that hangs stops the tool, and nothing else', async () => {
  mkdirSync(join(world.base, 'bin'));
  // How curl ends when it has waited as long as it may.
  writeFileSync(join(world.base, 'bin', 'curl'), '#!/bin/sh\nexit 28\n', { mode: 0o755 });
  const before = await run('PreToolUse');
  expect(before.status).toBe(2);
  expect(before.stderr).toContain('The daemon gives no answer');
  expect(await run('SubagentStop')).toEqual({ status: 0, stderr: '' });
});

it('a program that is gone stops the tool, and nothing else', async () => {
  writeFileSync(script, readFileSync(script, 'utf8').replaceAll(OWN_PROGRAM, '/gone/ghostsnap.js'));
  const before = await run('PreToolUse');
  expect(before.status).toBe(2);
  expect(before.stderr).toContain('Install it again');
  for (const event of others) expect(await run(event)).toEqual({ status: 0, stderr: '' });
});

it('a script that was deleted, or dies, stops the tool', async () => {
  writeFileSync(script, 'kill -9 $$\n');
  expect((await run('PreToolUse')).status).toBe(2);
  rmSync(script);
  expect((await run('PreToolUse')).status).toBe(2);
  expect((await run('SubagentStop')).status).not.toBe(0);
});

it('a configuration that is broken stops the tool, and no prompt', async () => {
  writeFileSync(join(world.base, 'home', 'config.json'), '{"agents":{"daemon":1}}');
  const before = await run('PreToolUse');
  expect(before).toMatchObject({ status: 2, stderr: expect.stringContaining('daemon') });
  for (const event of others) {
    expect(await run(event)).toMatchObject({
      status: 0,
      stderr: expect.stringContaining('daemon'),
    });
  }
});
