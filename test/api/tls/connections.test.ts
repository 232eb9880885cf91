import { once } from 'node:events';
import fs from 'node:fs';
import type http2 from 'node:http2';
import tls from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseAccessPolicy } from '../../../src/api/access/access-policy.ts';
import { peerOf } from '../../../src/api/access/peer-principal.ts';
import {
  CONNECTION_AGE_MS_MAX,
  DRAIN_MS,
  GRACE_MS,
} from '../../../src/api/tls/live-connections.ts';
import { initCa, issueCertificate, revokeCertificate } from '../../../src/api/tls/private-ca.ts';
import { readTlsMaterial } from '../../../src/api/tls/tls-material.ts';
import { ask, DAY_MS, TlsWorld } from './tls-world.ts';

const AGENT = { client: 'spiffe://a.example/agents/1' };

let world: TlsWorld;
beforeEach(async () => {
  world = await TlsWorld.create();
  await world.issue('agent', AGENT);
});
afterEach(async () => {
  await world[Symbol.asyncDispose]();
});

const policy = parseAccessPolicy(
  Buffer.from(
    JSON.stringify({
      format: 1,
      trustDomain: 'a.example',
      rules: [{ id: 'spiffe://a.example/agents/*', tenant: 'blue', role: 'agent' }],
    }),
  ),
  'access.json',
);

describe('who gets a connection', () => {
  it('whoever has a certificate of ours, known by its SPIFFE id', async () => {
    let principal: unknown;
    const { port } = await world.listen((request, response) => {
      ({ principal } = peerOf(request.socket as tls.TLSSocket, policy));
      response.end();
    });
    const session = world.connect(port, 'agent');
    expect(await ask(session)).toBe('200');
    expect(principal).toEqual({ id: AGENT.client, tenant: 'blue', role: 'agent' });
    expect((session.socket as tls.TLSSocket).getProtocol()).toBe('TLSv1.3');
  });

  it('nobody without one, with a strange one, with one that has ended or is a server’s', async () => {
    let requests = 0;
    const { port } = await world.listen((_, response) => {
      requests += 1;
      response.end();
    });
    expect(await ask(world.connect(port, null))).not.toBe('200');

    await world.issue('ended', AGENT, Date.now() - 15 * DAY_MS);
    expect(await ask(world.connect(port, 'ended'))).not.toBe('200');
    expect(await ask(world.connect(port, 'server'))).not.toBe('200');

    const strange = `${world.folder}/strange`;
    await initCa({ directory: strange, name: 'test', days: 10, nowMs: Date.now() });
    await issueCertificate({
      ...{ directory: strange, out: strange, name: 'agent', subject: AGENT, days: 1 },
      nowMs: Date.now(),
    });
    const cert = fs.readFileSync(`${strange}/agent.crt`, 'utf8');
    const key = fs.readFileSync(`${strange}/agent.key`, 'utf8');
    expect(await ask(world.connect(port, null, { cert, key }))).not.toBe('200');
    expect(requests).toBe(0);
  });

  it('nobody with TLS 1.2 or older, and nobody without TLS', async () => {
    const { port } = await world.listen((_, response) => response.end());
    const old = { maxVersion: 'TLSv1.2', minVersion: 'TLSv1.2' } as const;
    expect(await ask(world.connect(port, 'agent', old))).not.toBe('200');
    const socket = tls.connect({
      ...{ port, host: '127.0.0.1', ...world.credentials('agent'), servername: 'localhost' },
      ALPNProtocols: ['http/1.1'],
    });
    const [error] = await once(socket, 'error');
    expect(String(error)).toMatch(/no application protocol|ECONNRESET|disconnected/i);
  });
});

describe('revocation', () => {
  it('counts after the exchange for new connections, and old ones are asked to go', async () => {
    const { port, connections } = await world.listen((_, response) => response.end());
    const before = world.connect(port, 'agent');
    expect(await ask(before)).toBe('200');
    await world.issue('other', AGENT);

    const which = `${world.folder}/agent.crt`;
    await revokeCertificate({ directory: world.ca, which, nowMs: Date.now() });
    expect(await ask(world.connect(port, 'agent'))).toBe('200');
    connections.exchange(readTlsMaterial(world.files(), Date.now()));
    expect(await ask(world.connect(port, 'agent'))).not.toBe('200');
    expect(await ask(world.connect(port, 'other'))).toBe('200');

    const closed = once(before, 'close');
    world.timers.pass(DRAIN_MS);
    await closed;
  });

  it('is looked up in the list of each authority, all of them in one file', async () => {
    const second = `${world.folder}/second`;
    const nowMs = Date.now();
    await initCa({ directory: second, name: 'second', days: 10, nowMs });
    for (const name of ['revoked', 'good']) {
      const made = { directory: second, out: world.folder, name, subject: AGENT, days: 1, nowMs };
      await issueCertificate(made);
    }
    await revokeCertificate({ directory: second, which: `${world.folder}/revoked.crt`, nowMs });
    for (const name of ['ca.crt', 'crl.pem']) {
      fs.appendFileSync(`${world.ca}/${name}`, fs.readFileSync(`${second}/${name}`));
    }
    const { port } = await world.listen((_, response) => response.end());
    expect(await ask(world.connect(port, 'agent'))).toBe('200');
    expect(await ask(world.connect(port, 'good'))).toBe('200');
    expect(await ask(world.connect(port, 'revoked'))).not.toBe('200');
  });

  it('is not got around by resuming a session from before', async () => {
    const { port, connections } = await world.listen((_, response) => response.end());
    const sessions: Buffer[] = [];
    const first = world.connect(port, 'agent');
    first.socket.on('session', (session: Buffer) => sessions.push(session));
    expect(await ask(first)).toBe('200');
    const which = `${world.folder}/agent.crt`;
    await revokeCertificate({ directory: world.ca, which, nowMs: Date.now() });
    connections.exchange(readTlsMaterial(world.files(), Date.now()));
    const [session] = sessions;
    const again = world.connect(port, 'agent', session === undefined ? {} : { session });
    expect(await ask(again)).not.toBe('200');
  });

  it('a list that has ended lets nobody in', async () => {
    const old = Date.now() - 120 * DAY_MS;
    const ca = `${world.folder}/old`;
    await initCa({ directory: ca, name: 'old', days: 1000, nowMs: old });
    fs.copyFileSync(`${ca}/ca.crt`, `${world.ca}/ca.crt`);
    fs.copyFileSync(`${ca}/crl.pem`, `${world.ca}/crl.pem`);
    const issue = { directory: ca, out: ca, days: 10, nowMs: Date.now() };
    await issueCertificate({ ...issue, name: 'server', subject: { server: ['localhost'] } });
    await issueCertificate({ ...issue, name: 'agent', subject: AGENT });
    for (const name of ['server', 'agent']) {
      for (const end of ['crt', 'key']) {
        fs.copyFileSync(`${ca}/${name}.${end}`, `${world.folder}/${name}.${end}`);
      }
    }
    const { port } = await world.listen((_, response) => response.end());
    expect(await ask(world.connect(port, 'agent'))).not.toBe('200');
  });
});

