/** The network listener as the service puts it together, and peers that mean it no good. */
import { once } from 'node:events';
import fs from 'node:fs';
import http2 from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { HTTP2_LIMITS } from '../../src/api/door/http-limits.ts';
import {
  problemsOfListener,
  TlsListener,
  type TlsListenerFiles,
} from '../../src/daemon/serve-tls.ts';
import { ask, TlsWorld } from '../api/tls/tls-world.ts';

const AGENT = 'spiffe://a.example/agents/1';

let world: TlsWorld;
let files: TlsListenerFiles;
let port: number;
let listener: TlsListener;
let server: http2.Http2SecureServer;

function writePolicy(role: string, trustDomain = 'a.example'): void {
  const rules = [{ id: 'spiffe://a.example/agents/*', tenant: 'blue', role }];
  fs.writeFileSync(files.access, JSON.stringify({ format: 1, trustDomain, rules }));
}

beforeEach(async () => {
  world = await TlsWorld.create();
  await world.issue('agent', { client: AGENT });
  const { ca: clientCa, ...rest } = world.files();
  files = { ...rest, clientCa, access: `${world.folder}/access.json` };
  writePolicy('agent');
  listener = new TlsListener(files);
  server = listener.makeServer((request, response) => {
    const { principal, id } = listener.peerOf(request);
    response.setHeader('who', `${id?.text} ${principal?.tenant} ${principal?.role}`);
    response.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ({ port } = server.address() as AddressInfo);
});
afterEach(async () => {
  listener.drain();
  server.close();
  await world[Symbol.asyncDispose]();
  await once(server, 'close');
});

async function whoAmI(session: http2.ClientHttp2Session): Promise<string> {
  const stream = session.request({ ':path': '/' });
  const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
  stream.resume();
  return String(headers.who);
}

describe('TlsListener', () => {
  it('takes a new policy for the next request, on a connection that stands', async () => {
    const session = world.connect(port, 'agent');
    expect(await whoAmI(session)).toBe(`${AGENT} blue agent`);
    writePolicy('reader');
    listener.reload(files);
    expect(await whoAmI(session)).toBe(`${AGENT} blue reader`);
    fs.writeFileSync(
      files.access,
      JSON.stringify({ format: 1, trustDomain: 'a.example', rules: [] }),
    );
    listener.reload(files);
    expect(await whoAmI(session)).toBe(`${AGENT} undefined undefined`);
  });

  it('keeps all that was in force when any of it is wrong', async () => {
    const session = world.connect(port, 'agent');
    writePolicy('root');
    expect(() => listener.reload(files)).toThrow(/rules\.0\.role/);
    writePolicy('reader');
    fs.chmodSync(files.access, 0o666);
    expect(() => listener.reload(files)).toThrow(/others may write it/);
    fs.chmodSync(files.access, 0o600);
    expect(() => listener.reload({ ...files, key: '/nowhere' })).toThrow(/nowhere/);
    expect(await whoAmI(session)).toBe(`${AGENT} blue agent`);
    expect(listener.warning(Date.now() - 86_400_000 * 10)).toBeNull();
    expect(listener.warning(Date.now())).toMatch(/certificate ends on/);
  });
});

describe('files that are wrong', () => {
  /** A certificate of another key, an authority that is none, and a policy that two things are wrong with. */
  function spoil(): void {
    fs.copyFileSync(world.files('agent').certificate, files.certificate);
    fs.writeFileSync(files.clientCa, 'nothing');
    writePolicy('root', 'A.example');
  }
  const WRONG = [/is not its key/, /no certificate of an authority/, /role/, /trustDomain/];

  it('are named all at once when they are read again, and what was in force stays', async () => {
    const session = world.connect(port, 'agent');
    const was = fs.readFileSync(files.clientCa);
    spoil();
    for (const what of WRONG) expect(() => listener.reload(files)).toThrow(what);
    expect(await whoAmI(session)).toBe(`${AGENT} blue agent`);
    fs.writeFileSync(files.clientCa, was);
  });

  it('are listed one a line, a missing one hiding nothing of the others', () => {
    expect(problemsOfListener(files)).toEqual([]);
    spoil();
    fs.rmSync(files.key);
    const problems = problemsOfListener(files);
    for (const what of [/ENOENT/, ...WRONG.slice(1)]) {
      expect(problems).toContainEqual(expect.stringMatching(what));
    }
    for (const one of problems) expect(one).toContain(world.folder);
  });
});

describe('peers that mean no good', () => {
  /** Bytes of a real greeting, cut off in the midst of it. */
  const HALF_HELLO = Buffer.from('1603010200010001fc0303', 'hex');
  const GREETINGS = [Buffer.alloc(0), HALF_HELLO, Buffer.from('GET / HTTP/1.1\r\n\r\n')];

  async function dropOne(n: number): Promise<void> {
    const socket = net.connect(port, '127.0.0.1');
    // The listener may be quicker to hang up.
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    const greeting = GREETINGS[n % GREETINGS.length];
    if (greeting !== undefined && greeting.length > 0) socket.write(greeting);
    if (n % 2 === 0) socket.resetAndDestroy();
    else socket.destroy();
    if (!socket.closed) await once(socket, 'close');
  }

  it('10,000 connections opened and dropped leave nothing behind, and the next request is served', async () => {
    const session = world.connect(port, 'agent');
    expect(await ask(session)).toBe('200');
    const before = process.memoryUsage().rss;
    for (let round = 0; round < 50; round += 1) {
      await Promise.all(Array.from({ length: 200 }, (_, n) => dropOne(n)));
    }
    expect(await ask(session)).toBe('200');
    expect(await ask(world.connect(port, 'agent'))).toBe('200');
    expect(process.memoryUsage().rss - before).toBeLessThan(150_000_000);
    const open = await new Promise<number>((resolve, reject) => {
      server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)));
    });
    // Two of ours; the last of those that were dropped may not have been noticed yet.
    expect(open).toBeLessThan(202);
  });

  it('a handshake that is not finished is cut off', async () => {
    const impatient = http2.createSecureServer({
      ...{ ...HTTP2_LIMITS, handshakeTimeout: 50, requestCert: true, rejectUnauthorized: true },
      ...world.credentials('server'),
    });
    impatient.on('tlsClientError', () => undefined);
    impatient.listen(0, '127.0.0.1');
    await once(impatient, 'listening');
    const socket = net.connect((impatient.address() as AddressInfo).port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(HALF_HELLO);
    socket.resume();
    await once(socket, 'close');
    impatient.close();
    // The same option, of seconds, is the listener's.
    expect(HTTP2_LIMITS.handshakeTimeout).toBeLessThanOrEqual(10_000);
  });

  it('one identity has its share of connections and no more', async () => {
    const sessions = Array.from({ length: 520 }, () => world.connect(port, 'agent'));
    const answers = await Promise.all(sessions.map((session) => ask(session)));
    expect(answers.filter((answer) => answer === '200')).toHaveLength(512);
    await world.issue('other', { client: 'spiffe://a.example/agents/2' });
    expect(await ask(world.connect(port, 'other'))).toBe('200');
  });
});
