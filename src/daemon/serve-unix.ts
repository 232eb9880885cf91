/**
 * The service's unix socket: HTTP/1.1 for this user and root.
 *
 * The kernel says who is at the other end, when the connection is made; whoever else comes is cut off
 * before a byte is read. A socket file that a killed service left is replaced: the service's own lock
 * says that no other one runs.
 */
import fs from 'node:fs';
import http, { type RequestListener } from 'node:http';
import type { Socket } from 'node:net';
import path from 'node:path';
import { HTTP1_LIMITS } from '../api/door/http-limits.ts';
import { localPrincipal, type Principal } from '../api/principal.ts';
import type { HttpRequest } from '../api/server/api-server.ts';
import { peerUid } from './peer-credentials-linux.ts';

const principals = new WeakMap<Socket, Principal>();

/** Connections at once: each request of a local caller may be one. */
const CONNECTIONS_MAX = 4096;

export function makeUnixServer(listener: RequestListener, uid: number): http.Server {
  const server = http.createServer(HTTP1_LIMITS, listener);
  server.maxConnections = CONNECTIONS_MAX;
  // Node would answer expectations by itself; the door refuses them, as it does everything in a head.
  server.on('checkContinue', listener).on('checkExpectation', listener);
  server.on('connection', (socket: Socket) => {
    const peer = peerUid(socket);
    if (peer === uid || peer === 0) principals.set(socket, localPrincipal(peer));
    else socket.destroy();
  });
  return server;
}

export function unixPrincipal(request: HttpRequest): Principal | null {
  return principals.get(request.socket as Socket) ?? null;
}

/** The mode is right from the first instant: a umask, not a chmod afterwards. */
export async function listenOnSocket(
  socket: string,
  listen: (at: { readonly path: string }) => Promise<unknown>,
): Promise<void> {
  fs.mkdirSync(path.dirname(socket), { recursive: true, mode: 0o755 });
  fs.rmSync(socket, { force: true });
  const umask = process.umask(0o177);
  try {
    await listen({ path: socket });
  } finally {
    process.umask(umask);
  }
}
