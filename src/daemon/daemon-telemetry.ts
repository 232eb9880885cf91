/**
 * Telemetry of a process that stays, as it is configured: nothing is loaded or started where it is off.
 *
 * Besides what the engine says it measures the pools, once in a while, for the gauges that only they give.
 */
import { statfsSync } from 'node:fs';
import { hostname } from 'node:os';
import { METRIC, type RouteName } from '../core/telemetry-names.ts';
import { NO_TELEMETRY, type Telemetry } from '../engine/ports.ts';
import { installTelemetry } from './process-telemetry.ts';
import type { TelemetryConfig } from './telemetry-config.ts';

export interface ProcessTelemetryOptions {
  readonly config: TelemetryConfig;
  /** `service.name`: 'ghostsnap-daemon', 'ghostsnap'. */
  readonly service: string;
  readonly version: string;
  /** What `Telemetry.request` names by index; empty for a process without routes. */
  readonly routes: readonly RouteName[];
  /** Roots of the pools that it works in, now. */
  readonly poolRoots: () => readonly string[];
  /** Once a second: sets gauges that only their owner knows. */
  readonly onSample: (telemetry: Telemetry) => void;
  readonly onTrouble: (text: string) => void;
}

export interface ProcessTelemetry extends AsyncDisposable {
  readonly telemetry: Telemetry;
  /** Where the Prometheus text is; null: nowhere. Waits until it listens. */
  prometheusPort(): Promise<number | null>;
}

/** Starts what is configured and installs it for every pool that is opened from now on. */
export async function startProcessTelemetry(
  options: ProcessTelemetryOptions,
): Promise<ProcessTelemetry> {
  const { prometheus, otlp } = options.config;
  if (prometheus === null && otlp === null) return SILENT;
  const { startTelemetry } = await import('../telemetry/start-telemetry.ts');
  const running = startTelemetry({
    ...options.config,
    routes: options.routes,
    resource: {
      'service.name': options.service,
      'service.version': options.version,
      'host.name': hostname(),
      'process.pid': String(process.pid),
    },
    onTrouble: options.onTrouble,
    onSample: (telemetry) => {
      options.onSample(telemetry);
      measurePools(telemetry, options.poolRoots());
    },
  });
  const installation = installTelemetry(running.telemetry);
  return {
    telemetry: running.telemetry,
    prometheusPort: async () => (prometheus === null ? null : await running.prometheusPort()),
    [Symbol.asyncDispose]: async () => {
      installation[Symbol.dispose]();
      await running.close();
    },
  };
}

const SILENT: ProcessTelemetry = {
  telemetry: NO_TELEMETRY,
  prometheusPort: async () => null,
  [Symbol.asyncDispose]: async () => {},
};

/** The pool that has the least room, as a share of its own, is the one to look after. */
function measurePools(telemetry: Telemetry, roots: readonly string[]): void {
  let least = Number.POSITIVE_INFINITY;
  for (const root of roots) {
    const space = spaceOf(root);
    if (space === null || space.freeBytes / space.sizeBytes >= least) continue;
    least = space.freeBytes / space.sizeBytes;
    telemetry.gauge(METRIC.poolSize, space.sizeBytes);
    telemetry.gauge(METRIC.poolFree, space.freeBytes);
  }
}

function spaceOf(root: string): { readonly sizeBytes: number; readonly freeBytes: number } | null {
  try {
    const { blocks, bavail, bsize } = statfsSync(root);
    return { sizeBytes: blocks * bsize, freeBytes: bavail * bsize };
  } catch {
    // A pool that is not mounted: whoever needs it is told.
    return null;
  }
}
