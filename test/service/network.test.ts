/** The service over the network: TLS, principals, the audit log, and the client as anybody uses it. */
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import http2 from 'node:http2';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Client, createClient } from '../../src/api/client/client.ts';
import { TlsWorld } from '../api/tls/tls-world.ts';
import { ServiceWorld } from './service-world.ts';

let world: ServiceWorld;
let certificates: TlsWorld;
let port = 0;
let listen: Readonly<Record<string, unknown>> = {};
const clients: Client[] = [];

/** A template that everybody may clone belongs to the tenant of the machine. */
const RULES = [
  { id: 'spiffe://a.example/{tenant}/agent', role: 'agent' },
  { id: 'spiffe://a.example/{tenant}/reader', role: 'reader' },
  { id: 'spiffe://a.example/{tenant}/operator', role: 'operator' },
];

const TRACE = {
  ...{ trace: '4bf92f3577b34da6a3ce929d0e0e4736', span: '00f067aa0ba902b7' },
  traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
};

function writePolicy(rules: unknown): void {
  const policy = { format: 1, trustDomain: 'a.example', rules };
  writeFileSync(`${certificates.folder}/access.json`, JSON.stringify(policy));
}

beforeAll(async () => {
  certificates = await TlsWorld.create();
  for (const tenant of ['blue', 'red']) {
    for (const role of ['agent', 'reader', 'operator']) {
      const client = `spiffe://a.example/${tenant}/${role}`;
      await certificates.issue(`${tenant}-${role}`, { client });
    }
  }
  await certificates.issue('stranger', { client: 'spiffe://b.example/blue/operator' });
  writePolicy(RULES);
  const { ca: clientCa, ...files } = certificates.files();
  const at = { access: `${certificates.folder}/access.json`, audit: audit() };
  listen = { host: '127.0.0.1', port: 0, ...files, clientCa, ...at };
  world = await ServiceWorld.make({ listen });
  port = Number(world.log.find(({ message }) => message === 'listening')?.port);
});
afterAll(async () => {
  for (const client of clients) await client.close();
  await world?.[Symbol.asyncDispose]();
  await certificates?.[Symbol.asyncDispose]();
});

function audit(): string {
  return `${certificates.folder}/audit.log`;
}

function audited(): Record<string, unknown>[] {
  return readFileSync(audit(), 'utf8')
    .split('\n')
    .flatMap((line) => (line === '' ? [] : [JSON.parse(line)]));
}

function as(name: string): Client {
  const tls = certificates.credentials(name);
  const client = createClient({ endpoints: [`https://localhost:${port}`], tls });
  clients.push(client);
  return client;
}

/** Asks on one stream of frames and ends it; the answers in the order of their questions. */
async function framesAs(
  name: string,
  frames: readonly object[],
  path = '/v1/frames',
): Promise<{ id: number }[]> {
  const session = http2.connect(`https://localhost:${port}`, certificates.credentials(name));
  try {
    const stream = session.request({
      ...{ ':method': 'POST', ':path': path, 'content-type': 'application/x-ndjson' },
    });
    stream.end(frames.map((frame) => `${JSON.stringify(frame)}\n`).join(''));
    const [headers] = await once(stream, 'response');
    if (headers[':status'] !== 200) throw new Error(`refused with ${headers[':status']}`);
    const lines = (await text(stream)).split('\n').filter((line) => line !== '');
    return lines.map((line) => JSON.parse(line)).sort((a, b) => a.id - b.id);
  } finally {
    session.destroy();
  }
}

