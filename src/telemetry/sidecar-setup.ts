/**
 * What the supervisor hands the sidecar: plain values and shared memory.
 */
import type { RouteName } from '../core/telemetry-names.ts';

export interface PrometheusSetup {
  /** A loopback address: nothing else may ask without a certificate. */
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
}

export interface OtlpSetup {
  /** The base of a receiver of OTLP over HTTP, `http://127.0.0.1:4318`. */
  readonly endpoint: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Milliseconds for one export, its retries included. */
  readonly timeoutMs: number;
}

export interface SidecarSetup {
  /** Of the threads that say what happened. */
  readonly lanes: readonly SharedArrayBuffer[];
  /** Of the sidecar itself: outlives it, so that its counters do. */
  readonly ownLane: SharedArrayBuffer;
  /** Two 32-bit integers; the sidecar counts `HEARTBEAT` up as long as it lives. */
  readonly control: SharedArrayBuffer;
  readonly routes: readonly RouteName[];
  /** OpenTelemetry's attributes of who speaks: `service.name` and others. */
  readonly resource: Readonly<Record<string, string>>;
  readonly prometheus: PrometheusSetup | null;
  readonly otlp: OtlpSetup | null;
  readonly metricsIntervalMs: number;
  /** When the sums began, milliseconds since the epoch. */
  readonly startMs: number;
}

export const HEARTBEAT = 0;
export const CONTROL_BYTES = 8;
