/** A receiver of OTLP over HTTP of the tests' own: keeps what comes, and can be slow, deaf or refusing. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly status: { readonly code?: number };
  readonly attributes: readonly {
    readonly key: string;
    readonly value: { readonly stringValue?: string; readonly intValue?: number };
  }[];
}

export interface ReceivedMetric {
  readonly name: string;
  readonly unit: string;
  readonly sum?: { readonly dataPoints: readonly { readonly asDouble: number }[] };
  readonly histogram?: {
    readonly dataPoints: readonly {
      readonly count: number | string;
      readonly bucketCounts: readonly (number | string)[];
    }[];
  };
}

type Answer = 'take' | 'refuse' | 'never';

export class OtlpReceiver {
  readonly spans: ReceivedSpan[] = [];
  /** Of the last request with metrics. */
  metrics: ReceivedMetric[] = [];
  resource: Record<string, unknown> = {};
  requests = 0;
  answer: Answer = 'take';
  readonly #server: Server;
  #waiting: (() => void)[] = [];

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<OtlpReceiver> {
    const server = createServer();
    const receiver = new OtlpReceiver(server);
    server.on('request', (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        receiver.requests += 1;
        if (receiver.answer === 'never') {
          receiver.#tell();
          return;
        }
        if (receiver.answer === 'take') receiver.#keep(request.url ?? '', Buffer.concat(chunks));
        response.writeHead(receiver.answer === 'take' ? 200 : 400, {
          'content-type': 'application/json',
        });
        response.end('{}');
        receiver.#tell();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return receiver;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Resolves when what was received fulfils `condition`. */
  async until(condition: (receiver: OtlpReceiver) => boolean): Promise<void> {
    while (!condition(this)) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #keep(url: string, body: Buffer): void {
    const parsed = JSON.parse(body.toString());
    for (const { resource, scopeSpans } of parsed.resourceSpans ?? []) {
      this.resource = resource;
      for (const { spans } of scopeSpans) this.spans.push(...spans);
    }
    if (!url.endsWith('/v1/metrics')) return;
    this.metrics = parsed.resourceMetrics[0].scopeMetrics[0].metrics;
  }

  #tell(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}
