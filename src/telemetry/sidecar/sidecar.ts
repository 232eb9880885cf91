/**
 * What turns the lanes into traces and metrics for others: the work of the sidecar's thread.
 *
 * It may be slow, stuck or dead at any moment, and the core does not notice: it only ever reads lanes. It
 * holds a bounded number of spans (one export under way; the rest stays in the ring, which drops and
 * counts), and bounds what a scraper may ask. A receiver that does not answer costs it its spans.
 */
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-http';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { type Resource, resourceFromAttributes } from '@opentelemetry/resources';
import { METRIC } from '../../core/telemetry-names.ts';
import { laneViews } from '../lane-layout.ts';
import { LaneReader, sumCells } from '../lane-reader.ts';
import { HEARTBEAT, type SidecarSetup } from '../sidecar-setup.ts';
import { serveMetrics } from './metrics-server.ts';
import { readableSpan, resourceMetrics } from './otlp-values.ts';

/** Spans in one export: some hundred kilobytes of JSON. */
const EXPORT_SPANS_MAX = 512;
const TICK_MS = 100;

/** The export under way; its end counts only as long as it is that one. */
interface Export {
  readonly spans: number;
  readonly endsByMs: number;
}

/** What the exporters' callback says. */
interface ExportResult {
  readonly code: number;
}
const SUCCESS = 0;
const FAILED = 1;

export class Sidecar {
  readonly #setup: SidecarSetup;
  readonly #lanes: readonly LaneReader[];
  readonly #own: Float64Array<SharedArrayBuffer>;
  readonly #heartbeat: Int32Array<SharedArrayBuffer>;
  readonly #resource: Resource;
  readonly #traces: OTLPTraceExporter | null;
  readonly #metrics: OTLPMetricExporter | null;
  #export: Export | null = null;
  #isSendingMetrics = false;
  #metricsSentMs = 0;

  constructor(setup: SidecarSetup) {
    this.#setup = setup;
    this.#lanes = [...setup.lanes, setup.ownLane].map((lane) => new LaneReader(lane));
    this.#own = laneViews(setup.ownLane).cells;
    this.#heartbeat = new Int32Array(setup.control);
    this.#resource = resourceFromAttributes(setup.resource);
    const { otlp } = setup;
    const to = (path: string) => ({
      url: `${otlp?.endpoint.replace(/\/+$/, '')}${path}`,
      headers: { ...otlp?.headers },
      timeoutMillis: otlp?.timeoutMs ?? 0,
    });
    this.#traces = otlp === null ? null : new OTLPTraceExporter(to('/v1/traces'));
    this.#metrics = otlp === null ? null : new OTLPMetricExporter(to('/v1/metrics'));
  }

  start(onListening: (port: number) => void): void {
    const { prometheus, routes } = this.#setup;
    if (prometheus !== null) {
      serveMetrics({ ...prometheus, source: { routes, cells: () => this.#sums() }, onListening });
    }
    setInterval(() => this.#tick(), TICK_MS);
    this.#tick();
  }

  #sums(): Float64Array {
    return sumCells(this.#lanes);
  }

  #tick(): void {
    Atomics.add(this.#heartbeat, HEARTBEAT, 1);
    this.#sendSpans();
    this.#sendMetrics();
  }

  #sendSpans(): void {
    const traces = this.#traces;
    if (traces === null) {
      for (const lane of this.#lanes) lane.discard();
      return;
    }
    this.#giveUpLate();
    if (this.#export !== null) return;
    const spans = this.#lanes.flatMap((lane) => lane.take(EXPORT_SPANS_MAX));
    if (spans.length === 0) return;
    const names = { resource: this.#resource, routes: this.#setup.routes };
    const readable = spans.map((span) => readableSpan(span, names));
    const timeoutMs = this.#setup.otlp?.timeoutMs ?? 0;
    const own: Export = { spans: spans.length, endsByMs: performance.now() + 2 * timeoutMs };
    this.#export = own;
    traces.export(readable, ({ code }: ExportResult) => {
      if (this.#export !== own) return;
      this.#export = null;
      this.#count(own, code);
      // More may have come meanwhile, and the next tick is far away for a busy ring.
      if (code === SUCCESS) this.#sendSpans();
    });
  }

  /** The exporter's time runs anew with each byte of an answer: a receiver that drips never ends it. */
  #giveUpLate(): void {
    const late = this.#export;
    if (late === null || performance.now() < late.endsByMs) return;
    this.#export = null;
    this.#count(late, FAILED);
  }

  #count({ spans }: Export, code: number): void {
    this.#add(code === SUCCESS ? METRIC.telemetryExported : METRIC.telemetryLost, spans);
    if (code !== SUCCESS) this.#add(METRIC.telemetryExportFailures, 1);
  }

  #sendMetrics(): void {
    const nowMs = Date.now();
    const isDue = nowMs - this.#metricsSentMs >= this.#setup.metricsIntervalMs;
    if (this.#metrics === null || this.#isSendingMetrics || !isDue) return;
    this.#metricsSentMs = nowMs;
    this.#isSendingMetrics = true;
    const { routes, startMs } = this.#setup;
    const names = { resource: this.#resource, routes, startMs, nowMs };
    this.#metrics.export(resourceMetrics(this.#sums(), names), ({ code }: ExportResult) => {
      this.#isSendingMetrics = false;
      if (code !== SUCCESS) this.#add(METRIC.telemetryExportFailures, 1);
    });
  }

  /** This thread's own lane: nobody else writes there. */
  #add(metric: number, n: number): void {
    this.#own[metric] = (this.#own[metric] ?? 0) + n;
  }
}
