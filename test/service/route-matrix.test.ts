/**
 * Every route of the network listener, asked by everybody over TLS, as a request and as a frame: who is
 * refused is written here, by hand.
 */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import http2 from 'node:http2';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PLAIN_ROUTES, ROUTES } from '../../src/api/routes.ts';
import { TlsWorld } from '../api/tls/tls-world.ts';
import { ServiceWorld } from './service-world.ts';

const OPERATORS_ONLY = new Set([
  ...['createWorkspace', 'adoptWorkspace', 'deleteWorkspace'],
  ...['pinSnapshot', 'unpinSnapshot', 'prune'],
]);
const NOT_FOR_READERS = new Set([
  ...['startSession', 'endSession', 'submitPrompt', 'beginCall', 'endCall', 'undoCall'],
  ...['takeSnapshot', 'labelSnapshot', 'rollback', 'restore', 'undo', 'redo', ...OPERATORS_ONLY],
  'readContent',
]);
const PEERS = ['agent', 'operator', 'reader', 'stranger'] as const;
type Peer = (typeof PEERS)[number];

/** Nobody's: whoever may ask is told that it is not there, and nothing happens. */
const NOWHERE = 'ws_01J9Z3K4M5N6P7Q8R9S0T1V2W3';
const FRAMES = 'application/x-ndjson';

let world: ServiceWorld;
let certificates: TlsWorld;
const sessions = new Map<Peer, http2.ClientHttp2Session>();

beforeAll(async () => {
  certificates = await TlsWorld.create();
  for (const peer of PEERS) {
    const domain = peer === 'stranger' ? 'b.example' : 'a.example';
    await certificates.issue(peer, { client: `spiffe://${domain}/blue/${peer}` });
  }
  const access = `${certificates.folder}/access.json`;
  const rules = ['agent', 'operator', 'reader'].map((role) => {
    return { id: `spiffe://a.example/{tenant}/${role}`, role };
  });
  writeFileSync(access, JSON.stringify({ format: 1, trustDomain: 'a.example', rules }));
  const { ca: clientCa, ...files } = certificates.files();
  world = await ServiceWorld.make({
    listen: { host: '127.0.0.1', port: 0, ...files, clientCa, access },
  });
  const { port } = world.log.find(({ message }) => message === 'listening') ?? {};
  for (const peer of PEERS) {
    sessions.set(peer, http2.connect(`https://localhost:${port}`, certificates.credentials(peer)));
  }
});

afterAll(async () => {
  for (const session of sessions.values()) session.destroy();
  await world?.[Symbol.asyncDispose]();
  await certificates?.[Symbol.asyncDispose]();
});

function mayAsk(peer: Peer, operation: string): boolean {
  if (peer === 'stranger') return false;
  if (peer === 'reader') return !NOT_FOR_READERS.has(operation);
  return peer === 'operator' || !OPERATORS_ONLY.has(operation);
}

interface Asked {
  readonly status: number;
  readonly body: string;
}

async function ask(
  peer: Peer,
  method: string,
  path: string,
  more: { readonly body?: string; readonly type?: string } = {},
): Promise<Asked> {
  const headers = { ':method': method, ':path': path };
  const type = more.type === undefined ? {} : { 'content-type': more.type };
  const stream = sessions.get(peer)?.request({ ...headers, 'idempotency-key': 'k', ...type });
  if (stream === undefined) throw new Error(`no session of ${peer}`);
  stream.end(more.body);
  const [answered] = await once(stream, 'response');
  return { status: Number(answered[':status']), body: await text(stream) };
}

const concrete = (path: string): string =>
  path.replace('{workspace}', NOWHERE).replaceAll(/\{\w+\}/g, 'x');

describe.each(PEERS)('%s', (peer) => {
  it('is refused each route that is not for it, and no other', async () => {
    for (const { operation, method, path } of ROUTES) {
      const hasBody = method !== 'GET' && method !== 'DELETE';
      const sent = hasBody ? { body: '{}', type: 'application/json' } : {};
      const { status, body } = await ask(peer, method, concrete(path), sent);
      expect(status === 403, `${operation}: ${status} ${body}`).toBe(!mayAsk(peer, operation));
      if (status === 403) expect(body).toContain('NOT_PERMITTED');
    }
  });

  it('is refused the same on a stream of frames', async () => {
    const framed = ROUTES.filter(({ operation }) => operation !== 'followEvents');
    const lines = framed.map(({ operation }, id) => {
      const input = { workspace: NOWHERE };
      return `${JSON.stringify({ id, operation, key: `f${id}`, input })}\n`;
    });
    const path = PLAIN_ROUTES.frames.path;
    const { status, body } = await ask(peer, 'POST', path, { body: lines.join(''), type: FRAMES });
    expect(status).toBe(peer === 'stranger' ? 403 : 200);
    if (peer === 'stranger') return;
    const answers = body.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line)]));
    expect(answers).toHaveLength(framed.length);
    for (const answer of answers) {
      const { operation } = framed[answer.id]!;
      expect(answer.status === 403, operation).toBe(!mayAsk(peer, operation));
    }
  });

  it('is told of the service itself, and of what there is not, only if it is somebody', async () => {
    const isSomebody = peer !== 'stranger';
    for (const path of [PLAIN_ROUTES.openApi.path, PLAIN_ROUTES.health.path]) {
      expect((await ask(peer, 'GET', path)).status, path).toBe(isSomebody ? 200 : 403);
      // At the door, before anybody is looked at.
      expect((await ask(peer, 'HEAD', path)).status, path).toBe(405);
    }
    const unknown = await ask(peer, 'GET', '/v1/nothing');
    expect(unknown.status).toBe(isSomebody ? 404 : 403);
    if (isSomebody) expect(unknown.body).toContain('ROUTE_NOT_FOUND');
  });
});

it('whoever the unix socket lets in may ask how the service is', async () => {
  expect(await world.ask('GET', PLAIN_ROUTES.health.path)).toMatchObject({
    ...{ status: 200, body: { stopping: false } },
  });
  expect((await world.ask('GET', PLAIN_ROUTES.openApi.path)).status).toBe(200);
});
