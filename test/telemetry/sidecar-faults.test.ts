/** Whatever becomes of the sidecar, the core goes on, and what was said is kept as far as there is room. */
import { createServer } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { METRIC, OUTCOME, SPAN } from '../../src/core/telemetry-names.ts';
import { newTrace } from '../../src/core/trace-context.ts';
import { RING_RECORDS } from '../../src/telemetry/lane-layout.ts';
import { startTelemetry, type TelemetryOptions } from '../../src/telemetry/start-telemetry.ts';
import { OtlpReceiver } from './otlp-receiver.ts';

const ending: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

const TRACE = newTrace([1, 2, 3, 4, 5, 6], { sampled: 'yes' });

function start(options: Partial<TelemetryOptions> = {}) {
  const troubles: string[] = [];
  const running = startTelemetry({
    prometheus: { host: '127.0.0.1', port: 0 },
    otlp: null,
    sampleRatio: 1,
    routes: [],
    resource: {},
    onTrouble: (text) => troubles.push(text),
    metricsIntervalMs: 100,
    hungAfterMs: 500,
    ...options,
  });
  ending.push(() => running.close());
  return { ...running, troubles };
}

async function startReceiver(): Promise<OtlpReceiver> {
  const receiver = await OtlpReceiver.start();
  ending.push(() => receiver.close());
  return receiver;
}

async function metric(port: number, name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `));
  return Number(line?.split(' ')[1]);
}

describe('a sidecar that is lost', () => {
  test.each([
    ['throws', /lost \(on purpose\)/],
    ['rejects', /lost \(on purpose\)/],
    ['exits', /lost \(it ended\)/],
    ['hangs', /lost \(it was hung\)/],
    ['eats memory', /lost \(Worker terminated due to reaching memory limit/],
  ])('because it %s is started anew; spans and sums from before arrive', async (fault, reason) => {
    const receiver = await startReceiver();
    const { telemetry, prometheusPort, troubles } = start({
      otlp: { endpoint: receiver.endpoint, headers: {}, timeoutMs: 1000 },
      resource: { fault },
      sidecarScript: new URL('./faulty-sidecar-worker.ts', import.meta.url),
    });
    telemetry.count(METRIC.snapshotsFresh, 5);
    telemetry.span(SPAN.snapshot, TRACE, 0, 1e6, OUTCOME.ok);
    await receiver.until(({ spans }) => spans.length === 1);
    expect(troubles).toEqual([expect.stringMatching(reason)]);
    const port = await prometheusPort();
    expect(await metric(port, 'ghostsnap_telemetry_restarts_total')).toBe(1);
    expect(await metric(port, 'ghostsnap_snapshots_total{way="fresh"}')).toBe(5);
  });
});

describe('a receiver of traces', () => {
  test('that is down costs spans, which are counted, and nothing else', async () => {
    const { telemetry, prometheusPort } = start({
      otlp: { endpoint: 'http://127.0.0.1:9', headers: {}, timeoutMs: 300 },
    });
    telemetry.span(SPAN.snapshot, TRACE, 0, 1e6, OUTCOME.ok);
    const port = await prometheusPort();
    while ((await metric(port, 'ghostsnap_telemetry_lost_total')) === 0);
    expect(await metric(port, 'ghostsnap_telemetry_exported_total')).toBe(0);
  });

  test('that never answers fills the ring: drops are counted, and it goes on afterwards', async () => {
    const receiver = await startReceiver();
    receiver.answer = 'never';
    const { telemetry, prometheusPort } = start({
      otlp: { endpoint: receiver.endpoint, headers: {}, timeoutMs: 2000 },
      metricsIntervalMs: 1e9,
    });
    telemetry.span(SPAN.snapshot, TRACE, 0, 1e6, OUTCOME.ok);
    await receiver.until(({ requests }) => requests > 0);
    const said = RING_RECORDS + 1000;
    for (let n = 0; n < said; n += 1) telemetry.span(SPAN.snapshot, TRACE, 0, n, OUTCOME.ok);
    const port = await prometheusPort();
    expect(await metric(port, 'ghostsnap_telemetry_dropped_total')).toBeGreaterThanOrEqual(1000);
    expect(await metric(port, 'ghostsnap_snapshot_duration_seconds_count{outcome="ok"}')).toBe(
      said + 1,
    );
    receiver.answer = 'take';
    await receiver.until(({ spans }) => spans.length > 0);
    // Each span is somewhere, once.
    const ends = ['exported', 'lost', 'dropped'];
    const count = async (): Promise<number> => {
      const counts = ends.map((end) => metric(port, `ghostsnap_telemetry_${end}_total`));
      return (await Promise.all(counts)).reduce((sum, n) => sum + n, 0);
    };
    while ((await count()) < said + 1);
    expect(await count()).toBe(said + 1);
    expect(await metric(port, 'ghostsnap_telemetry_exported_total')).toBe(receiver.spans.length);
  });
});

test('a port that is taken is tried again until it is free', async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const { port } = taken.address() as { port: number };
  const { prometheusPort } = start({ prometheus: { host: '127.0.0.1', port } });
  await new Promise<void>((resolve) => taken.close(() => resolve()));
  expect(await prometheusPort()).toBe(port);
});
