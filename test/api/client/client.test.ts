/** The client against a real HTTP/2 listener with our TLS: what it sends, repeats, and gives up. */
import type http2 from 'node:http2';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Client, clientOver, createClient } from '../../../src/api/client/client.ts';
import { Http2Pool } from '../../../src/api/client/http2-pool.ts';
import { requestOf } from '../../../src/api/client/request-of.ts';
import { RetryBudget, retryAfterOf } from '../../../src/api/client/retry-policy.ts';
import { serverSentEvents } from '../../../src/api/client/server-sent-events.ts';
import { DRAIN_MS } from '../../../src/api/tls/live-connections.ts';
import { readTlsMaterial } from '../../../src/api/tls/tls-material.ts';
import { TlsWorld } from '../tls/tls-world.ts';

const WORKSPACE = 'ws_01JDSB0000000000000000000A';

let world: TlsWorld;
const clients: Client[] = [];
beforeEach(async () => {
  world = await TlsWorld.create();
  await world.issue('agent', { client: 'spiffe://a.example/agents/1' });
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
  await world[Symbol.asyncDispose]();
});

type Handler = (request: http2.Http2ServerRequest, response: http2.Http2ServerResponse) => void;

function connect(...ports: readonly number[]): Client {
  const endpoints = ports.map((port) => `https://localhost:${port}`);
  const client = createClient({ endpoints, tls: world.credentials('agent'), timeoutMs: 20_000 });
  clients.push(client);
  return client;
}

