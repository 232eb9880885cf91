/** The proxy as a process between a client and a real child. */
import { once } from 'node:events';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CliWorkspace, makeCliWorkspace } from '../../cli/cli-workspace.ts';
import { callText, startProxy } from './proxy-process.ts';

interface Snapshot {
  readonly tool: string | null;
  readonly call: string | null;
  readonly session: string | null;
  readonly label: string | null;
}

let workspace: CliWorkspace;

beforeAll(async () => {
  workspace = await makeCliWorkspace('store');
  await workspace.ok(['init', '--backend', 'store']);
});

afterAll(() => workspace[Symbol.asyncDispose]());

describe('ghostsnap mcp-proxy', () => {
  it('takes a snapshot before a tool runs, and going back takes the tool back', async () => {
    await using proxy = await startProxy({ workspace, flags: ['--no-trace', '--session', 's1'] });
    const file = join(workspace.path, 'src', 'main.ts');
    proxy.send(callText(7, 'write', { path: file }));
    expect(JSON.parse((await proxy.line()) ?? '')).toMatchObject({ id: 7 });
    expect(readFileSync(file, 'utf8')).toContain('written');
    const log = await workspace.json<Snapshot[]>(['log']);
    expect(log[0]).toMatchObject({ tool: 'write', call: '7', session: 's1' });
    await workspace.ok(['rollback', '@']);
    expect(readFileSync(file, 'utf8')).not.toContain('written');
    expect(await proxy.ended()).toEqual({ status: 0, signal: null, rest: '' });
  });

  it('spares the snapshot of a tool that the server declares read-only, until the list changes', async () => {
    await using proxy = await startProxy({ workspace });
    const tools = async (): Promise<(string | null)[]> =>
      (await workspace.json<Snapshot[]>(['log'])).map(({ tool }) => tool);
    const exchange = async (text: string): Promise<void> => {
      proxy.send(text);
      await proxy.line();
    };
    const before = await tools();
    await exchange(callText(1, 'look'));
    await exchange('{"jsonrpc":"2.0","id":2,"method":"tools/list"}\n');
    await exchange(callText(3, 'look'));
    expect(await tools()).toEqual(['look', ...before]);
    // The script says it back, as if the server had said it.
    await exchange('{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n');
    await exchange(callText(4, 'look'));
    expect(await tools()).toEqual(['look', 'look', ...before]);
  });

  it('believes no hint when the policy says so', async () => {
    using _config = configured({ mcp: { readOnlyHint: 'ignore' } });
    await using proxy = await startProxy({ workspace });
    proxy.send('{"jsonrpc":"2.0","id":2,"method":"tools/list"}\n');
    await proxy.line();
    proxy.send(callText('distrusted', 'look'));
    await proxy.line();
    const log = await workspace.json<Snapshot[]>(['log']);
    expect(log[0]).toMatchObject({ tool: 'look', call: '"distrusted"' });
  });

  it('answers a call whose snapshot fails, and does not run it', async () => {
    await using proxy = await startProxy({ workspace });
    const target = join(workspace.base, 'target');
    renameSync(workspace.path, `${workspace.path}-moved`);
    proxy.send(callText('a"b', 'write', { path: target }));
    const answer = JSON.parse((await proxy.line()) ?? '') as Record<string, unknown>;
    expect(answer).toMatchObject({ jsonrpc: '2.0', id: 'a"b', result: { isError: true } });
    expect(JSON.stringify(answer)).toContain('[WORKSPACE_GONE]');
    expect(() => readFileSync(target)).toThrow('ENOENT');
    renameSync(`${workspace.path}-moved`, workspace.path);
  });

  it('runs a call whose snapshot fails when the policy says "warn", and says so', async () => {
    using _config = configured({ mcp: { onSnapshotFailure: 'warn' } });
    await using proxy = await startProxy({ workspace });
    const target = join(workspace.base, 'warned');
    proxy.send(callText(1, 'look'));
    await proxy.line();
    renameSync(workspace.path, `${workspace.path}-moved`);
    proxy.send(callText(2, 'write', { path: target }));
    expect(JSON.parse((await proxy.line()) ?? '')).toMatchObject({ id: 2 });
    expect(readFileSync(target, 'utf8')).toBe('written\n');
    expect(proxy.stderr()).toContain('write runs without a snapshot');
    renameSync(`${workspace.path}-moved`, workspace.path);
  });

  it('does not start a server where there is no workspace, and says so', async () => {
    await using lost = await startProxy({
      workspace: { ...workspace, path: '/usr' },
      server: ['sh', '-c', 'echo started >&2'],
    });
    expect(await lost.ended()).toEqual({ status: 66, signal: null, rest: '' });
    expect(lost.stderr()).toContain('[WORKSPACE_NOT_FOUND]');
    expect(lost.stderr()).not.toContain('started');
  });

  it('passes on what is no JSON, long numbers, repeated keys, and half a line at the end', async () => {
    await using proxy = await startProxy({ workspace });
    const odd = [
      '{"id":9007199254740993,"x":1e999,"x":1,"method":"x\\/y"}\r\n',
      'no json at all \u0001\n',
      '\n',
      '[{"id":1,"method":"ping"},{"method":"y"}]\n',
      '{"id":1,"method":"half',
    ].join('');
    proxy.send(odd);
    const { rest, status } = await proxy.ended();
    expect(status).toBe(0);
    expect(readFileSync(proxy.record, 'utf8')).toBe(odd);
    expect(rest).toBe(`${odd.split('\n').slice(0, 4).join('\n')}\n`);
  });

  it('treats half a line at the end as the call it may be', async () => {
    await using proxy = await startProxy({ workspace });
    proxy.send(callText(1, 'look').trimEnd());
    await proxy.ended();
    expect(readFileSync(proxy.record, 'utf8')).toBe(callText(1, 'look').trimEnd());
    const log = await workspace.json<Snapshot[]>(['log']);
    expect(log[0]).toMatchObject({ tool: 'look' });
  });

  it('hands on half a line of a server that ends, its status, and its standard error', async () => {
    await using proxy = await startProxy({ workspace });
    proxy.send(callText(1, 'stderr'));
    await proxy.line();
    proxy.send(callText(2, 'half'));
    expect(await proxy.ended()).toEqual({
      status: 0,
      signal: null,
      rest: '{"jsonrpc":"2.0","id":',
    });
    expect(proxy.stderr()).toContain('a line on standard error');
  });

  it.each([
    ['exit', 3],
    ['kill', 128 + 9],
  ])('ends with the status of a server whose tool says %s', async (tool, status) => {
    await using proxy = await startProxy({ workspace });
    proxy.send(callText(1, tool));
    expect(await proxy.ended()).toEqual({ status, signal: null, rest: '' });
  });

  it('gives 127 for a server that is not there', async () => {
    await using proxy = await startProxy({ workspace, server: ['no-such-server-anywhere'] });
    const ended = await proxy.ended();
    expect(ended.status).toBe(127);
    expect(proxy.stderr()).toContain('no-such-server-anywhere was not found');
  });

  it('passes signals on', async () => {
    await using proxy = await startProxy({ workspace });
    proxy.send(callText(1, 'look'));
    await proxy.line();
    proxy.child.kill('SIGTERM');
    expect(await proxy.line()).toBeNull();
    expect((await proxy.ended()).status).toBe(41);
  });

  it('takes the server with it when it is killed', async () => {
    const script = 'echo $$; cat >/dev/null; echo over >&2';
    await using proxy = await startProxy({ workspace, server: ['sh', '-c', script] });
    await proxy.line();
    const over = once(proxy.child.stderr ?? proxy.child, 'data');
    proxy.child.kill('SIGKILL');
    // Standard error is the server's own: it tells that its input has ended.
    expect(String((await over)[0])).toBe('over\n');
  });

  it('hands on a result of 100 MB without holding it', async () => {
    const BIG_BYTES = 100 * 1024 * 1024;
    await using proxy = await startProxy({ workspace, env: { BIG_BYTES: String(BIG_BYTES) } });
    proxy.send(callText(1, 'big'));
    const { stdout } = proxy.child;
    if (stdout === null) throw new Error('The proxy has no output.');
    let sizeBytes = 0;
    let nextLookBytes = 0;
    let largestKiB = 0;
    for await (const chunk of stdout as AsyncIterable<Buffer>) {
      sizeBytes += chunk.length;
      if (sizeBytes >= nextLookBytes) {
        largestKiB = Math.max(largestKiB, residentKiB(proxy.child.pid));
        nextLookBytes = sizeBytes + 4 * 1024 * 1024;
      }
      if (chunk.at(-1) === 0x0a) break;
    }
    expect(sizeBytes).toBeGreaterThan(BIG_BYTES);
    expect(largestKiB).toBeGreaterThan(0);
    // A program of Node and this one's modules; the result is more than half of what is allowed.
    expect(largestKiB).toBeLessThan(190 * 1024);
  });
});

function configured(config: unknown): Disposable {
  const file = join(workspace.base, 'home', 'config.json');
  writeFileSync(file, JSON.stringify(config));
  return { [Symbol.dispose]: () => rmSync(file) };
}

function residentKiB(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0);
}
