import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type HookWorld, makeHookWorld, PROGRAM, post } from './hook-world.ts';

let world: HookWorld;

beforeEach(async () => {
  world = await makeHookWorld();
});

afterEach(() => world[Symbol.asyncDispose]());

function kill(pid: number | null): void {
  if (pid === null) throw new Error('no daemon');
  process.kill(pid, 'SIGKILL');
}

describe('a hook', () => {
  it('takes a snapshot without a daemon, says nothing, and leaves one running for the next', async () => {
    const { status, stdout, stderr } = await world.hook('PreToolUse');
    expect([status, stdout, stderr]).toEqual([0, '{}', '']);
    const [call] = await world.read((workspace) => workspace.listCalls());
    expect(call).toMatchObject({ tool: 'Bash', session: 's1', key: 'toolu_1', endedAt: null });
    expect(call?.snapshot).not.toBe(null);
    // Waits for the one that the hook has started: two cannot be.
    const started = JSON.parse((await world.program(['daemon', 'start', '--json'])).stdout);
    expect(started.pid).toBe(await world.daemonPid());
    expect(await world.ask('PostToolUse')).toBe('{}');
    expect(await world.read((workspace) => workspace.listCalls())).toMatchObject([
      { outcome: 'ok' },
    ]);
  });

  it('loses nothing when the daemon is killed between before and after', async () => {
    await world.program(['daemon', 'start']);
    expect(await world.ask('PreToolUse')).toBe('{}');
    const [before] = await world.read((workspace) => workspace.listCalls());
    kill(await world.daemonPid());
    rmSync(join(world.path, 'src'), { recursive: true });
    const after = await world.hook('PostToolUse');
    expect([after.status, after.stdout, after.stderr]).toEqual([0, '{}', '']);
    await world.program(['daemon', 'start']);
    const [ended] = await world.read((workspace) => workspace.listCalls());
    expect(ended).toMatchObject({ call: before?.call, outcome: 'ok' });
    expect((await world.program(['rollback', String(before?.snapshot)])).status).toBe(0);
    expect(readFileSync(join(world.path, 'src', 'main.ts'), 'utf8')).toBe('one\n');
  });

  it('works without any daemon when that is wanted, and counts what the call did', async () => {
    writeFileSync(join(world.base, 'home', 'config.json'), '{"agents":{"daemon":"off"}}');
    await world.hook('PreToolUse');
    rmSync(join(world.path, 'src'), { recursive: true });
    await world.hook('PostToolUse');
    expect(await world.read((workspace) => workspace.listCalls())).toMatchObject([
      { outcome: 'ok', changes: { added: 0, deleted: 2 } },
    ]);
    expect(await world.daemonPid()).toBe(null);
  });

  it('blocks with a reason when its payload is refused, and does nothing', async () => {
    for (const stdin of ['{"a":1,"a":2}', 'nonsense', '[]', '{"session_id":"s"}', '']) {
      const said = await world.program(['hook', 'run', 'claude-code', 'PreToolUse'], { stdin });
      const { hookSpecificOutput } = JSON.parse(said.stdout);
      expect(hookSpecificOutput.permissionDecision).toBe('deny');
      expect(hookSpecificOutput.permissionDecisionReason).toContain('BAD_ARGUMENT');
    }
    expect(await world.read((workspace) => workspace.listCalls())).toEqual([]);
    expect(await world.read((workspace) => workspace.list())).toHaveLength(1);
  });

  it('outside of any workspace tells the person once, and lets the tool run', async () => {
    const fields = { cwd: world.base };
    const first = JSON.parse((await world.hook('PreToolUse', fields)).stdout);
    expect(first.systemMessage).toContain(`ghostsnap init ${world.base}`);
    expect((await world.hook('PreToolUse', fields)).stdout).toBe('{}');
  });

  it('makes a workspace of the project around when that is wanted', async () => {
    writeFileSync(join(world.base, 'home', 'config.json'), '{"agents":{"autoInit":"always"}}');
    const project = join(world.base, 'other');
    execFileSync('mkdir', ['-p', join(project, '.git'), join(project, 'deep')]);
    expect((await world.hook('PreToolUse', { cwd: join(project, 'deep') })).stdout).toBe('{}');
    const log = await world.program(['log', '-w', project, '--json']);
    expect(JSON.parse(log.stdout)[0]).toMatchObject({ tool: 'Bash', session: 's1' });
  });
});

