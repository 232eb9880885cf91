import { once } from 'node:events';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ArrivingChunks } from '../../../src/api/client/arriving-chunks.ts';

const LARGE = Buffer.alloc(3_000_000, 'chunk');

let server: http2.Http2Server;
let session: http2.ClientHttp2Session;

beforeEach(async () => {
  server = http2.createServer();
  server.on('stream', (stream, headers) => {
    stream.on('error', () => undefined);
    stream.respond({ ':status': 200 });
    if (headers[':path'] === '/large') stream.end(LARGE);
    else if (headers[':path'] === '/small') stream.end('whole');
    else stream.write('half', () => stream.destroy(new Error('broken')));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  session = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});

afterEach(() => {
  session.destroy();
  server.close();
});

async function wholeOf(arriving: ArrivingChunks): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const chunk of arriving.read()) parts.push(chunk);
  return Buffer.concat(parts);
}

describe('ArrivingChunks', () => {
  it('gives an answer that is looked at only after its stream has closed', async () => {
    const stream = session.request({ ':path': '/small' });
    const arriving = new ArrivingChunks(stream);
    await once(stream, 'close');
    expect((await wholeOf(arriving)).toString()).toBe('whole');
  });

  it('holds a long answer back until it is taken, and gives all of it', async () => {
    const stream = session.request({ ':path': '/large' });
    const arriving = new ArrivingChunks(stream);
    await once(stream, 'pause');
    expect((await wholeOf(arriving)).equals(LARGE)).toBe(true);
  });

  it('throws when the stream was reset: what came is not the whole', async () => {
    const stream = session.request({ ':path': '/reset' });
    await expect(wholeOf(new ArrivingChunks(stream))).rejects.toThrow(/INTERNAL_ERROR|reset/);
  });
});
