/**
 * What telemetry costs: a span by itself, and snapshots beside a sidecar that is well, hung, dying, or whose
 * receiver is down, each against snapshots without telemetry.
 *
 * The states take turns in short blocks, so that what the machine does beside them meets all alike. Every
 * snapshot is traced, which is a hundred times what is sampled by default.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { METRIC, OUTCOME, SPAN } from '../../src/core/telemetry-names.ts';
import { newTrace } from '../../src/core/trace-context.ts';
import { installTelemetry } from '../../src/daemon/process-telemetry.ts';
import { NO_TELEMETRY, type Telemetry } from '../../src/engine/ports.ts';
import { initWorkspace, openWorkspace } from '../../src/index.ts';
import { createLane } from '../../src/telemetry/lane-layout.ts';
import { LaneReader } from '../../src/telemetry/lane-reader.ts';
import { LaneWriter } from '../../src/telemetry/lane-writer.ts';
import { startTelemetry, type TelemetryOptions } from '../../src/telemetry/start-telemetry.ts';
import { type BenchCase, rounds } from '../context.ts';
import { formatSpread, type Row, type Series, spreadOf, timeAsync, timeSync } from '../measure.ts';
import { makePlace } from '../place.ts';
import { makeFiles } from '../tree.ts';

const FILES = 1000;
const SNAPSHOTS_A_BLOCK = 15;
/** A thread comes up in some tens of milliseconds: it is the state that is measured, not its beginning. */
const SETTLE_MS = 400;
const SPANS_A_SAMPLE = 4000;
const TRACE = newTrace([1, 2, 3, 4, 5, 6], { sampled: 'yes' });
const DOWN = { endpoint: 'http://127.0.0.1:9', headers: {}, timeoutMs: 1000 };
const script = (name: string): URL => new URL(`../child/${name}.ts`, import.meta.url);

const STATES: Readonly<Record<string, Partial<TelemetryOptions>>> = {
  'a sidecar that is well': {},
  'one whose receiver is down': { otlp: DOWN },
  'one that is hung': { sidecarScript: script('hung-sidecar'), hungAfterMs: 1e9 },
  'one that dies': { sidecarScript: script('dying-sidecar') },
};

/** A pool keeps the telemetry that it was opened with: this one hands on to whatever the block has. */
class Switch implements Telemetry {
  to: Telemetry = NO_TELEMETRY;
  nowNs = (): number => this.to.nowNs();
  begin: Telemetry['begin'] = (parent) => this.to.begin(parent);
  end: Telemetry['end'] = (...told) => this.to.end(...told);
  span: Telemetry['span'] = (...told) => this.to.span(...told);
  request: Telemetry['request'] = (...told) => this.to.request(...told);
  count: Telemetry['count'] = (...told) => this.to.count(...told);
  gauge: Telemetry['gauge'] = (...told) => this.to.gauge(...told);
}

export const telemetry: BenchCase = {
  name: 'telemetry',
  needs: 'root',
  async run(context): Promise<readonly Row[]> {
    await using place = await makePlace({ btrfsMiB: 2048 });
    const path = place.makeDirectory(place.btrfs, 'work');
    makeFiles(path, FILES);
    const { environment } = place;
    const switched = new Switch();
    using _installed = installTelemetry(switched);
    await initWorkspace({ path, backend: 'btrfs', environment });
    await using workspace = await openWorkspace({ workspace: path, environment });
    const block = async (into: number[]): Promise<void> => {
      for (let n = 0; n < SNAPSHOTS_A_BLOCK; n += 1) {
        into.push(await timeAsync(() => workspace.snapshot({ trace: TRACE })));
      }
    };
    const off: number[] = [];
    const on = new Map(Object.keys(STATES).map((name) => [name, [] as number[]]));
    for (let round = 0; round < rounds(context, 12); round += 1) {
      for (const [name, options] of Object.entries(STATES)) {
        await block(off);
        const running = startTelemetry({ ...BASE, ...options });
        await settled(running, options);
        switched.to = running.telemetry;
        await block(on.get(name) ?? []);
        switched.to = NO_TELEMETRY;
        await running.close();
      }
    }
    const baseline = { name: 'without telemetry', samplesNs: off };
    const beside = [...on].map(([name, samplesNs]) => besideRow({ name, samplesNs }, baseline));
    return [spanRow('a span that is traced', TRACE), spanRow('one that is not'), ...beside];
  },
};

async function settled(
  running: ReturnType<typeof startTelemetry>,
  { sidecarScript }: Partial<TelemetryOptions>,
): Promise<void> {
  if (sidecarScript === undefined) await running.prometheusPort();
  else await pause(SETTLE_MS);
}

const BASE: TelemetryOptions = {
  prometheus: { host: '127.0.0.1', port: 0 },
  otlp: null,
  sampleRatio: 1,
  routes: [],
  resource: {},
  onTrouble: () => undefined,
};

function besideRow(ours: Series, baseline: Series): Row {
  const own = spreadOf(ours);
  const other = spreadOf(baseline);
  const ratio = own.p99Ns / other.p99Ns;
  const p50 = (own.p50Ns / other.p50Ns).toFixed(2);
  return {
    what: `snapshots beside ${ours.name}, p99`,
    ours: formatSpread(own),
    baseline: `${baseline.name}: ${formatSpread(other)}`,
    result: `${ratio.toFixed(2)}x (p50 ${p50}x)`,
    reach: { text: '<= 1.05x', isMet: ratio <= 1.05 },
    series: [ours, baseline],
  };
}

/** By itself, with a reader that keeps up; and what it leaves to the garbage collector. */
function spanRow(what: string, trace?: typeof TRACE): Row {
  const lane = createLane();
  const writer = new LaneWriter({ lane, sampleRatio: 1 });
  const reader = new LaneReader(lane);
  const say = (): void => {
    for (let n = 0; n < SPANS_A_SAMPLE; n += 1) {
      writer.span(SPAN.snapCreate, trace, 1000, 2_000_000, OUTCOME.ok);
      writer.count(METRIC.snapshotsFresh, 1);
    }
  };
  const samplesNs: number[] = [];
  let heapBytes = Number.POSITIVE_INFINITY;
  for (let sample = 0; sample < 60; sample += 1) {
    const before = process.memoryUsage().heapUsed;
    samplesNs.push(timeSync(say) / SPANS_A_SAMPLE);
    // A collection between shows as less than nothing: the least is what the loop itself left.
    heapBytes = Math.min(heapBytes, Math.abs(process.memoryUsage().heapUsed - before));
    reader.discard();
  }
  const { p50Ns, p99Ns } = spreadOf({ name: what, samplesNs });
  return {
    what: `${what}, and a counter`,
    ours: `${p50Ns.toFixed(0)} ns (p99 ${p99Ns.toFixed(0)})`,
    baseline: `${(heapBytes / SPANS_A_SAMPLE).toFixed(1)} bytes of heap each`,
    result: `${p50Ns.toFixed(0)} ns`,
    reach: { text: 'about 100 ns', isMet: p50Ns <= 150 },
    series: [{ name: what, samplesNs }],
  };
}
