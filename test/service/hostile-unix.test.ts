/**
 * What is sent to the service's unix socket by somebody who writes HTTP/1.1 by hand: requests hidden in
 * others, and senders that never end. The hidden request is a good one, so that only its place is wrong.
 */
import { once } from 'node:events';
import net from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { problem } from '../../src/api/schema/problem.ts';
import { type Ask, askOnSocket, lastSequence, makeKnown } from '../fuzz/workspace-owners.ts';
import { ServingProcess } from './serving-process.ts';

let serving: ServingProcess;
let workspace = '';
let ask: Ask;
let known: Awaited<ReturnType<typeof makeKnown>>;

beforeAll(async () => {
  serving = await ServingProcess.make({ config: { arming: 'off' } });
  ask = askOnSocket(serving);
  known = await makeKnown(ask, serving.template);
  ({ workspace } = known);
});
afterAll(async () => serving?.[Symbol.asyncDispose]());

/** What it makes of the catalog, once everything that was begun has ended. */
async function eventsOf<T>(work: () => Promise<T>): Promise<{ done: T; events: number }> {
  await ask('takeSnapshot', { workspace });
  const before = await lastSequence(ask, known);
  const done = await work();
  await ask('takeSnapshot', { workspace });
  const after = await lastSequence(ask, known);
  // One is of the snapshot that waited for the others.
  return { done, events: Number(after) - Number(before) - 1 };
}

interface Seen {
  readonly statuses: readonly number[];
  readonly bodies: readonly string[];
}

/** Sends bytes as they are, and reads until the service hangs up. */
async function send(text: string): Promise<Seen> {
  const socket = net.connect(serving.socket);
  let answer = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    answer += chunk;
  });
  // A reset is one way of hanging up.
  socket.on('error', () => undefined);
  socket.write(Buffer.from(text, 'latin1'));
  await once(socket, 'close');
  const heads = [...answer.matchAll(/HTTP\/1\.1 (\d{3})/g)];
  const statuses = heads.map(([, status]) => Number(status));
  const bodies = answer
    .split(/HTTP\/1\.1 \d{3}/)
    .slice(1)
    .map((part) => part.split('\r\n\r\n')[1] ?? '');
  return { statuses, bodies };
}

let keys = 0;
function snapshot(more = '', path = `/v1/workspaces/${workspace}/snapshots`): string {
  keys += 1;
  return `POST ${path} HTTP/1.1\r\nHost: a\r\nIdempotency-Key: unix-${keys}\r\n${more}`;
}
const hidden = (): string => snapshot('Content-Length: 0\r\n\r\n');
const CHUNKED = 'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n';

describe('a request hidden behind a refused one is not served', () => {
  it.each<readonly [string, () => string]>([
    [
      'both lengths',
      () => `${snapshot(`${CHUNKED}Content-Length: 5\r\n\r\n0\r\n\r\n`)}${hidden()}`,
    ],
    [
      'two lengths',
      () => `${snapshot('Content-Length: 0\r\nContent-Length: 9\r\n\r\n')}${hidden()}`,
    ],
    [
      'both lengths, with a path that no router reads',
      () =>
        `${snapshot(`${CHUNKED}Content-Length: 5\r\n\r\n0\r\n\r\n`, '/v1/workspaces/%ff')}${hidden()}`,
    ],
    [
      'a path that no router reads',
      () => snapshot('Content-Length: 0\r\n\r\n', '/v1/%ff') + hidden(),
    ],
    [
      'a part of a path that is too long',
      () => snapshot('Content-Length: 0\r\n\r\n', `/v1/workspaces/${'a'.repeat(2000)}`) + hidden(),
    ],
    ['an expectation', () => `${snapshot('Expect: x\r\nContent-Length: 0\r\n\r\n')}${hidden()}`],
    [
      'an expectation of 100',
      () => snapshot('Expect: 100-continue\r\nContent-Length: 0\r\n\r\n') + hidden(),
    ],
    ['a folded length', () => `${snapshot('Content-Length:\r\n 0\r\n\r\n')}${hidden()}`],
    ['a bare line feed', () => `${snapshot('X: a\nContent-Length: 0\r\n\r\n')}${hidden()}`],
    [
      'a chunk with a bare line feed',
      () => `${snapshot(`${CHUNKED}\r\n2\n{}\r\n0\r\n\r\n`)}${hidden()}`,
    ],
    [
      'chunks that say more than they are',
      () => `${snapshot(`${CHUNKED}\r\n2;${'x'.repeat(20_000)}\r\n{}\r\n0\r\n\r\n`)}${hidden()}`,
    ],
    ['bytes that are no request', () => `\x16\x03\x01\x02\r\n\r\n${hidden()}`],
    ['the greeting of HTTP/2', () => `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${hidden()}`],
    ['a connect', () => `CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n${hidden()}`],
  ])('%s', async (_, text) => {
    const { done, events } = await eventsOf(() => send(text()));
    const { statuses, bodies } = done;
    expect(statuses.length).toBeLessThanOrEqual(2);
    for (const [n, status] of statuses.entries()) {
      expect(status).toBeGreaterThanOrEqual(400);
      expect(problem.parse(JSON.parse(bodies[n] ?? ''))).toMatchObject({ status });
    }
    expect(events).toBe(0);
  });

  it('a good request is not answered with the refusal of what follows it', async () => {
    const { statuses } = await send(`${hidden()}\x16\x03\x01\x02\r\n\r\n`);
    // Its change may be made by then: no answer says less than a wrong one.
    expect(statuses).toEqual([]);
  });

  it('good ones behind each other are served', async () => {
    const last = snapshot('Connection: close\r\nContent-Length: 0\r\n\r\n');
    const { done, events } = await eventsOf(() => send(hidden() + hidden() + last));
    expect(done.statuses).toEqual([201, 201, 201]);
    expect(events).toBe(3);
  });
});
