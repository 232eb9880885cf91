/** What an operation says of itself: a tree of spans, counters, and the trace in its events. */
import { expect, test } from 'vitest';
import { METRICS, OUTCOME_NAMES, SPANS } from '../../src/core/telemetry-names.ts';
import { childContext, newTrace, type TraceContext } from '../../src/core/trace-context.ts';
import type { Telemetry } from '../../src/engine/ports.ts';
import { makeEngineWorld } from './engine-world.ts';

const TRACE = { ...newTrace([1, 2, 3, 4, 5, 6], { sampled: 'yes' }), state: 'a=1', baggage: 'b=2' };

/** Keeps what is said, as `name outcome <parent's name`. */
class Recorder implements Telemetry {
  readonly lines: string[] = [];
  readonly counters: Record<string, number> = {};
  readonly #children = new Map<string, string[]>();
  readonly #names = new Map<string, string>([[TRACE.spanId, 'asked']]);
  #ids = 100;

  nowNs(): number {
    return 1;
  }

  begin(parent: TraceContext | undefined): TraceContext | undefined {
    if (parent === undefined) return undefined;
    this.#ids += 1;
    return childContext(parent, 0, this.#ids);
  }

  end(name: number, open: TraceContext | undefined, _startNs: number, outcome: number): void {
    const text = SPANS[name]?.name ?? '';
    this.lines.push(this.#line(text, outcome, open?.parentId));
    if (open === undefined) return;
    this.#names.set(open.spanId, text);
    for (const line of this.#children.get(open.spanId) ?? []) this.lines.push(`${line}${text}`);
  }

  span(
    name: number,
    trace: TraceContext | undefined,
    _s: number,
    _e: number,
    outcome: number,
  ): void {
    const line = `${SPANS[name]?.name} ${OUTCOME_NAMES[outcome]} < `;
    if (trace === undefined || this.#names.has(trace.spanId)) {
      this.lines.push(this.#line(SPANS[name]?.name ?? '', outcome, trace?.spanId));
      return;
    }
    this.#children.set(trace.spanId, [...(this.#children.get(trace.spanId) ?? []), line]);
  }

  request(): void {}

  count(metric: number, n: number): void {
    const { name = '', attributes = {} } = METRICS[metric] ?? {};
    const key = [name, ...Object.values(attributes)].join(' ');
    this.counters[key] = (this.counters[key] ?? 0) + n;
  }

  gauge(): void {}

  #line(name: string, outcome: number, parent: string | undefined): string {
    return `${name} ${OUTCOME_NAMES[outcome]} < ${this.#names.get(parent ?? '') ?? 'nobody'}`;
  }
}

test('a tool call is one span of the asking trace, and what it took lies below it', async () => {
  const telemetry = new Recorder();
  const { workspace, catalog, ref } = await makeEngineWorld({ telemetry });
  telemetry.lines.length = 0;
  const call = { session: 's', harness: 'h', tool: 'Bash', key: 'k', trace: TRACE };
  await workspace.beginCall(call);
  await workspace.endCall({ session: 's', key: 'k', outcome: 'ok', trace: TRACE });
  const begin = 'ghostsnap.call.begin';
  expect(telemetry.lines).toContain(`${begin} ok < asked`);
  expect(telemetry.lines).toContain(`ghostsnap.workspace.wait ok < ${begin}`);
  expect(telemetry.lines).toContain(`ghostsnap.backend.snapshot ok < ${begin}`);
  expect(telemetry.lines).toContain(`ghostsnap.catalog.commit ok < ${begin}`);
  expect(telemetry.lines).toContain('ghostsnap.call.end ok < asked');
  expect(telemetry.lines).toContain('ghostsnap.catalog.commit ok < ghostsnap.call.end');
  expect(telemetry.lines.filter((line) => line.endsWith('< nobody'))).toEqual([]);
  const traced = catalog.events(ref.id, 0, 100).filter(({ trace }) => trace !== undefined);
  expect(traced.map(({ type }) => type)).toEqual([
    'session.started',
    'snapshot.created',
    'call.begun',
    'call.ended',
  ]);
  for (const { trace } of traced) {
    expect(trace).toMatchObject({ tracestate: 'a=1', baggage: 'b=2' });
    expect(trace?.traceparent).toContain(TRACE.traceId);
  }
});

test('what nobody traces counts all the same, and its events hold no trace', async () => {
  const telemetry = new Recorder();
  const { workspace, catalog, ref } = await makeEngineWorld({ telemetry });
  const { id } = await workspace.snapshot();
  await workspace.rollback(id);
  expect(telemetry.counters['ghostsnap.snapshots fresh']).toBeGreaterThanOrEqual(2);
  expect(telemetry.lines).toContain('ghostsnap.snapshot ok < nobody');
  expect(telemetry.lines).toContain('ghostsnap.rollback ok < nobody');
  expect(telemetry.lines).toContain('ghostsnap.backend.turn ok < nobody');
  const events = catalog.events(ref.id, 0, 100);
  expect(events.every((event) => !('trace' in event))).toBe(true);
  expect(telemetry.counters['ghostsnap.events']).toBe(events.length);
});

test('a failure of ours is an error and is counted, one of the caller is a refusal', async () => {
  const telemetry = new Recorder();
  const { workspace, failNext } = await makeEngineWorld({ telemetry });
  failNext('POOL_FULL');
  await expect(workspace.snapshot()).rejects.toMatchObject({ code: 'POOL_FULL' });
  expect(telemetry.lines).toContain('ghostsnap.snapshot error < nobody');
  expect(telemetry.counters['ghostsnap.snapshot.failures']).toBe(1);
  const ended = workspace.endCall({ session: 's', key: 'none', outcome: 'ok' });
  await expect(ended).rejects.toMatchObject({ code: 'CALL_NOT_FOUND' });
  expect(telemetry.lines).toContain('ghostsnap.call.end refused < nobody');
});

test('a long baggage is not kept in events', async () => {
  const { workspace, catalog, ref } = await makeEngineWorld();
  await workspace.snapshot({ trace: { ...TRACE, baggage: `b=${'x'.repeat(600)}` } });
  const { trace } = catalog.events(ref.id, 0, 100).at(-1) ?? {};
  expect(trace).toEqual({ traceparent: expect.any(String), tracestate: 'a=1' });
});
