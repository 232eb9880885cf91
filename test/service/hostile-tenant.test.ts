/**
 * A tenant with good certificates that asks and does not read, against the real service: what is held for it
 * is bounded, it is refused before others are, and others are served meanwhile.
 */
import { once } from 'node:events';
import http2 from 'node:http2';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Client } from '../../src/api/client/client.ts';
import { ServingProcess } from './serving-process.ts';

const EVENTS = 400;
const TEXT = 'x'.repeat(1000);
const CONNECTIONS = 8;
const STREAMS = 40;
const EVENT_STREAMS = 150;
/** Less than the answers asked for in any of these, with room for those that are let out: half a MB each. */
const HEAP_MIB_MAX = 192;
const RSS_BYTES_MAX = 600_000_000;

let serving: ServingProcess;
let red: Client;
let blue: Client;
let workspace = '';
const sessions: http2.ClientHttp2Session[] = [];

beforeAll(async () => {
  // What is bounded fits into a small heap; what is not would end the process.
  const env = { NODE_OPTIONS: `--max-old-space-size=${HEAP_MIB_MAX}` };
  serving = await ServingProcess.make({ config: { arming: 'off' }, env });
  red = serving.client('red-operator');
  blue = serving.client('blue-operator');
  ({ workspace } = await red.createWorkspace({ template: serving.template }));
  const about = { workspace, session: 's', harness: 'h' };
  await Promise.all(
    Array.from({ length: 20 }, async (_none, n) => {
      for (let at = 0; at < EVENTS / 20; at += 1) {
        await red.submitPrompt({ ...about, text: `${n} ${at} ${TEXT}` });
      }
    }),
  );
});
afterAll(async () => serving?.[Symbol.asyncDispose]());
afterEach(() => {
  for (const session of sessions.splice(0)) session.destroy();
});

/** Statuses of requests whose answers nobody takes: the window of each stream is nothing. */
async function askAndNotRead(
  headers: http2.OutgoingHttpHeaders,
  streams: number,
  body = '',
): Promise<Map<number, number>> {
  const statuses = new Map<number, number>();
  const settings = { initialWindowSize: 0 };
  const tls = serving.certificates.credentials('red-reader');
  const answered: Promise<void>[] = [];
  for (let n = 0; n < CONNECTIONS; n += 1) {
    const session = http2.connect(`https://localhost:${serving.port}`, { ...tls, settings });
    session.on('error', () => undefined);
    sessions.push(session);
    for (let at = 0; at < streams; at += 1) {
      const stream = session.request(headers, { endStream: false });
      stream.on('error', () => undefined);
      if (body === '') stream.end();
      else stream.write(body);
      const status = once(stream, 'response').then(([head]) => {
        const code = Number(head[':status']);
        statuses.set(code, (statuses.get(code) ?? 0) + 1);
      });
      answered.push(status.catch(() => undefined));
    }
  }
  await Promise.all(answered);
  return statuses;
}

/** A call of another tenant from begin to end. */
async function work(): Promise<void> {
  const made = await blue.createWorkspace({ template: serving.template });
  const about = { workspace: made.workspace, session: 's', harness: 'h' };
  const { call } = await blue.beginCall({ ...about, tool: 'Bash', key: '1' });
  await blue.endCall({ workspace: made.workspace, call, outcome: 'ok' });
}

describe('a tenant that does not read', () => {
  it('pages gets a few of them and is refused the others', async () => {
    const target = `/v1/workspaces/${workspace}/events?limit=1000`;
    const statuses = await askAndNotRead({ ':path': target }, STREAMS);
    await work();
    expect([...statuses.keys()].sort()).toEqual([200, 429]);
    expect(statuses.get(200)).toBeLessThan(60);
    expect(serving.use().rssBytes).toBeLessThan(RSS_BYTES_MAX);
    // What it holds it gives back, and is served again.
    for (const session of sessions.splice(0)) session.destroy();
    expect((await red.listEvents({ workspace, limit: 1000 })).events.length).toBeGreaterThan(
      EVENTS,
    );
  });

  it('events has as many streams as its share, each held by what one reads at once', async () => {
    const target = `/v1/workspaces/${workspace}/events/stream`;
    const statuses = await askAndNotRead({ ':path': target }, EVENT_STREAMS);
    await work();
    expect(statuses.get(200)).toBe(1024);
    expect(statuses.get(429)).toBe(CONNECTIONS * EVENT_STREAMS - 1024);
    expect(serving.use().rssBytes).toBeLessThan(RSS_BYTES_MAX);
    const { value } = await blueEvents();
    expect(value).toBeDefined();
  });

  it('the answers of frames gets a few of them', async () => {
    const frame = (id: number): string =>
      `${JSON.stringify({ id, operation: 'listEvents', input: { workspace, limit: 1000 } })}\n`;
    const body = Array.from({ length: 30 }, (_none, id) => frame(id)).join('');
    const head = {
      ':method': 'POST',
      ':path': '/v1/frames',
      'content-type': 'application/x-ndjson',
    };
    const statuses = await askAndNotRead(head, 5, body);
    await work();
    expect(statuses).toEqual(new Map([[200, CONNECTIONS * 5]]));
    expect(serving.use().rssBytes).toBeLessThan(RSS_BYTES_MAX);
    expect(serving.defects).toEqual([]);
  });
});

async function blueEvents(): Promise<IteratorResult<unknown>> {
  const made = await blue.createWorkspace({ template: serving.template });
  const stop = new AbortController();
  const events = blue.followEvents({ workspace: made.workspace }, { signal: stop.signal });
  const first = await events[Symbol.asyncIterator]().next();
  stop.abort();
  return first;
}
