/**
 * Loopback HTTP for harnesses whose hooks are HTTP requests: a port and a token that stay the same.
 *
 * The record is made when such a hook is installed, and only then does the daemon listen: a port that
 * nobody needs is not open.
 */
import { randomBytes } from 'node:crypto';
import net from 'node:net';
import type { DaemonPlace } from './daemon-place.ts';
import { readRecord, writeRecord } from './record-file.ts';

export interface HttpAccess {
  readonly format: 1;
  readonly port: number;
  readonly token: string;
}

export function readHttpAccess(place: DaemonPlace): HttpAccess | null {
  return readRecord(place.httpRecord, parse);
}

/** The same one every time. */
export async function ensureHttpAccess(place: DaemonPlace): Promise<HttpAccess> {
  const known = readHttpAccess(place);
  if (known !== null) return known;
  const token = randomBytes(32).toString('base64url');
  const access: HttpAccess = { format: 1, port: await freePort(), token };
  writeRecord(place.httpRecord, access);
  return access;
}

function freePort(): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const server = net.createServer();
  server.once('error', reject);
  server.listen(0, '127.0.0.1', () => {
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    server.close(() => resolve(port));
  });
  return promise;
}

function parse(value: unknown): HttpAccess | null {
  if (typeof value !== 'object' || value === null) return null;
  const { format, port, token } = value as Record<string, unknown>;
  if (format !== 1 || typeof port !== 'number' || !Number.isInteger(port)) return null;
  if (port < 1 || port > 65_535 || typeof token !== 'string' || token.length < 32) return null;
  return { format, port, token };
}
