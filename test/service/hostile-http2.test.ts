/**
 * Peers with a certificate that abuse HTTP/2 itself, against the real service: it ends their connection or
 * bears it, others are served meanwhile, and what they held is given back.
 */
import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Client } from '../../src/api/client/client.ts';
import {
  encodeFrame,
  encodeHeaders,
  encodeUint32,
  FLAG,
  FRAME,
  RawHttp2,
} from '../api/tls/raw-http2.ts';
import { ServingProcess } from './serving-process.ts';

let serving: ServingProcess;
let other: Client;

beforeAll(async () => {
  serving = await ServingProcess.make();
  other = serving.client('blue-reader');
  await other.getUsage({});
});
afterAll(async () => serving?.[Symbol.asyncDispose]());

/** Bytes that one attack may leave in the heap until it is collected. */
const LEFT_BYTES_MAX = 150_000_000;
/** Requests of others within which descriptors that were given back are seen to be. */
const LOOKS_MAX = 2000;

async function connect(): Promise<RawHttp2> {
  const credentials = serving.certificates.credentials('red-agent');
  return await RawHttp2.connect({ port: serving.port, ...credentials });
}

/** As many as before, after some requests of somebody else: closing takes turns of the loop. */
async function expectGivenBack(descriptors: number): Promise<void> {
  for (let look = 0; look < LOOKS_MAX; look += 1) {
    if (serving.use().descriptors <= descriptors) return;
    await other.getUsage({});
  }
  expect(serving.use().descriptors).toBeLessThanOrEqual(descriptors);
}

const REQUEST = encodeHeaders([
  ...([
    [':method', 'GET'],
    [':scheme', 'https'],
    [':authority', 'a'],
  ] as const),
  [':path', '/v1/usage'],
]);
const POST = encodeHeaders([
  ...([
    [':method', 'POST'],
    [':scheme', 'https'],
    [':authority', 'a'],
  ] as const),
  ...([
    [':path', '/v1/workspaces'],
    ['content-type', 'application/json'],
  ] as const),
]);
const opened = (stream: number, flags: number, payload = REQUEST): Buffer =>
  encodeFrame({ type: FRAME.headers, stream, flags, payload });
const reset = (stream: number): Buffer =>
  encodeFrame({ type: FRAME.reset, stream, payload: encodeUint32(8) });
const ping = encodeFrame({ type: FRAME.ping, payload: Buffer.alloc(8) });
const settings = encodeFrame({ type: FRAME.settings });
const WHOLE = FLAG.endHeaders | FLAG.endStream;

/**
 * Frames that are sent one after the other, and what a flood of them costs its sender: its connection
 * whenever it opens something. What is only answered costs it when the service is slower than it sends.
 */
const FLOODS: readonly (readonly [string, 'closed' | 'outlived', (n: number) => Buffer, number])[] =
  [
    [
      'streams opened and reset',
      'closed',
      (n) => Buffer.concat([opened(n * 2 + 1, WHOLE), reset(n * 2 + 1)]),
      3000,
    ],
    [
      'bodies begun and reset',
      'closed',
      (n) => Buffer.concat([opened(n * 2 + 1, FLAG.endHeaders, POST), reset(n * 2 + 1)]),
      3000,
    ],
    [
      'streams beyond what is taken',
      'closed',
      (n) => opened(n * 2 + 1, FLAG.endHeaders, POST),
      3000,
    ],
    [
      'a head that never ends',
      'closed',
      (n) =>
        n === 0
          ? opened(1, 0)
          : encodeFrame({
              type: FRAME.continuation,
              stream: 1,
              payload: encodeHeaders([['x', 'y']]),
            }),
      3000,
    ],
    ['settings', 'outlived', () => settings, 100_000],
    ['pings', 'outlived', () => ping, 100_000],
    [
      'data of nobody',
      'closed',
      () => encodeFrame({ type: FRAME.data, stream: 9, payload: ping }),
      3000,
    ],
    [
      'empty data',
      'outlived',
      (n) =>
        n === 0 ? opened(1, FLAG.endHeaders, POST) : encodeFrame({ type: FRAME.data, stream: 1 }),
      30_000,
    ],
    [
      'priorities',
      'outlived',
      () => encodeFrame({ type: FRAME.priority, stream: 1, payload: Buffer.alloc(5) }),
      30_000,
    ],
    [
      'windows',
      'outlived',
      () => encodeFrame({ type: FRAME.windowUpdate, payload: encodeUint32(1) }),
      30_000,
    ],
  ];