describe('the service over the network', () => {
  it('serves a tool call of an agent from its begin to its rollback, and writes down who went back', async () => {
    const operator = as('blue-operator');
    const { workspace, path } = await operator.createWorkspace({ template: world.template });
    const agent = as('blue-agent');
    const about = { workspace, session: 's', harness: 'test' };
    const begun = await agent.beginCall({ ...about, tool: 'bash', key: '1' });
    writeFileSync(`${path}/src/a.txt`, 'destroyed');
    await agent.endCall({ workspace, call: begun.call, outcome: 'ok' });
    const { changes } = await agent.diff({ workspace, from: String(begun.snapshot) });
    expect(changes.map((change) => change.path)).toEqual(['src/a.txt']);
    const { traceparent, ...ids } = TRACE;
    const to = { workspace, target: String(begun.snapshot) };
    const turn = await agent.rollback(to, { traceparent });
    expect(readFileSync(`${path}/src/a.txt`, 'utf8')).toBe('template');
    const lines = audited().filter((line) => line.workspace === workspace);
    expect(lines).toMatchObject([
      { event: 'turn.asked', who: 'spiffe://a.example/blue/agent', target: begun.snapshot, ...ids },
      { event: 'turn.done', operation: 'rollback', turn: turn.operation, ...ids },
    ]);
    const seen: string[] = [];
    for await (const { type } of agent.followEvents({ workspace })) {
      seen.push(type);
      if (type === 'turn.completed') break;
    }
    expect(seen).toContain('call.begun');
  });

  it('answers frames on one stream as it answers requests, each judged on its own', async () => {
    const { workspace } = await as('blue-operator').createWorkspace({ template: world.template });
    const about = { workspace, session: 's', harness: 'test' };
    const input = { ...about, tool: 'bash', key: '1' };
    const [begun, foreign] = await framesAs('blue-agent', [
      { id: 1, operation: 'beginCall', key: 'k1', input },
      { id: 2, operation: 'createWorkspace', key: 'k2', input: { template: world.template } },
    ]);
    expect(begun).toMatchObject({ id: 1, status: 201, output: { snapshot: expect.any(String) } });
    expect(foreign).toMatchObject({ id: 2, status: 403, problem: { code: 'NOT_PERMITTED' } });
    const { calls } = await as('blue-reader').listCalls({ workspace });
    expect(calls.map(({ key }) => key)).toEqual(['1']);
    await expect(framesAs('stranger', [])).rejects.toThrow('403');
    await expect(framesAs('blue-operator', [], '/v1/workspaces')).rejects.toThrow('415');
  });

  it('judges a call by the policy also when its end comes as a frame', async () => {
    const { workspace, path } = await as('blue-operator').createWorkspace({
      template: world.template,
    });
    const rules = [{ rule: 'deleted-files', max: 0, action: 'rollback' }];
    world.configure({ listen, policy: { rules } });
    world.reload();
    const about = { workspace, session: 's', harness: 'test', tool: 'bash', key: '1' };
    const { call } = await as('blue-agent').beginCall(about);
    rmSync(`${path}/src/a.txt`);
    const [ended] = await framesAs('blue-agent', [
      { id: 1, operation: 'endCall', key: 'e1', input: { workspace, call, outcome: 'ok' } },
    ]);
    world.configure({ listen });
    world.reload();
    expect(ended).toMatchObject({ status: 200, output: { judged: { action: 'rollback' } } });
    expect(readFileSync(`${path}/src/a.txt`, 'utf8')).toBe('template');
    const lines = audited().filter((line) => line.workspace === workspace);
    expect(lines).toMatchObject([
      { event: 'turn.asked', operation: 'policyRollback', who: 'spiffe://a.example/blue/agent' },
      { event: 'turn.done', target: call },
    ]);
  });

  it('refuses what is not theirs, another tenant’s as what does not exist, and writes it down', async () => {
    const { workspace } = await as('blue-operator').createWorkspace({ template: world.template });
    const reader = as('blue-reader');
    expect(await reader.getWorkspace({ workspace })).toMatchObject({ workspace });
    await expect(reader.takeSnapshot({ workspace })).rejects.toMatchObject({
      code: 'NOT_PERMITTED',
    });
    const foreign = await as('red-operator')
      .getWorkspace({ workspace })
      .catch((error: unknown) => error);
    const unknown = await as('red-operator')
      .getWorkspace({ workspace: 'ws_01JDSB0000000000000000000A' })
      .catch((error: unknown) => error);
    expect(foreign).toMatchObject({ code: 'WORKSPACE_NOT_FOUND' });
    expect(unknown).toMatchObject({ code: 'WORKSPACE_NOT_FOUND' });
    expect(await as('red-operator').listWorkspaces({})).toMatchObject({ workspaces: [] });
    await expect(as('stranger').listWorkspaces({})).rejects.toMatchObject({
      code: 'NOT_PERMITTED',
    });
    // A turn is written when its answer comes, and with it every line before.
    await expect(as('blue-agent').undo({ workspace })).rejects.toMatchObject({
      code: 'NOTHING_TO_UNDO',
    });
    expect(audited().map(({ who, claims, reason }) => [who ?? claims, reason])).toEqual(
      expect.arrayContaining([
        ['spiffe://a.example/blue/reader', 'role'],
        ['spiffe://a.example/red/operator', 'tenant'],
        ['spiffe://b.example/blue/operator', 'nobody'],
      ]),
    );
  });

  it('takes a changed policy on SIGHUP, and keeps the old one when the new one is wrong', async () => {
    const agent = as('blue-agent');
    await agent.listWorkspaces({});
    writePolicy([]);
    world.reload();
    await expect(agent.listWorkspaces({})).rejects.toMatchObject({ code: 'NOT_PERMITTED' });
    writePolicy([{ id: 'nonsense', role: 'agent' }]);
    world.reload();
    expect(world.log.at(-1)).toMatchObject({ level: 'error' });
    // Wrong in the configuration, the certificate and the policy: all of it is told.
    world.configure({
      ...{ listen: { ...listen, certificate: '/no/cert' }, adoptBelow: ['/no/where'] },
    });
    world.reload();
    const told = JSON.stringify(world.log.at(-1));
    for (const what of ['/no/where', '/no/cert', 'access.json: rules.0']) {
      expect(told).toContain(what);
    }
    world.configure({ listen });
    writePolicy(RULES);
    world.reload();
    await agent.listWorkspaces({});
  });

  it('no bad request reaches the host', async () => {
    const { workspace } = await as('blue-operator').createWorkspace({ template: world.template });
    const before = await as('blue-reader').getWorkspaceUsage({ workspace });
    const session = http2.connect(
      `https://localhost:${port}`,
      certificates.credentials('blue-agent'),
    );
    const post = async (body: string, headers = {}): Promise<number> => {
      const stream = session.request({
        ...{ ':method': 'POST', ':path': `/v1/workspaces/${workspace}/snapshots` },
        ...{ 'content-type': 'application/json', 'idempotency-key': `${Math.random()}` },
        ...headers,
      });
      stream.end(body);
      stream.resume();
      const { promise, resolve } = Promise.withResolvers<number>();
      stream.on('response', (head) => resolve(Number(head[':status'])));
      stream.on('error', () => resolve(0));
      return await promise;
    };
    for (const body of [
      '{"label":"a","label":"b"}',
      '{"__proto__":{"label":"a"}}',
      '{"label":1e999}',
      '{"label":"a","extra":1}',
      '{"label":"\\ud83d"}',
      `${'['.repeat(40)}${']'.repeat(40)}`,
      `{"label":"${'a'.repeat(70_000)}"}`,
      '{"label":',
      '[]',
      'null ,',
    ]) {
      expect(await post(body), body.slice(0, 40)).toBeGreaterThanOrEqual(400);
    }
    expect(await post('{}', { ':path': `/v1/workspaces/${workspace}/../x` })).toBe(400);
    expect(await post('{}', { 'content-type': 'text/plain' })).toBe(415);
    session.close();
    expect(await as('blue-reader').getWorkspaceUsage({ workspace })).toEqual(before);
  });

  it('a tenant that begins thousands of bodies and ends none holds a bounded memory, and only its own', async () => {
    const held: http2.ClientHttp2Session[] = [];
    const statuses: number[] = [];
    const before = process.memoryUsage().arrayBuffers;
    for (let n = 0; n < 20; n += 1) {
      const session = http2.connect(
        `https://localhost:${port}`,
        certificates.credentials('red-agent'),
      );
      session.on('error', () => undefined);
      held.push(session);
    }
    const answered = Promise.withResolvers<void>();
    for (const session of held) {
      for (let n = 0; n < 50; n += 1) {
        const stream = session.request({
          ...{ ':method': 'POST', ':path': '/v1/workspaces', 'content-type': 'application/json' },
          'idempotency-key': 'k',
        });
        stream.on('error', () => undefined);
        stream.on('response', (head) => {
          statuses.push(Number(head[':status']));
          if (statuses.length === 1000) answered.resolve();
        });
        stream.write(Buffer.alloc(60_000, 0x20));
        stream.resume();
      }
    }
    // An agent may not make workspaces: refused before a byte of a body is held.
    await answered.promise;
    expect(new Set(statuses)).toEqual(new Set([403]));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(200_000_000);
    expect(await as('blue-reader').listWorkspaces({})).toHaveProperty('workspaces');
    for (const session of held) session.destroy();
  });
});
