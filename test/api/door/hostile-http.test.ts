/** What Node's own parsers refuse under our limits, and what the head's check refuses behind them. */
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import net from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { HEADERS_MAX, HTTP1_LIMITS, HTTP2_LIMITS } from '../../../src/api/door/http-limits.ts';
import { judgeRequest } from '../../../src/api/door/request-head.ts';

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** A server that notes what reached a handler and answers by the head's check. */
async function openDoor(): Promise<{ readonly port: number; readonly handled: string[] }> {
  const handled: string[] = [];
  const server = http.createServer(HTTP1_LIMITS, (request, response) => {
    const { method = '', url = '' } = request;
    const refusal = judgeRequest(request, 65_536);
    if (refusal !== null) {
      // Whatever follows on this connection is not believed either.
      response.writeHead(refusal.status, { connection: 'close' }).end();
      return;
    }
    request.resume().on('end', () => {
      handled.push(`${method} ${url}`);
      response.end('done');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  return { port: (server.address() as net.AddressInfo).port, handled };
}

/** Sends bytes as they are and gives the status lines that came back until the server hung up. */
async function send(port: number, text: string): Promise<readonly string[]> {
  const socket = net.connect(port, '127.0.0.1');
  let answer = '';
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    answer += chunk;
  });
  // A reset is one way of hanging up.
  socket.on('error', () => undefined);
  socket.write(Buffer.from(text, 'latin1'));
  await once(socket, 'close');
  return answer.match(/HTTP\/1\.1 \d{3}/g)?.map((line) => line.slice(9)) ?? [];
}

const INNER = 'POST /v1/hidden HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n';
const BEGIN = 'POST /v1/x HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n';

describe('request smuggling: the hidden request is never handled', () => {
  it.each([
    ['CL.TE', `${BEGIN}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${INNER}`],
    [
      'TE.CL',
      `${BEGIN}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\n${INNER}0\r\n\r\n`,
    ],
    ['two lengths', `${BEGIN}Content-Length: 0\r\nContent-Length: ${INNER.length}\r\n\r\n${INNER}`],
    ['list of lengths', `${BEGIN}Content-Length: 0, ${INNER.length}\r\n\r\n${INNER}`],
    ['signed length', `${BEGIN}Content-Length: +0\r\n\r\n${INNER}`],
    ['hexadecimal length', `${BEGIN}Content-Length: 0x0\r\n\r\n${INNER}`],
    ['space before the colon', `${BEGIN}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${INNER}`],
    ['tab in the coding', `${BEGIN}Transfer-Encoding:\tchunked, identity\r\n\r\n0\r\n\r\n${INNER}`],
    ['unknown coding', `${BEGIN}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${INNER}`],
    [
      'coding twice',
      `${BEGIN}Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n${INNER}`,
    ],
    ['folded header', `${BEGIN}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n${INNER}`],
    [
      'bare line feeds',
      `POST /v1/x HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n0\n\n${INNER}`,
    ],
    ['bare carriage return', `${BEGIN}X: a\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${INNER}`],
    [
      'chunk size too large',
      `${BEGIN}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff1\r\n${INNER}`,
    ],
    ['chunk size with sign', `${BEGIN}Transfer-Encoding: chunked\r\n\r\n+0\r\n\r\n${INNER}`],
    ['chunk without end', `${BEGIN}Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n${INNER}`],
    ['NUL in a header', `${BEGIN}X: a\0b\r\nContent-Length: 0\r\n\r\n${INNER}`],
    ['no host', `POST /v1/x HTTP/1.1\r\nContent-Length: 0\r\n\r\n${INNER}`],
    ['two hosts', `${BEGIN}Host: b\r\nContent-Length: 0\r\n\r\n${INNER}`],
    [
      'upgrade',
      `${BEGIN}Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 9, 0\r\n\r\n${INNER}`,
    ],
    ['expectation', `${BEGIN}Expect: 100-continue\r\nContent-Length: 0\r\n\r\n${INNER}`],
    ['method of its own', `SMUGGLE / HTTP/1.1\r\nHost: a\r\n\r\n${INNER}`],
  ])('%s', async (_, text) => {
    const { port, handled } = await openDoor();
    const statuses = await send(port, text);
    expect(handled.filter((request) => request.includes('hidden'))).toEqual([]);
    expect(statuses.at(-1) ?? '400').toMatch(/^4/);
  });
});

describe('bounds of HTTP/1.1', () => {
  it('handles what is in order, pipelined too', async () => {
    const { port, handled } = await openDoor();
    const one = `${BEGIN}Content-Length: 2\r\n\r\n{}`;
    const last = one.replace('Host: a', 'Host: a\r\nConnection: close');
    expect(await send(port, `${one}${one}${last}`)).toEqual(['200', '200', '200']);
    expect(handled).toHaveLength(3);
  });

  it('refuses too many headers and too long ones', async () => {
    const { port, handled } = await openDoor();
    const many = Array.from({ length: HEADERS_MAX + 1 }, (_, n) => `X-${n}: 1\r\n`).join('');
    expect(await send(port, `${BEGIN}${many}\r\n`)).toEqual(['431']);
    expect(await send(port, `${BEGIN}X: ${'a'.repeat(20_000)}\r\n\r\n`)).toEqual(['431']);
    expect(handled).toEqual([]);
  });
});

describe('bounds of HTTP/2', () => {
  async function openSession(): Promise<http2.ClientHttp2Session> {
    const { allowHTTP1: _, handshakeTimeout: __, ...limits } = HTTP2_LIMITS;
    const server = http2.createServer(limits, (request, response) => {
      const refusal = judgeRequest(request, 65_536);
      response.writeHead(refusal?.status ?? 200).end();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    closing.push(async () => {
      server.close();
      await once(server, 'close');
    });
    const { port } = server.address() as net.AddressInfo;
    const session = http2.connect(`http://127.0.0.1:${port}`);
    session.on('error', () => undefined);
    closing.push(async () => session.destroy());
    await once(session, 'remoteSettings');
    return session;
  }

  async function statusOf(
    session: http2.ClientHttp2Session,
    headers: http2.OutgoingHttpHeaders,
  ): Promise<number | 'reset'> {
    const stream = session.request(headers);
    const { promise, resolve } = Promise.withResolvers<number | 'reset'>();
    stream.on('response', (head) => resolve(Number(head[':status'])));
    stream.on('error', () => resolve('reset'));
    stream.on('close', () => resolve('reset'));
    stream.resume();
    return await promise;
  }

  it('says what it takes, and judges heads as for HTTP/1.1', async () => {
    const session = await openSession();
    expect(session.remoteSettings).toMatchObject({
      ...{ maxConcurrentStreams: 256, maxHeaderListSize: 16_384, initialWindowSize: 65_536 },
    });
    expect(await statusOf(session, { ':path': '/v1/x' })).toBe(200);
    expect(await statusOf(session, { ':path': '/v1/%2e%2e/x' })).toBe(400);
    expect(await statusOf(session, { ':path': '/v1/x', 'content-encoding': 'br' })).toBe(415);
    expect(await statusOf(session, { ':path': '/v1/x', ':method': 'TRACE' })).toBe(405);
  });

  it('ends the stream of a request with too many headers, not the process', async () => {
    const session = await openSession();
    const many = Object.fromEntries(
      Array.from({ length: HEADERS_MAX + 1 }, (_, n) => [`x-${n}`, '1']),
    );
    expect([431, 'reset']).toContain(await statusOf(session, { ':path': '/v1/x', ...many }));
    expect(await statusOf(session, { ':path': '/v1/x' })).toBe(200);
  });
});
