/** The sidecar: traces and metrics reach a receiver and a scraper as they were said. */
import { afterEach, describe, expect, test } from 'vitest';
import { METRIC, OUTCOME, SPAN } from '../../src/core/telemetry-names.ts';
import { newTrace } from '../../src/core/trace-context.ts';
import { startTelemetry, type TelemetryOptions } from '../../src/telemetry/start-telemetry.ts';
import { OtlpReceiver } from './otlp-receiver.ts';

const ROUTES = [
  { method: 'POST', route: '/v1/calls' },
  { method: 'GET', route: '/v1/workspaces/{workspace}' },
];

const ending: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

function start(options: Partial<TelemetryOptions> = {}) {
  const running = startTelemetry({
    prometheus: null,
    otlp: null,
    sampleRatio: 1,
    routes: ROUTES,
    resource: { 'service.name': 'ghostsnap' },
    onTrouble: () => undefined,
    metricsIntervalMs: 100,
    ...options,
  });
  ending.push(() => running.close());
  return running;
}

async function startReceiver(): Promise<OtlpReceiver> {
  const receiver = await OtlpReceiver.start();
  ending.push(() => receiver.close());
  return receiver;
}

const otlpTo = (receiver: OtlpReceiver) => ({
  endpoint: receiver.endpoint,
  headers: {},
  timeoutMs: 1000,
});

async function scrape(port: number): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/metrics`);
  expect(response.headers.get('content-type')).toContain('text/plain; version=0.0.4');
  return await response.text();
}

describe('OTLP', () => {
  test('a trace arrives whole: the request, what it called, whose parent is whose', async () => {
    const receiver = await startReceiver();
    const { telemetry } = start({ otlp: otlpTo(receiver) });
    const outside = newTrace([1, 2, 3, 4, 5, 6], { sampled: 'yes' });
    const request = telemetry.begin(outside);
    const startNs = telemetry.nowNs();
    const call = telemetry.begin(request);
    telemetry.span(SPAN.snapCreate, call, startNs, startNs + 1_500_000, OUTCOME.ok);
    telemetry.end(SPAN.callBegin, call, startNs, OUTCOME.ok);
    telemetry.request(0, 201, request, startNs);
    await receiver.until(({ spans }) => spans.length === 3);
    const [ioctl, begin, server] = receiver.spans;
    expect(server).toMatchObject({ name: 'POST /v1/calls', kind: 2, parentSpanId: outside.spanId });
    expect(begin).toMatchObject({ name: 'ghostsnap.call.begin', parentSpanId: server?.spanId });
    expect(ioctl).toMatchObject({
      name: 'ghostsnap.btrfs.snap_create',
      parentSpanId: begin?.spanId,
    });
    const durationNs = BigInt(ioctl?.endTimeUnixNano ?? 0) - BigInt(ioctl?.startTimeUnixNano ?? 0);
    // Times since the epoch are floats on the way: good to a microsecond.
    expect(Number(durationNs)).toBeGreaterThan(1_490_000);
    expect(Number(durationNs)).toBeLessThan(1_510_000);
    expect(new Set(receiver.spans.map(({ traceId }) => traceId))).toEqual(
      new Set([outside.traceId]),
    );
    expect(server?.attributes).toContainEqual({
      key: 'http.response.status_code',
      value: { intValue: 201 },
    });
  });

  test('metrics arrive as sums and histograms', async () => {
    const receiver = await startReceiver();
    const { telemetry } = start({ otlp: otlpTo(receiver) });
    telemetry.count(METRIC.snapshotsAdopted, 4);
    telemetry.span(SPAN.snapshot, undefined, 0, 2e6, OUTCOME.ok);
    await receiver.until(({ metrics }) =>
      metrics.some(({ name }) => name === 'ghostsnap.snapshot.duration'),
    );
    const named = (name: string) => receiver.metrics.find((metric) => metric.name === name);
    expect(named('ghostsnap.snapshots')?.sum?.dataPoints.map((p) => p.asDouble)).toEqual([0, 4]);
    expect(named('ghostsnap.snapshot.duration')?.histogram?.dataPoints[0]?.count).toBe(1);
    expect(named('process.cpu.time')?.unit).toBe('s');
  });
});

describe('Prometheus', () => {
  test('the text names units and kinds, and buckets hold the lower ones', async () => {
    const { telemetry, prometheusPort } = start({ prometheus: { host: '127.0.0.1', port: 0 } });
    telemetry.count(METRIC.snapshotsFresh, 2);
    telemetry.gauge(METRIC.poolFree, 1024);
    telemetry.span(SPAN.snapshot, undefined, 0, 2e6, OUTCOME.ok);
    telemetry.span(SPAN.snapshot, undefined, 0, 11e6, OUTCOME.ok);
    telemetry.request(1, 404, undefined, telemetry.nowNs());
    const text = await scrape(await prometheusPort());
    expect(text).toContain('ghostsnap_snapshots_total{way="fresh"} 2');
    expect(text).toContain('ghostsnap_snapshots_total{way="adopted"} 0');
    expect(text).toContain('ghostsnap_pool_free_bytes 1024');
    expect(text).toContain('# TYPE ghostsnap_snapshot_duration_seconds histogram');
    const bucket = 'ghostsnap_snapshot_duration_seconds_bucket{outcome="ok",le=';
    expect(text).toContain(`${bucket}"0.0025"} 1`);
    expect(text).toContain(`${bucket}"0.012"} 2`);
    expect(text).toContain(`${bucket}"+Inf"} 2`);
    expect(text).toMatch(
      /http_server_request_duration_seconds_count\{http_request_method="GET",http_route="\/v1\/workspaces\/\{workspace\}",http_response_status_code="404"\} 1/,
    );
  });

  test('answers nothing but GET /metrics', async () => {
    const { prometheusPort } = start({ prometheus: { host: '127.0.0.1', port: 0 } });
    const base = `http://127.0.0.1:${await prometheusPort()}`;
    expect((await fetch(`${base}/`)).status).toBe(404);
    expect((await fetch(`${base}/metrics`, { method: 'POST', body: 'x' })).status).toBe(405);
  });
});
