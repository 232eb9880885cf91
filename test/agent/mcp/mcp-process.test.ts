/** `ghostsnap mcp` as a client starts it, over pipes and over HTTP. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readFileSync, statSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CliWorkspace, makeCliWorkspace } from '../../cli/cli-workspace.ts';
import { START } from './proxy-process.ts';

let workspace: CliWorkspace;

beforeAll(async () => {
  workspace = await makeCliWorkspace('store');
  await workspace.ok(['init', '--backend', 'store']);
});

afterAll(() => workspace[Symbol.asyncDispose]());

const home = (): string => join(workspace.base, 'home');

it('serves over pipes, and ends with its client', async () => {
  const client = new Client({ name: 'test', version: '1.0.0' });
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [START, '-w', workspace.path, 'mcp'],
    env: { PATH: process.env.PATH ?? '', GHOSTSNAP_HOME: home() },
    stderr: 'ignore',
  });
  await client.connect(transport);
  const { structuredContent } = await client.callTool({ name: 'snapshot', arguments: {} });
  const [newest] = await workspace.json<{ id: string }[]>(['log']);
  expect(structuredContent).toMatchObject({ id: newest?.id });
  await client.close();
});

interface Listening extends AsyncDisposable {
  readonly url: URL;
  readonly token: string;
  ask(
    headers: http.OutgoingHttpHeaders,
    options?: http.RequestOptions & { body?: string },
  ): Promise<number>;
}

async function listen(): Promise<Listening> {
  const child = spawn(process.execPath, [START, '-w', workspace.path, 'mcp', '--http'], {
    env: { ...process.env, GHOSTSNAP_HOME: home(), NO_COLOR: '1' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8');
  while (!said.includes('\n')) said += String((await once(child.stderr, 'data'))[0]);
  const [, address = '', file = ''] = /on (\S+); the token is in (.+)\n/.exec(said) ?? [];
  const url = new URL(address);
  const token = readFileSync(file, 'utf8').trim();
  return {
    ...{ url, token },
    ask: async (headers, { body = '', ...options } = {}) => {
      const request = http.request(url, { method: 'POST', ...options, headers });
      request.on('error', () => url.href);
      request.end(body);
      const [response] = (await once(request, 'response')) as [http.IncomingMessage];
      response.resume();
      return response.statusCode ?? 0;
    },
    [Symbol.asyncDispose]: async () => {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      const [status] = await ended;
      expect(status).toBe(0);
    },
  };
}

describe('over HTTP', () => {
  it('serves several clients with the token, from a file that only its owner reads', async () => {
    await using listening = await listen();
    expect(statSync(join(home(), 'mcp-token')).mode & 0o777).toBe(0o600);
    const connect = async (): Promise<Client> => {
      const client = new Client({ name: 'test', version: '1.0.0' });
      const headers = { authorization: `Bearer ${listening.token}` };
      await client.connect(
        new StreamableHTTPClientTransport(listening.url, { requestInit: { headers } }),
      );
      return client;
    };
    const clients = await Promise.all([connect(), connect()]);
    for (const client of clients) {
      const { structuredContent } = await client.callTool({ name: 'list', arguments: {} });
      expect(structuredContent).toHaveProperty('snapshots');
      await client.close();
    }
  });

  it('refuses what is not from this machine or has no token, before it reads anything', async () => {
    await using listening = await listen();
    const { ask, token, url } = listening;
    const authorization = `Bearer ${token}`;
    const json = {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
    };
    const body = JSON.stringify({
      ...{ jsonrpc: '2.0', id: 1, method: 'initialize' },
      params: {
        protocolVersion: '2025-06-18',
        capabilities: {},
        clientInfo: { name: 'x', version: '1' },
      },
    });
    expect(await ask({ ...json, authorization }, { body })).toBe(200);
    expect(await ask({ ...json, authorization, origin: 'http://localhost:3000' }, { body })).toBe(
      200,
    );
    expect(await ask(json, { body })).toBe(401);
    expect(await ask({ ...json, authorization: `${authorization}x` }, { body })).toBe(401);
    expect(await ask({ ...json, authorization, origin: 'https://evil.example' }, { body })).toBe(
      403,
    );
    expect(await ask({ ...json, authorization, origin: 'null' }, { body })).toBe(403);
    expect(await ask({ ...json, authorization, host: `evil.example:${url.port}` }, { body })).toBe(
      403,
    );
    expect(await ask({ ...json, authorization }, { body, path: '/other' })).toBe(404);
    expect(await ask({ ...json, authorization, 'mcp-session-id': 'none' }, { body })).toBe(404);
    expect(await ask({ ...json, authorization }, { body: '['.repeat(900_000) })).toBe(413);
    expect(await ask({ ...json, authorization }, { body: 'x'.repeat(2_000_000) })).toBe(413);
    // And it is still there.
    expect(await ask({ ...json, authorization }, { body })).toBe(200);
  });

  it('refuses a token file that others can read', async () => {
    chmodSync(join(home(), 'mcp-token'), 0o644);
    const { status, stderr } = await workspace.cli(['mcp', '--http']);
    expect([status, stderr.includes('can be read by others')]).toEqual([64, true]);
  });
});
