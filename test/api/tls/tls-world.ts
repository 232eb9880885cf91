/** A private authority, what it issued, and a listener with our rules, for tests of connections. */
import { once } from 'node:events';
import fs from 'node:fs';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import type { TLSSocket } from 'node:tls';
import { HTTP2_LIMITS } from '../../../src/api/door/http-limits.ts';
import { LiveConnections } from '../../../src/api/tls/live-connections.ts';
import { initCa, issueCertificate } from '../../../src/api/tls/private-ca.ts';
import {
  listenerOptions,
  readTlsMaterial,
  type TlsFiles,
} from '../../../src/api/tls/tls-material.ts';

export const DAY_MS = 86_400_000;

/** Timers that a test turns itself. */
export class HandTimers {
  #waiting: { readonly at: number; readonly run: () => void }[] = [];
  nowMs = 0;

  readonly after = (ms: number, run: () => void): (() => void) => {
    const entry = { at: this.nowMs + ms, run };
    this.#waiting.push(entry);
    return () => {
      this.#waiting = this.#waiting.filter((other) => other !== entry);
    };
  };

  pass(ms: number): void {
    this.nowMs += ms;
    const due = this.#waiting.filter(({ at }) => at <= this.nowMs);
    this.#waiting = this.#waiting.filter(({ at }) => at > this.nowMs);
    for (const { run } of due) run();
  }
}

export class TlsWorld implements AsyncDisposable {
  readonly folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ghostsnap-tls-'));
  readonly ca = path.join(this.folder, 'ca');
  readonly timers = new HandTimers();
  readonly #closing: (() => Promise<void> | void)[] = [];

  static async create(): Promise<TlsWorld> {
    const world = new TlsWorld();
    await initCa({
      ...{ directory: world.ca, name: 'test', days: 1000, nowMs: Date.now() - 20 * DAY_MS },
    });
    await world.issue('server', { server: ['localhost', '127.0.0.1'] });
    return world;
  }

  async issue(
    name: string,
    subject: { readonly server: readonly string[] } | { readonly client: string },
    nowMs = Date.now(),
  ): Promise<{ readonly certificate: string; readonly key: string; readonly serial: string }> {
    return await issueCertificate({
      ...{ directory: this.ca, out: this.folder, name, subject, days: 10, nowMs },
    });
  }

  files(name = 'server'): TlsFiles {
    const at = (file: string): string => path.join(this.folder, file);
    return {
      ...{ certificate: at(`${name}.crt`), key: at(`${name}.key`) },
      ...{ ca: path.join(this.ca, 'ca.crt'), crl: path.join(this.ca, 'crl.pem') },
    };
  }

  /** What a client brings along. */
  credentials(name: string): { cert: string; key: string; ca: string } {
    const read = (file: string): string => fs.readFileSync(file, 'utf8');
    const { certificate, key, ca } = this.files(name);
    return { cert: read(certificate), key: read(key), ca: read(ca) };
  }

  async listen(
    handler: (request: http2.Http2ServerRequest, response: http2.Http2ServerResponse) => void,
  ): Promise<{ port: number; connections: LiveConnections; server: http2.Http2SecureServer }> {
    const material = readTlsMaterial(this.files(), Date.now());
    const server = http2.createSecureServer(
      { ...HTTP2_LIMITS, ...listenerOptions(material) },
      handler,
    );
    const connections = new LiveConnections(server, {
      now: Date.now,
      random: () => 0.5,
      after: this.timers.after,
      peerKey: (socket: TLSSocket) => socket.getPeerX509Certificate()?.subjectAltName ?? '',
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    this.#closing.push(async () => {
      server.close();
      await once(server, 'close');
    });
    return { port: (server.address() as AddressInfo).port, connections, server };
  }

  connect(
    port: number,
    name: string | null,
    options: http2.SecureClientSessionOptions = {},
  ): http2.ClientHttp2Session {
    const { ca } = this.credentials('server');
    const own = name === null ? { ca } : this.credentials(name);
    const session = http2.connect(`https://localhost:${port}`, { ...own, ...options });
    session.on('error', () => undefined);
    this.#closing.push(() => session.destroy());
    return session;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const close of this.#closing.reverse()) await close();
    fs.rmSync(this.folder, { recursive: true });
  }
}

/** The status; or how the connection or the stream ended without one. */
export async function ask(session: http2.ClientHttp2Session, target = '/'): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const fail = (error: NodeJS.ErrnoException): void => resolve(error.code ?? error.message);
  try {
    const stream = session.request({ ':path': target });
    stream.on('aborted', () => resolve('aborted'));
    stream.on('response', (headers) => resolve(String(headers[':status'])));
    stream.on('error', (error) => {
      // The other side says that it never began: sending it again does nothing twice.
      if (stream.rstCode === http2.constants.NGHTTP2_REFUSED_STREAM) resolve('refused');
      fail(error);
    });
    stream.on('close', () => resolve('closed'));
    stream.resume();
  } catch (error) {
    fail(error as NodeJS.ErrnoException);
  }
  return await promise;
}
