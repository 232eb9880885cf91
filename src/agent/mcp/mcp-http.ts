/**
 * The MCP server over streamable HTTP, for clients on this machine.
 *
 * It listens on loopback only. Before anything of a request is read, three things hold: its Host is a name
 * of this listener (a page that made its own name point here has another one), its Origin, if any, is on
 * this machine, and it carries the token. Bodies are bounded in bytes and in depth before they are parsed.
 */
import { randomUUID, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import type { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { GhostsnapError } from '../../core/errors.ts';
import { MCP_BODY_BYTES_MAX, MCP_SESSIONS_MAX } from '../../core/limits.ts';
import { JsonScanner } from './json-scanner.ts';

export interface McpHttpOptions {
  /** 0: any free port. */
  readonly port: number;
  readonly token: string;
  readonly createServer: () => McpServer;
}

export interface McpHttp extends AsyncDisposable {
  readonly url: string;
}

export const MCP_PATH = '/mcp';

const LOOPBACK = '127.0.0.1';
const LOOPBACK_NAMES = ['127.0.0.1', 'localhost', '[::1]'];

interface Session {
  readonly transport: StreamableHTTPServerTransport;
  readonly server: McpServer;
}

/** @throws GhostsnapError IO when the port cannot be had */
export async function listenMcp(options: McpHttpOptions): Promise<McpHttp> {
  // In the order of their last use, so that the first one was quiet longest.
  const sessions = new Map<string, Session>();
  const listener = http.createServer((request, response) => {
    handle(options, sessions, request, response).catch(() => {
      if (response.headersSent) response.destroy();
      else refuse(response, 500, 'The request failed.');
    });
  });
  listener.listen(options.port, LOOPBACK);
  try {
    await once(listener, 'listening');
  } catch (cause) {
    throw new GhostsnapError('IO', `Nothing can listen on ${LOOPBACK}:${options.port}`, {
      hint: 'Give another port, or none for any that is free.',
      cause,
    });
  }
  const address = listener.address();
  const port = typeof address === 'object' && address !== null ? address.port : options.port;
  return {
    url: `http://${LOOPBACK}:${port}${MCP_PATH}`,
    [Symbol.asyncDispose]: async () => {
      await Promise.all([...sessions.values()].map(({ server }) => server.close()));
      listener.close();
      listener.closeAllConnections();
    },
  };
}

async function handle(
  options: McpHttpOptions,
  sessions: Map<string, Session>,
  request: http.IncomingMessage,
  response: http.ServerResponse,
): Promise<void> {
  const refusal = refusalOf(request, options.token);
  if (refusal !== null) {
    if (refusal.status === 401) response.setHeader('www-authenticate', 'Bearer');
    refuse(response, refusal.status, refusal.why);
    return;
  }
  const body = request.method === 'POST' ? await readBody(request) : undefined;
  if (body === null) {
    refuse(response, 413, `The body is no JSON, too deep, or over ${MCP_BODY_BYTES_MAX} bytes.`);
    return;
  }
  const id = request.headers['mcp-session-id'];
  const known = typeof id === 'string' ? sessions.get(id) : undefined;
  if (typeof id === 'string' && known === undefined) {
    refuse(response, 404, 'There is no such session; initialize a new one.');
    return;
  }
  const session = known ?? (await openSession(options, sessions));
  if (typeof id === 'string') {
    sessions.delete(id);
    sessions.set(id, session);
  }
  await session.transport.handleRequest(request, response, body);
  // A first request that was no initialize: nobody will ever name this session.
  if (session.transport.sessionId === undefined) await session.server.close();
}

async function openSession(
  options: McpHttpOptions,
  sessions: Map<string, Session>,
): Promise<Session> {
  const server = options.createServer();
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: () => randomUUID(),
    onsessioninitialized: (id) => {
      sessions.set(id, session);
      endQuietest(sessions);
    },
    onsessionclosed: (id) => {
      sessions.delete(id);
    },
  });
  const session: Session = { transport, server };
  await server.connect(transport);
  return session;
}

function endQuietest(sessions: Map<string, Session>): void {
  const [quietest] = sessions;
  if (sessions.size <= MCP_SESSIONS_MAX || quietest === undefined) return;
  sessions.delete(quietest[0]);
  quietest[1].server.close().catch(() => {
    // It had gone by itself.
  });
}

function refusalOf(
  request: http.IncomingMessage,
  token: string,
): { readonly status: number; readonly why: string } | null {
  const { host = '', origin, authorization = '' } = request.headers;
  const port = request.socket.localPort;
  if (!LOOPBACK_NAMES.some((name) => host === `${name}:${port}`)) {
    return { status: 403, why: 'The Host is not this server.' };
  }
  if (origin !== undefined && !isLoopbackOrigin(origin)) {
    return { status: 403, why: 'The Origin is not on this machine.' };
  }
  if (!isToken(authorization, token)) return { status: 401, why: 'The token is missing or wrong.' };
  const path = (request.url ?? '').split('?')[0];
  return path === MCP_PATH ? null : { status: 404, why: `Only ${MCP_PATH} is served.` };
}

function isLoopbackOrigin(origin: string): boolean {
  const url = URL.parse(origin);
  const isWeb = url?.protocol === 'http:' || url?.protocol === 'https:';
  return isWeb && url !== null && LOOPBACK_NAMES.includes(url.hostname);
}

function isToken(authorization: string, token: string): boolean {
  const given = Buffer.from(/^Bearer (.+)$/i.exec(authorization)?.[1] ?? '');
  const expected = Buffer.from(token);
  return given.length === expected.length && timingSafeEqual(given, expected);
}

/** The parsed body; null when it is too long, too deep or no JSON. */
async function readBody(request: http.IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    sizeBytes += chunk.length;
    if (sizeBytes > MCP_BODY_BYTES_MAX) return null;
    parts.push(chunk);
  }
  const bytes = Buffer.concat(parts);
  const scanner = new JsonScanner({ depthMax: 0, onValue: () => {} });
  scanner.feed(bytes);
  if (!scanner.end()) return null;
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    // A word that is none of JSON's.
    return null;
  }
}

function refuse(response: http.ServerResponse, status: number, why: string): void {
  const error = { code: -32000, message: why };
  response.writeHead(status, { 'content-type': 'application/json', connection: 'close' });
  response.end(JSON.stringify({ jsonrpc: '2.0', id: null, error }));
}