describe('certificates exchanged under load', () => {
  it('drop no request: each is served once, on the old certificate or on the new one', async () => {
    const served = new Map<string, number>();
    const { port, connections } = await world.listen((request, response) => {
      served.set(request.url, (served.get(request.url) ?? 0) + 1);
      response.end();
    });
    const first = world.connect(port, 'agent');
    await once(first, 'connect');
    const old = serialOf(first);
    let current = first;
    const askOnce = async (target: string): Promise<string> => {
      if (current.closed || current.destroyed) current = world.connect(port, 'agent');
      const answer = await ask(current, target);
      // Said to be never begun: the other side's word, and what a client of ours does with it.
      return answer === 'refused' || /GOAWAY/.test(answer) ? await askOnce(target) : answer;
    };
    for (let round = 0; round < 30; round += 1) {
      const asked = Array.from({ length: 20 }, (_, n) => askOnce(`/${round}-${n}`));
      if (round === 10) {
        fs.rmSync(`${world.folder}/server.crt`);
        fs.rmSync(`${world.folder}/server.key`);
        await world.issue('server', { server: ['localhost', '127.0.0.1'] });
        connections.exchange(readTlsMaterial(world.files(), Date.now()));
      }
      // In the middle of requests that are on their way.
      if (round === 20) world.timers.pass(DRAIN_MS);
      expect(new Set(await Promise.all(asked))).toEqual(new Set(['200']));
    }
    expect(served.size).toBe(600);
    expect(new Set(served.values())).toEqual(new Set([1]));
    expect(serialOf(current)).not.toBe(old);
  });

  it('a connection that does not go is cut off', async () => {
    const { port, connections, server } = await world.listen(() => undefined);
    const asked = once(server, 'request') as Promise<[http2.Http2ServerRequest]>;
    const session = world.connect(port, 'agent');
    const answer = ask(session);
    const [request] = await asked;
    expect(connections.count).toBe(1);
    connections.exchange(readTlsMaterial(world.files(), Date.now()));
    world.timers.pass(DRAIN_MS);
    expect(connections.count).toBe(1);
    const { session: held } = request.stream;
    if (held === undefined) throw new Error('The request came without a connection.');
    const closed = once(held, 'close');
    world.timers.pass(GRACE_MS);
    await closed;
    expect(await answer).not.toBe('200');
    expect(connections.count).toBe(0);
  });

  it('an old connection is made anew', async () => {
    const { port } = await world.listen((_, response) => response.end());
    const session = world.connect(port, 'agent');
    expect(await ask(session)).toBe('200');
    const closed = once(session, 'close');
    world.timers.pass(CONNECTION_AGE_MS_MAX);
    await closed;
  });
});

describe('a listener that ends', () => {
  it('asks to go whoever comes between the order and the end of listening', async () => {
    const { port, connections } = await world.listen((_, response) => void response.end());
    connections.drain();
    const late = world.connect(port, 'agent');
    await once(late, 'close');
  });
});

describe('readTlsMaterial()', () => {
  it('names everything that is wrong with the files', async () => {
    const files = world.files();
    const now = Date.now();
    expect(readTlsMaterial(files, now).crl).toHaveLength(1);
    const refusal = (change: object, at = now): string => {
      try {
        readTlsMaterial({ ...files, ...change }, at);
      } catch (error) {
        return String(error);
      }
      return '';
    };
    expect(refusal({ certificate: '/nowhere/a', key: '/nowhere/b' })).toMatch(
      /nowhere\/a.*nowhere\/b/,
    );
    expect(refusal({ key: `${world.folder}/agent.key` })).toContain('is not its key');
    expect(refusal({ ca: files.certificate })).toContain('no certificate of an authority');
    expect(refusal({ crl: files.certificate })).toContain('no revocation list');
    expect(refusal({}, now + 11 * DAY_MS)).toContain('it ended on');
    fs.chmodSync(files.key, 0o644);
    expect(refusal({})).toContain('others may use it');
  });
});

function serialOf(session: http2.ClientHttp2Session): string | undefined {
  return (session.socket as tls.TLSSocket).getPeerX509Certificate()?.serialNumber;
}
