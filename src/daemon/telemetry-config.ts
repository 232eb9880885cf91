/**
 * What the person or the operator decided about telemetry: off, unless they say where it goes.
 *
 * ```json
 * { "prometheus": { "port": 9464 }, "otlp": { "endpoint": "http://127.0.0.1:4318" }, "sampleRatio": 0.01 }
 * ```
 * Every error is listed. The Prometheus text is unencrypted and asks for no certificate, so it is offered
 * on loopback addresses only.
 */
import type { OtlpSetup, PrometheusSetup } from '../telemetry/sidecar-setup.ts';

export interface TelemetryConfig {
  readonly prometheus: PrometheusSetup | null;
  readonly otlp: OtlpSetup | null;
  readonly sampleRatio: number;
}

export const TELEMETRY_OFF: TelemetryConfig = { prometheus: null, otlp: null, sampleRatio: 0 };

/** What OpenTelemetry's exporter for Prometheus listens on. */
const PROMETHEUS_PORT = 9464;
const LOOPBACK = ['127.0.0.1', '::1'];
const OTLP_TIMEOUT_MS = 10_000;
const OTLP_TIMEOUT_MS_MAX = 60_000;
/** Of the traces that begin here; one that comes sampled is always recorded. */
const SAMPLE_RATIO = 0.01;

/** @param errors gets a sentence for each mistake; then what is returned is of no use */
export function parseTelemetryConfig(given: unknown, errors: string[]): TelemetryConfig {
  if (given === undefined) return TELEMETRY_OFF;
  const known = ['prometheus', 'otlp', 'sampleRatio'];
  const fields = fieldsOf(given, known, 'telemetry', errors);
  const sampleRatio = fields.sampleRatio ?? SAMPLE_RATIO;
  if (!isBetween(sampleRatio, 0, 1)) {
    errors.push('telemetry.sampleRatio must be a number from 0 to 1');
  }
  return {
    prometheus: fields.prometheus === undefined ? null : parsePrometheus(fields.prometheus, errors),
    otlp: fields.otlp === undefined ? null : parseOtlp(fields.otlp, errors),
    sampleRatio: Number(sampleRatio),
  };
}

function parsePrometheus(given: unknown, errors: string[]): PrometheusSetup {
  const fields = fieldsOf(given, ['host', 'port'], 'telemetry.prometheus', errors);
  const { host = '127.0.0.1', port = PROMETHEUS_PORT } = fields;
  if (!LOOPBACK.includes(String(host))) {
    errors.push(`telemetry.prometheus.host must be one of ${LOOPBACK.join(', ')}`);
  }
  if (!isBetween(port, 0, 65_535) || !Number.isInteger(port)) {
    errors.push('telemetry.prometheus.port must be a whole number up to 65535');
  }
  return { host: String(host), port: Number(port) };
}

function parseOtlp(given: unknown, errors: string[]): OtlpSetup {
  const known = ['endpoint', 'headers', 'timeoutMs'];
  const fields = fieldsOf(given, known, 'telemetry.otlp', errors);
  const { endpoint = '', headers = {}, timeoutMs = OTLP_TIMEOUT_MS } = fields;
  if (!/^https?:$/.test(URL.parse(String(endpoint))?.protocol ?? '')) {
    errors.push('telemetry.otlp.endpoint must be an http or https address');
  }
  if (!isBetween(timeoutMs, 1, OTLP_TIMEOUT_MS_MAX)) {
    errors.push(`telemetry.otlp.timeoutMs must be a number up to ${OTLP_TIMEOUT_MS_MAX}`);
  }
  const isText = (value: unknown): value is string => typeof value === 'string';
  const entries = isObject(headers) ? headers : {};
  if (!isObject(headers) || !Object.values(headers).every(isText)) {
    errors.push('telemetry.otlp.headers must be an object of texts');
  }
  const pairs = Object.entries(entries).map(([name, text]) => [name, String(text)]);
  return {
    endpoint: String(endpoint),
    headers: Object.fromEntries(pairs) as Record<string, string>,
    timeoutMs: Number(timeoutMs),
  };
}

function fieldsOf(
  given: unknown,
  known: readonly string[],
  name: string,
  errors: string[],
): Readonly<Record<string, unknown>> {
  if (!isObject(given)) {
    errors.push(`${name} must be an object`);
    return {};
  }
  for (const key of Object.keys(given)) {
    if (!known.includes(key)) errors.push(`${name}.${key} is not known`);
  }
  return given;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isBetween(value: unknown, min: number, max: number): value is number {
  return typeof value === 'number' && value >= min && value <= max;
}
