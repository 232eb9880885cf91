/**
 * The daemon's HTTP: the same routes on the unix socket and, when asked for, on loopback.
 *
 *   POST /hook/<harness>[/<event>]   body: the payload; answer: the harness's own reply
 *   GET  /status                     what `daemon status` shows
 *   POST /stop                       ends the daemon after what is under way
 *
 * On the socket the kernel says who asks (SO_PEERCRED): this user or root, nobody else. On loopback a
 * random token must come with every request. node:http alone: three routes do not pay for a framework's
 * start-up and memory, and what it would add, schemas, is done on the payload itself.
 */
import { timingSafeEqual } from 'node:crypto';
import http from 'node:http';
import type { Socket } from 'node:net';
import { HOOK_PAYLOAD } from '../api/door/strict-json.ts';
import { ERROR_KINDS, GhostsnapError } from '../core/errors.ts';
import { parseTraceContext, type TraceCarrier, type TraceContext } from '../core/trace-context.ts';
import { peerUid } from './peer-credentials-linux.ts';

export interface DaemonRoutes {
  /** @returns the reply's body */
  hook(request: HookCall): Promise<string>;
  status(): unknown;
  stop(): void;
  /** @param trace of the request that failed */
  onError(error: unknown, trace?: TraceContext): void;
}

export interface HookCall {
  readonly harness: string;
  readonly event: string;
  readonly body: Uint8Array;
  /** From the headers `traceparent`, `tracestate`, `baggage`. */
  readonly trace: TraceContext | undefined;
}

export type Access = { readonly uid: number } | { readonly token: string };

/** Longer than any snapshot that is still worth waiting for; a payload comes at once. */
const REQUEST_TIMEOUT_MS = 120_000;
const HEADERS_TIMEOUT_MS = 10_000;
const HEADER_BYTES_MAX = 16_384;

const HOOK_PATH = /^\/hook\/([a-z-]{1,32})(?:\/([A-Za-z.]{1,64}))?$/;

export function createDaemonServer(routes: DaemonRoutes, access: Access): http.Server {
  const server = http.createServer(
    {
      requestTimeout: REQUEST_TIMEOUT_MS,
      headersTimeout: HEADERS_TIMEOUT_MS,
      maxHeaderSize: HEADER_BYTES_MAX,
    },
    (request, response) => {
      answer(request, routes, access)
        .catch((error: unknown) => failure(error, routes, request))
        .then(({ status, body }) => {
          const headers = { 'content-type': 'application/json' };
          response.writeHead(status, body === '' ? {} : headers).end(body);
        })
        .catch((error: unknown) => routes.onError(error));
    },
  );
  if ('uid' in access)
    server.on('connection', (socket: Socket) => refuseOthers(socket, access.uid));
  return server;
}

/** Root may do everything as it is. */
function refuseOthers(socket: Socket, uid: number): void {
  const peer = peerUid(socket);
  if (peer === uid || peer === 0) return;
  socket.destroy();
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

async function answer(
  request: http.IncomingMessage,
  routes: DaemonRoutes,
  access: Access,
): Promise<Answer> {
  if ('token' in access && !hasToken(request, access.token)) return { status: 401, body: '' };
  const { method = '', url = '' } = request;
  const hook = HOOK_PATH.exec(url);
  if (method === 'POST' && hook !== null) {
    const [, harness = '', event = ''] = hook;
    const body = await readBody(request);
    const trace = parseTraceContext(traceHeaders(request)) ?? undefined;
    return { status: 200, body: await routes.hook({ harness, event, body, trace }) };
  }
  if (method === 'GET' && url === '/status') {
    return { status: 200, body: JSON.stringify(routes.status()) };
  }
  if (method === 'POST' && url === '/stop') {
    routes.stop();
    return { status: 202, body: '' };
  }
  return { status: 404, body: '' };
}

/** Node joins those that came twice: two of `traceparent` are then no valid one, as it has to be. */
function traceHeaders({ headers }: http.IncomingMessage): TraceCarrier {
  const { traceparent, tracestate, baggage } = headers;
  return { traceparent, tracestate, baggage };
}

function hasToken(request: http.IncomingMessage, token: string): boolean {
  const given = Buffer.from(request.headers.authorization ?? '');
  const wanted = Buffer.from(`Bearer ${token}`);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

/** @throws GhostsnapError LIMIT_EXCEEDED before more than the bound is held */
async function readBody(request: http.IncomingMessage): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > HOOK_PAYLOAD.bytesMax) {
      throw new GhostsnapError(
        'LIMIT_EXCEEDED',
        `A payload has more than ${HOOK_PAYLOAD.bytesMax} bytes.`,
        { hint: 'Nothing was done.' },
      );
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function failure(error: unknown, routes: DaemonRoutes, request: http.IncomingMessage): Answer {
  if (error instanceof GhostsnapError) {
    return { status: ERROR_KINDS[error.kind].httpStatus, body: JSON.stringify(error.toJSON()) };
  }
  routes.onError(error, parseTraceContext(traceHeaders(request)) ?? undefined);
  return { status: 500, body: '' };
}