const FRAMES_A_WRITE = 250;
const LAST = Buffer.from('the last');

describe('a flood of', () => {
  it.each(FLOODS)('%s is %s', async (_, end, frameOf, count) => {
    const before = serving.use();
    const raw = await connect();
    // Not read: what would be answered to each has to be held, or the flood to be ended.
    raw.socket.pause();
    for (let n = 0; n < count && raw.isOpen; n += FRAMES_A_WRITE) {
      const lot = Array.from({ length: FRAMES_A_WRITE }, (_none, at) => frameOf(n + at));
      raw.write(...lot);
      await other.getUsage({});
    }
    raw.socket.resume();
    raw.write(encodeFrame({ type: FRAME.ping, payload: LAST }));
    if (end === 'closed') await raw.closed;
    else {
      // Answered at last, or ended before.
      await raw.until(({ type, payload }) => type === FRAME.ping && payload.equals(LAST));
      raw.destroy();
    }
    await other.getUsage({});
    await expectGivenBack(before.descriptors);
    expect(serving.use().rssBytes - before.rssBytes).toBeLessThan(LEFT_BYTES_MAX);
    expect(serving.ended).toBeNull();
    expect(serving.defects).toEqual([]);
  });
});

describe('connections that are dropped', () => {
  const DROPPED = 1000;
  const AT_ONCE = 50;

  /** What a real client says first. */
  async function clientHello(): Promise<Buffer> {
    const server = net.createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as net.AddressInfo;
    const client = tls.connect({ port, ALPNProtocols: ['h2'] });
    client.on('error', () => undefined);
    const [socket] = (await once(server, 'connection')) as [net.Socket];
    const [hello] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    server.close();
    return hello;
  }

  it('in the midst of a handshake that the service has answered leave nothing behind', async () => {
    const hello = await clientHello();
    const before = serving.use();
    for (let n = 0; n < DROPPED; n += AT_ONCE) {
      await Promise.all(
        Array.from({ length: AT_ONCE }, async (_none, at) => {
          const socket = net.connect(serving.port, '127.0.0.1');
          socket.on('error', () => undefined);
          socket.write(hello);
          // Its certificate and what it has signed: the dear part of a handshake.
          await once(socket, 'data');
          if (at % 2 === 0) socket.resetAndDestroy();
          else socket.destroy();
        }),
      );
      await other.getUsage({});
    }
    await expectGivenBack(before.descriptors);
    expect(serving.use().rssBytes - before.rssBytes).toBeLessThan(LEFT_BYTES_MAX);
  });

  it('on the unix socket leave nothing behind', async () => {
    const before = serving.use();
    const greetings = [
      '',
      'GET /v1/us',
      'POST /v1/workspaces HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{',
    ];
    for (let n = 0; n < DROPPED; n += AT_ONCE) {
      await Promise.all(
        Array.from({ length: AT_ONCE }, async (_none, at) => {
          const socket = net.connect(serving.socket);
          socket.on('error', () => undefined);
          const greeting = greetings[at % greetings.length] ?? '';
          // One that is not taken in, as the queue is full, is closed as well.
          socket.on('connect', () => socket.end(greeting, () => socket.destroy()));
          await new Promise((resolve) => socket.on('close', resolve));
        }),
      );
      await other.getUsage({});
    }
    await expectGivenBack(before.descriptors);
    expect(serving.use().rssBytes - before.rssBytes).toBeLessThan(LEFT_BYTES_MAX);
  });
});