describe('the daemon', () => {
  it('is one: a second ends at once; a socket that was left over is replaced', async () => {
    await world.program(['daemon', 'start']);
    const pid = await world.daemonPid();
    expect((await world.program(['daemon', 'run'])).stderr).toContain('runs already');
    kill(pid);
    await world.program(['daemon', 'start']);
    expect(await world.daemonPid()).not.toBe(pid);
    expect(statSync(world.socket).mode & 0o777).toBe(0o600);
    expect(statSync(dirname(world.socket)).mode & 0o777).toBe(0o700);
  });

  it('ends by itself when nobody asks, and takes its socket along', async () => {
    const child = spawn(process.execPath, [PROGRAM, 'daemon', 'run'], {
      env: { ...world.environment.env, GHOSTSNAP_DAEMON_IDLE_MS: '300' },
      stdio: 'ignore',
    });
    const [status] = await once(child, 'exit');
    expect(status).toBe(0);
    expect(existsSync(world.socket)).toBe(false);
  });

  it('lets in this user and root, and nobody else, whatever the modes of its socket', async () => {
    await world.program(['daemon', 'start']);
    for (const path of [world.base, join(world.base, 'home'), dirname(world.socket)]) {
      chmodSync(path, 0o777);
    }
    chmodSync(world.socket, 0o777);
    const script = `require('net').connect(process.argv[1])
      .on('error', (e) => console.log(e.code)).on('close', () => console.log('closed'))
      .on('data', () => console.log('answered')).write('GET /status HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n');`;
    const child = spawn(process.execPath, ['-e', script, world.socket], { uid: 65_534, cwd: '/' });
    let said = '';
    child.stdout.on('data', (text: Buffer) => {
      said += text.toString();
    });
    await once(child, 'close');
    expect(said).toContain('closed');
    expect(said).not.toContain('answered');
    expect(await world.ask('PreToolUse')).toBe('{}');
  });

  it('wants its token on loopback', async () => {
    const record = join(world.base, 'home', 'daemon-http.json');
    await world.program(['hook', 'install', 'claude-code', '--http', '--yes']);
    expect(statSync(record).mode & 0o777).toBe(0o600);
    const { port, token } = JSON.parse(readFileSync(record, 'utf8'));
    await world.program(['daemon', 'start']);
    const path = '/hook/claude-code/PreToolUse';
    const body = world.payload('PreToolUse');
    for (const authorization of ['', 'Bearer x', `Bearer ${'x'.repeat(token.length)}`]) {
      await expect(post({ port }, path, body, { authorization })).rejects.toThrow('status 401');
    }
    const authorization = `Bearer ${token}`;
    expect(await post({ port }, path, body, { authorization })).toBe('{}');
    const settings = join(world.base, 'user', '.claude', 'settings.json');
    expect(statSync(settings).mode & 0o777).toBe(0o600);
    expect(readFileSync(settings, 'utf8')).toContain(token);
  });

  it('keeps two sessions and a subagent in one workspace apart, and says that they overlap', async () => {
    await world.program(['daemon', 'start']);
    await world.ask('UserPromptSubmit', { prompt: 'tidy up, the token is sk-abcdefghijklmnop' });
    await Promise.all([
      world.ask('PreToolUse', { tool_use_id: 'a' }),
      world.ask('PreToolUse', { tool_use_id: 'b', session_id: 's2' }),
      world.ask('PreToolUse', { tool_use_id: 'c', agent_id: 'agent' }),
    ]);
    await world.ask('PostToolUse', { tool_use_id: 'b', session_id: 's2' });
    await world.ask('PostToolUse', { tool_use_id: 'a' });
    await world.ask('SessionEnd');
    const { calls, sessions, prompts } = await world.read((workspace) => ({
      calls: workspace.listCalls(),
      sessions: workspace.listSessions(),
      prompts: workspace.listPrompts(),
    }));
    expect(new Set(calls.map(({ snapshot }) => snapshot)).size).toBe(3);
    for (const call of calls) expect(call.overlaps).toHaveLength(2);
    const byKey = Object.fromEntries(calls.map((call) => [call.key, call]));
    expect([byKey.a?.outcome, byKey.b?.outcome, byKey.c?.outcome]).toEqual(['ok', 'ok', 'unknown']);
    const [prompt] = prompts;
    expect(prompt?.text).toBe('tidy up, the token is [redacted]');
    expect([byKey.a?.prompt, byKey.b?.prompt, byKey.c?.prompt]).toEqual([
      ...[prompt?.prompt, null, prompt?.prompt],
    ]);
    expect(sessions.map(({ session, parent }) => [session, parent]).sort()).toEqual([
      ...[
        ['s1', null],
        ['s1/agent', 's1'],
        ['s2', null],
      ],
    ]);
  });

  it('survives any bytes at its door', async () => {
    await world.program(['daemon', 'start']);
    const bodies = [
      '',
      '{',
      '['.repeat(100_000),
      `"${'x'.repeat(1_000_000)}"`,
      '\0\0',
      '{"a":1e999}',
    ];
    for (const body of bodies) {
      for (const path of [
        '/hook/claude-code/PreToolUse',
        '/hook/none/x',
        '/hook/../x',
        '/',
        '/stop2',
      ]) {
        await post({ socketPath: world.socket }, path, body).catch(() => 'refused');
      }
    }
    expect(await world.ask('PreToolUse')).toBe('{}');
    expect(await world.read((workspace) => workspace.listCalls())).toHaveLength(1);
  });
});