function answer(response: http2.Http2ServerResponse, value: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

const busy = { code: 'OVERLOADED', kind: 'transient', detail: 'Busy.', retryable: true, data: {} };

/** Answers the first ones with `before`, then with what it was asked. */
function answering(count: number, before: Handler): { readonly handler: Handler; seen: string[] } {
  const seen: string[] = [];
  const handler: Handler = (request, response) => {
    seen.push(String(request.headers['idempotency-key']));
    if (seen.length <= count) before(request, response);
    else answer(response, { asked: `${request.method} ${request.url}` });
  };
  return { handler, seen };
}

describe('a request', () => {
  it('carries its fields in path, query and body, its key, its deadline and its trace', async () => {
    const seen: Record<string, unknown>[] = [];
    const { port } = await world.listen((request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      request.on('end', () => {
        const { method, url, headers } = request;
        seen.push({ method, url, body, headers });
        answer(response, {});
      });
    });
    const client = connect(port);
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    await client.rollback({ workspace: WORKSPACE, target: '@~2' }, { traceparent });
    await client.diff({ workspace: WORKSPACE, from: 'a b+c', paths: ['x/y', 'z'], limit: 5 });
    expect(seen[0]).toMatchObject({
      ...{ method: 'POST', url: `/v1/workspaces/${WORKSPACE}/rollback`, body: '{"target":"@~2"}' },
      headers: { traceparent, 'content-type': 'application/json' },
    });
    const { headers } = seen[0] as { headers: Record<string, string> };
    expect(headers['idempotency-key']).toMatch(/^[0-9a-f-]{36}$/);
    expect(Number(headers['ghostsnap-timeout-ms'])).toBeGreaterThan(10_000);
    expect(seen[1]).toMatchObject({
      ...{ method: 'GET', body: '' },
      url: `/v1/workspaces/${WORKSPACE}/diff?from=a%20b%2Bc&paths=x%2Fy&paths=z&limit=5`,
    });
    expect((seen[1] as { headers: object }).headers).not.toHaveProperty('idempotency-key');
  });

  it('is sent again with the same key when the service is busy, and gives the answer', async () => {
    const { handler, seen } = answering(1, (_, response) => {
      answer(response, busy, 503);
    });
    const { port } = await world.listen(handler);
    expect(await connect(port).undo({ workspace: WORKSPACE })).toEqual({
      asked: `POST /v1/workspaces/${WORKSPACE}/undo`,
    });
    expect(seen).toHaveLength(2);
    expect(seen[0]).toBe(seen[1]);
  });

  it('is sent again when the connection breaks in the midst of it', async () => {
    const { handler, seen } = answering(1, (request) => {
      request.stream.session?.destroy();
    });
    const { port } = await world.listen(handler);
    expect(await connect(port).undo({ workspace: WORKSPACE })).toHaveProperty('asked');
    expect(new Set(seen).size).toBe(1);
  });

  it('is not sent again when it is wrong, and the error is the service’s own', async () => {
    const { handler, seen } = answering(9, (_, response) => {
      const problem = { ...busy, code: 'SNAPSHOT_NOT_FOUND', detail: 'No.', retryable: false };
      answer(response, { ...problem, hint: 'Look.', data: { spec: 'x' } }, 404);
    });
    const { port } = await world.listen(handler);
    await expect(connect(port).undo({ workspace: WORKSPACE })).rejects.toMatchObject({
      ...{ code: 'SNAPSHOT_NOT_FOUND', kind: 'not-found', message: 'No.', hint: 'Look.' },
      data: { spec: 'x' },
    });
    expect(seen).toHaveLength(1);
  });

  it('is given up at its deadline and when its caller says so', async () => {
    const { port } = await world.listen(() => undefined);
    const client = connect(port);
    await expect(client.undo({ workspace: WORKSPACE }, { timeoutMs: 50 })).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
    const abort = new AbortController();
    const asked = client.undo({ workspace: WORKSPACE }, { signal: abort.signal });
    abort.abort();
    await expect(asked).rejects.toMatchObject({ code: 'INTERRUPTED' });
  });

  it('says that nobody answers, and that a page of a proxy is no answer of ours', async () => {
    const { handler } = answering(9, (_, response) => {
      response.writeHead(404).end('<html>');
    });
    const { port } = await world.listen(handler);
    const asked = connect(port).undo({ workspace: WORKSPACE });
    await expect(asked).rejects.toMatchObject({ code: 'UNREACHABLE', data: { status: 404 } });
    const odd = answering(9, (_, response) => {
      response.writeHead(404).end('{"code":"constructor","detail":"none of ours"}');
    });
    const strange = connect((await world.listen(odd.handler)).port).undo({ workspace: WORKSPACE });
    await expect(strange).rejects.toMatchObject({ code: 'UNREACHABLE', data: { status: 404 } });
    const nobody = connect(1).undo({ workspace: WORKSPACE }, { timeoutMs: 5000 });
    await expect(nobody).rejects.toMatchObject({ code: 'UNREACHABLE' });
  });
});

describe('connections', () => {
  it('one is enough for many requests at once, and a second endpoint stands in for a dead one', async () => {
    const { port, connections } = await world.listen((_, response) => answer(response, {}));
    const client = connect(1, port);
    await client.undo({ workspace: WORKSPACE });
    await Promise.all(Array.from({ length: 100 }, () => client.undo({ workspace: WORKSPACE })));
    expect(connections.count).toBe(1);
  });

  it('an exchange of certificates is not noticed by anybody', async () => {
    const served = new Map<string, number>();
    const { port, connections } = await world.listen((request, response) => {
      const key = String(request.headers['idempotency-key']);
      served.set(key, (served.get(key) ?? 0) + 1);
      answer(response, {});
    });
    const client = connect(port);
    for (let round = 0; round < 20; round += 1) {
      const asked = Array.from({ length: 20 }, () => client.undo({ workspace: WORKSPACE }));
      if (round === 5) {
        connections.exchange(readTlsMaterial(world.files(), Date.now()));
        world.timers.pass(DRAIN_MS);
      }
      await Promise.all(asked);
    }
    expect(served.size).toBe(400);
    expect(new Set(served.values())).toEqual(new Set([1]));
  });

  it('a client whose certificate was not issued here gets no further than the handshake', async () => {
    let requests = 0;
    const { port } = await world.listen((_, response) => {
      requests += 1;
      answer(response, {});
    });
    const tls = world.credentials('server');
    const client = createClient({ endpoints: [`https://localhost:${port}`], tls, timeoutMs: 5000 });
    clients.push(client);
    await expect(client.undo({ workspace: WORKSPACE })).rejects.toMatchObject({
      code: 'UNREACHABLE',
    });
    expect(requests).toBe(0);
  });
});

describe('events', () => {
  it('come each once and in order, over streams that break anywhere', async () => {
    let streams = 0;
    const { port } = await world.listen((request, response) => {
      streams += 1;
      const from = Number(request.headers['last-event-id']) + 1;
      const text = (n: number): string =>
        `id: ${n}\nevent: x\ndata: ${JSON.stringify({ sequence: n, type: 'ü' })}\n\n`;
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      // One that was seen, two whole ones, half of the next; then the connection is gone.
      response.write(`retry: 1\n\n: \n\n${text(from - 1)}${text(from)}${text(from + 1)}`);
      response.write(text(from + 2).slice(0, 20), () => {
        if (streams % 2 === 0) request.stream.session?.destroy();
        else response.end();
      });
    });
    const seen: number[] = [];
    const transport = { ...connectPorts(port), random: () => 0, after: immediately };
    const client = clientOver(transport, 1000);
    clients.push(client);
    for await (const { sequence } of client.followEvents({ workspace: WORKSPACE, after: 5 })) {
      seen.push(sequence);
      if (seen.length === 6) break;
    }
    expect(seen).toEqual([6, 7, 8, 9, 10, 11]);
    expect(streams).toBe(3);
  });

  it('serverSentEvents() reads what is cut anywhere', async () => {
    const text =
      'retry: 5\n\nid: 1\ndata: a\ndata: ü\n\n: quiet\n\nid: 2\r\ndata:b\r\n\r\nid: 3\ndata: c\n';
    const bytes = Buffer.from(text);
    for (let size = 1; size < bytes.length; size += 1) {
      const chunks = (async function* () {
        for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
      })();
      const events: unknown[] = [];
      for await (const event of serverSentEvents(chunks)) events.push(event);
      expect(events).toEqual([
        { id: '1', data: 'a\nü' },
        { id: '2', data: 'b' },
      ]);
    }
  });
});

describe('RetryBudget', () => {
  const budget = (random = 1): { budget: RetryBudget; pass: (ms: number) => void } => {
    let nowMs = 0;
    const made = new RetryBudget({ nowMs: () => nowMs, random: () => random });
    return {
      budget: made,
      pass: (ms) => {
        nowMs += ms;
      },
    };
  };

  it('has a repeat for a program that asks one thing, soon, and no more', () => {
    const { budget: one } = budget();
    one.request();
    expect(one.retryAfterMs(1, 0)).toBe(200);
    expect(one.retryAfterMs(2, 0)).toBeNull();
  });

  it('comes after what Retry-After asked for, never at that time', () => {
    const { budget: one } = budget(0.5);
    one.request();
    expect(one.retryAfterMs(1, 3000)).toBe(3100);
    expect([retryAfterOf('3'), retryAfterOf('x'), retryAfterOf('-1'), retryAfterOf(3)]).toEqual([
      ...[3000, 0, 0, 0],
    ]);
  });

  it('grants a tenth of what is sent, and saves ten seconds of it', () => {
    const { budget: busyOne, pass } = budget();
    for (let n = 0; n < 2000; n += 1) {
      busyOne.request();
      pass(10);
    }
    let granted = 0;
    while (busyOne.retryAfterMs(1, 0) !== null) granted += 1;
    expect(granted).toBe(100);
    for (let n = 0; n < 105; n += 1) busyOne.request();
    for (granted = 0; busyOne.retryAfterMs(1, 0) !== null; granted += 1);
    expect(granted).toBe(10);
  });
});

it('requestOf() puts nothing into a path that would be a path of its own', () => {
  const route = { method: 'GET', path: '/v1/workspaces/{workspace}/snapshots/{snapshot}' } as const;
  const { target } = requestOf(route, { workspace: WORKSPACE, snapshot: '../../x?y#z' });
  expect(target).toBe(`/v1/workspaces/${WORKSPACE}/snapshots/..%2F..%2Fx%3Fy%23z`);
});

/** Real connections, and waits that end at once. */
function connectPorts(port: number): Omit<Parameters<typeof clientOver>[0], 'random' | 'after'> {
  const nowMs = (): number => performance.now();
  const endpoints = [`https://localhost:${port}`];
  const tls = world.credentials('agent');
  return { transport: new Http2Pool({ endpoints, tls, nowMs }), nowMs, newKey: () => 'k' };
}

function immediately(ms: number, run: () => void): () => void {
  if (ms === 0) queueMicrotask(run);
  return () => undefined;
}
