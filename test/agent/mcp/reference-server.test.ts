/**
 * The official client and the official reference server, once without and once with the proxy between
 * them, over pipes and over HTTP: nobody notices the proxy.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type CliWorkspace, makeCliWorkspace } from '../../cli/cli-workspace.ts';
import { freePort } from '../../free-port.ts';
import { START } from './proxy-process.ts';
import { EVERYTHING, runReferenceScenario } from './reference-scenario.ts';

let workspace: CliWorkspace;

beforeAll(async () => {
  workspace = await makeCliWorkspace('store');
  await workspace.ok(['init', '--backend', 'store']);
});

afterAll(() => workspace[Symbol.asyncDispose]());

function started(args: readonly string[]): StdioClientTransport {
  return new StdioClientTransport({
    command: process.execPath,
    args: [...args],
    env: { PATH: process.env.PATH ?? '', GHOSTSNAP_HOME: join(workspace.base, 'home') },
    stderr: 'ignore',
  });
}

const proxied = (...args: readonly string[]): StdioClientTransport =>
  started([START, '-w', workspace.path, 'mcp-proxy', ...args]);

it('over pipes: the same answers, progress, sampling, elicitation, errors and cancellation', async () => {
  const direct = await runReferenceScenario(started([EVERYTHING]));
  expect(direct.asked).toEqual(['sampling', 'elicitation', 'progress 1/3', 'progress 2/3']);
  const through = await runReferenceScenario(proxied('--', process.execPath, EVERYTHING));
  expect(through).toEqual(direct);
  const log = await workspace.json<{ tool: string | null }[]>(['log']);
  const tools = log.map(({ tool }) => tool);
  expect(tools).toContain('trigger-sampling-request');
  expect(tools).not.toContain('get-sum');
});

it('over HTTP: the same', async () => {
  const port = await freePort();
  const server: ChildProcess = spawn(process.execPath, [EVERYTHING, 'streamableHttp'], {
    env: { ...process.env, PORT: String(port) },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  try {
    let said = '';
    server.stderr?.setEncoding('utf8');
    while (!said.includes('listening') && server.stderr !== null) {
      said += String((await once(server.stderr, 'data'))[0]);
    }
    const url = new URL(`http://127.0.0.1:${port}/mcp`);
    const direct = await runReferenceScenario(new StreamableHTTPClientTransport(url));
    const through = await runReferenceScenario(proxied('--url', url.href));
    expect(through).toEqual(direct);
  } finally {
    server.kill('SIGKILL');
  }
});
