/**
 * Telemetry of a process, put together: a lane for its main thread, the sampler of the process, and a
 * sidecar under supervision. What is handed out is the port; everything else lives until `close`.
 */
import { METRIC, type RouteName } from '../core/telemetry-names.ts';
import type { Telemetry } from '../engine/ports.ts';
import { createLane } from './lane-layout.ts';
import { LaneWriter } from './lane-writer.ts';
import { startProcessSampler } from './process-sampler.ts';
import { CONTROL_BYTES, type OtlpSetup, type PrometheusSetup } from './sidecar-setup.ts';
import { SidecarSupervisor } from './sidecar-supervisor.ts';

/** A second and a half of ticks lost is a busy machine; this is no tick at all. */
const HUNG_AFTER_MS = 5000;
const METRICS_INTERVAL_MS = 10_000;

export interface TelemetryOptions {
  readonly prometheus: PrometheusSetup | null;
  readonly otlp: OtlpSetup | null;
  /** Share of the traces that begin here which are recorded, 0 to 1. */
  readonly sampleRatio: number;
  /** What `Telemetry.request` names by index. */
  readonly routes: readonly RouteName[];
  /** OpenTelemetry's attributes of who speaks: `service.name`, `service.version`, `host.name`. */
  readonly resource: Readonly<Record<string, string>>;
  /** A sentence for the log. */
  readonly onTrouble: (text: string) => void;
  /** Once a second: sets gauges that only their owner knows. */
  readonly onSample?: (telemetry: Telemetry) => void;
  readonly hungAfterMs?: number;
  readonly metricsIntervalMs?: number;
  /** Another script than the sidecar's: for tests of what becomes of the core. */
  readonly sidecarScript?: URL;
}

export interface RunningTelemetry {
  readonly telemetry: Telemetry;
  /** The port of the Prometheus text, once it listens. */
  prometheusPort(): Promise<number>;
  close(): Promise<void>;
}

export function startTelemetry(options: TelemetryOptions): RunningTelemetry {
  const lane = createLane();
  const telemetry = new LaneWriter({ lane, sampleRatio: options.sampleRatio });
  const sampler = startProcessSampler({
    telemetry,
    onSample: () => {
      telemetry.setEpoch();
      options.onSample?.(telemetry);
    },
  });
  const supervisor = new SidecarSupervisor({
    setup: {
      lanes: [lane],
      ownLane: createLane(),
      control: new SharedArrayBuffer(CONTROL_BYTES),
      routes: options.routes,
      resource: options.resource,
      prometheus: options.prometheus,
      otlp: options.otlp,
      metricsIntervalMs: options.metricsIntervalMs ?? METRICS_INTERVAL_MS,
      startMs: Date.now(),
    },
    hungAfterMs: options.hungAfterMs ?? HUNG_AFTER_MS,
    ...(options.sidecarScript === undefined ? {} : { script: options.sidecarScript }),
    onTrouble: options.onTrouble,
    onRestart: () => telemetry.count(METRIC.telemetryRestarts, 1),
  });
  return {
    telemetry,
    prometheusPort: () => supervisor.port(),
    close: async () => {
      sampler[Symbol.dispose]();
      await supervisor.close();
    },
  };
}
