/**
 * `GET /metrics` of the sidecar, for a scraper on this machine.
 *
 * It listens on loopback only (checked where it is configured), answers nothing else, and bounds what a
 * client may hold: connections, heads, time. A port that is taken is tried again: the predecessor of a
 * sidecar that was restarted may still be closing.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  createPrometheusText,
  type PrometheusSource,
  type PrometheusText,
} from './prometheus-text.ts';

const CONNECTIONS_MAX = 16;
const HEAD_BYTES_MAX = 8192;
const REQUEST_MS_MAX = 5000;
const LISTEN_AGAIN_MS = 500;

export interface MetricsServerOptions {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  readonly source: PrometheusSource;
  readonly onListening: (port: number) => void;
}

export function serveMetrics(options: MetricsServerOptions): void {
  const { host, port, source, onListening } = options;
  const text = createPrometheusText(source);
  const server = createServer(
    {
      maxHeaderSize: HEAD_BYTES_MAX,
      requestTimeout: REQUEST_MS_MAX,
      headersTimeout: REQUEST_MS_MAX,
    },
    (request, response) => {
      void answer(request, response, text);
    },
  );
  server.maxConnections = CONNECTIONS_MAX;
  server.keepAliveTimeout = REQUEST_MS_MAX;
  server.on('error', () => {
    setTimeout(() => server.listen({ host, port }), LISTEN_AGAIN_MS);
  });
  server.on('listening', () => onListening((server.address() as AddressInfo).port));
  server.listen({ host, port });
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  text: PrometheusText,
): Promise<void> {
  const isGet = request.method === 'GET' || request.method === 'HEAD';
  if (!isGet || request.url?.split('?', 1)[0] !== '/metrics') {
    response.writeHead(isGet ? 404 : 405, { 'content-type': 'text/plain' });
    response.end('Only GET /metrics is answered here.\n');
    return;
  }
  const body = await text.render();
  response.writeHead(200, { 'content-type': text.contentType });
  response.end(body);
}
