/**
 * Senders that are slow on purpose, against the real service: each is cut off or refused in time, and none
 * keeps others waiting. All at once, since what takes long is the service's own patience.
 */
import { once } from 'node:events';
import http2 from 'node:http2';
import net from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { encodeFrame, encodeHeaders, FLAG, FRAME, RawHttp2 } from '../api/tls/raw-http2.ts';
import { ServingProcess } from './serving-process.ts';

let serving: ServingProcess;
beforeAll(async () => {
  serving = await ServingProcess.make();
});
afterAll(async () => serving?.[Symbol.asyncDispose]());

/** Milliseconds between two bytes: far more often than any idle timer looks. */
const DRIP_MS = 500;

/** Sends byte after byte until the other side hangs up; what it said until then. */
async function drip(socket: net.Socket, bytes: Buffer): Promise<string> {
  let said = '';
  socket.on('error', () => undefined);
  socket.on('data', (chunk: Buffer) => {
    said += chunk.toString('latin1');
  });
  let at = 0;
  const timer = setInterval(() => {
    if (at < bytes.length && socket.writable) socket.write(bytes.subarray(at, at + 1));
    at += 1;
  }, DRIP_MS);
  await new Promise((resolve) => socket.on('close', resolve));
  clearInterval(timer);
  return said;
}

/** Of an HTTP/2 body that never ends: the status of its refusal. */
async function slowBody(): Promise<number> {
  const tls = serving.certificates.credentials('red-operator');
  const session = http2.connect(`https://localhost:${serving.port}`, tls);
  const stream = session.request({
    ...{ ':method': 'POST', ':path': '/v1/workspaces', 'content-type': 'application/json' },
    'idempotency-key': 'slow',
  });
  const timer = setInterval(() => stream.write(' '), DRIP_MS);
  const [head] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
  clearInterval(timer);
  session.destroy();
  return Number(head[':status']);
}

/** A head of HTTP/2 that never ends, on a connection that is alive otherwise. */
async function slowHead(): Promise<RawHttp2> {
  const tls = serving.certificates.credentials('red-operator');
  const raw = await RawHttp2.connect({ port: serving.port, ...tls });
  const payload = encodeHeaders([[':method', 'GET']]);
  raw.write(encodeFrame({ type: FRAME.headers, stream: 1, flags: FLAG.endStream, payload }));
  return raw;
}

it('each is cut off or refused in its time, and the others go on', async () => {
  const hello = Buffer.from('1603010200010001fc0303'.padEnd(600, '0'), 'hex');
  const head = Buffer.from(`GET /v1/usage HTTP/1.1\r\nHost: a\r\n${'X: y\r\n'.repeat(99)}`);
  const body = Buffer.from(' '.repeat(400));
  const begun = 'POST /v1/workspaces HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n';
  const unix = (first: string): net.Socket => {
    const socket = net.connect(serving.socket);
    socket.write(first);
    return socket;
  };
  const head2 = await slowHead();
  const slow = Promise.all([
    drip(net.connect(serving.port, '127.0.0.1'), hello),
    drip(net.connect(serving.port, '127.0.0.1'), Buffer.alloc(0)),
    drip(unix(''), head),
    drip(unix(`${begun}Idempotency-Key: k\r\nContent-Length: 900\r\n\r\n`), body),
    slowBody(),
  ]);
  const quick = serving.client('blue-reader');
  let isOver = false;
  const served = (async () => {
    let count = 0;
    for (; !isOver; count += 1) await quick.getUsage({});
    return count;
  })();
  const [, , slowHead1, slowBody1, slowBody2] = await slow;
  isOver = true;
  expect(await served).toBeGreaterThan(100);
  expect(slowHead1).toMatch(/^HTTP\/1\.1 408 /);
  expect(slowBody1).toMatch(/^HTTP\/1\.1 408 /);
  expect(slowBody2).toBe(408);
  // It costs a connection of its identity's share, and nobody waits for it.
  expect(head2.isOpen).toBe(true);
  head2.destroy();
  expect(serving.defects).toEqual([]);
});
