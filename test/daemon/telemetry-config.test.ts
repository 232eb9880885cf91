/** The `telemetry` section: off when absent, loopback only, every mistake listed. */
import { expect, test } from 'vitest';
import { parseTelemetryConfig, TELEMETRY_OFF } from '../../src/daemon/telemetry-config.ts';

function parse(given: unknown) {
  const errors: string[] = [];
  return { config: parseTelemetryConfig(given, errors), errors };
}

test('telemetry is off unless somebody says where it goes', () => {
  expect(parse(undefined)).toEqual({ config: TELEMETRY_OFF, errors: [] });
  expect(parse({}).config).toMatchObject({ prometheus: null, otlp: null });
});

test('what is left out has a default', () => {
  const { config, errors } = parse({
    prometheus: {},
    otlp: { endpoint: 'https://collector:4318' },
  });
  expect(errors).toEqual([]);
  expect(config).toEqual({
    prometheus: { host: '127.0.0.1', port: 9464 },
    otlp: { endpoint: 'https://collector:4318', headers: {}, timeoutMs: 10_000 },
    sampleRatio: 0.01,
  });
});

test('every mistake is listed; text without a certificate is offered on loopback only', () => {
  const { errors } = parse({
    prometheus: { host: '0.0.0.0', port: 70_000, more: 1 },
    otlp: { endpoint: 'ftp://x', headers: { a: 1 }, timeoutMs: 0 },
    sampleRatio: 2,
    other: true,
  });
  expect(errors).toEqual([
    'telemetry.other is not known',
    'telemetry.sampleRatio must be a number from 0 to 1',
    'telemetry.prometheus.more is not known',
    'telemetry.prometheus.host must be one of 127.0.0.1, ::1',
    'telemetry.prometheus.port must be a whole number up to 65535',
    'telemetry.otlp.endpoint must be an http or https address',
    'telemetry.otlp.timeoutMs must be a number up to 60000',
    'telemetry.otlp.headers must be an object of texts',
  ]);
  expect(parse([]).errors).toEqual(['telemetry must be an object']);
});