describe('a full pool during a tool call', () => {
  it('blocks the next tool that may change things, lets others run, and mends when there is room', async () => {
    let tmpfs = '';
    const full = await makeHookWorld({
      pool: (base) => {
        tmpfs = join(base, 'pool');
        execFileSync('mkdir', [tmpfs]);
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'none', tmpfs]);
        return tmpfs;
      },
    });
    try {
      await full.program(['daemon', 'start']);
      expect(await full.ask('PreToolUse', { tool_use_id: '1' })).toBe('{}');
      execFileSync('sh', ['-c', `head -c 64m /dev/zero > ${tmpfs}/filler || true`], {
        stdio: 'ignore',
      });
      writeFileSync(join(full.path, 'large'), Buffer.alloc(1_000_000, 'abc'));
      expect(await full.ask('PostToolUse', { tool_use_id: '1' })).toBe('{}');
      const denied = await full.ask('PreToolUse', { tool_use_id: '2' });
      expect(denied).toContain('"permissionDecision":"deny"');
      expect(denied).toContain('POOL_FULL');
      expect(await full.ask('PreToolUse', { tool_use_id: '3', tool_name: 'Read' })).toBe('{}');
      rmSync(join(tmpfs, 'filler'));
      expect(await full.ask('PreToolUse', { tool_use_id: '4' })).toBe('{}');
      const calls = await full.read((workspace) =>
        workspace.listCalls().map(({ key, outcome }) => [key, outcome]),
      );
      expect(calls).toEqual([
        ['4', null],
        ['3', null],
        ['2', 'blocked'],
        ['1', 'ok'],
      ]);
      await full.program(['daemon', 'stop']);
    } finally {
      execFileSync('umount', ['-l', tmpfs]);
      await full[Symbol.asyncDispose]();
    }
  });
});
