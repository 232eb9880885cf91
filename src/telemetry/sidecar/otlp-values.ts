/**
 * Spans and sums in the shapes that OpenTelemetry's exporters take. Nothing here sends anything.
 */
import { type HrTime, SpanKind, SpanStatusCode, TraceFlags, ValueType } from '@opentelemetry/api';
import type { Resource } from '@opentelemetry/resources';
import {
  AggregationTemporality,
  DataPointType,
  type MetricData,
  type ResourceMetrics,
} from '@opentelemetry/sdk-metrics';
import type { ReadableSpan } from '@opentelemetry/sdk-trace';
import {
  DURATION_BOUNDS_S,
  OUTCOME,
  OUTCOME_NAMES,
  type RouteName,
  SPANS,
} from '../../core/telemetry-names.ts';
import type { ReadSpan } from '../lane-reader.ts';
import {
  type Attributes,
  type HistogramPoint,
  histogramValues,
  numberValues,
  requestAttributes,
} from './measured-values.ts';

const SCOPE = { name: 'ghostsnap' } as const;

export interface OtlpNames {
  readonly resource: Resource;
  readonly routes: readonly RouteName[];
}

export function readableSpan(span: ReadSpan, { resource, routes }: OtlpNames): ReadableSpan {
  const { traceId, spanId, parentId, startMs, endMs } = span;
  const definition = SPANS[span.name];
  const route = span.status === 0 ? undefined : routes[span.route];
  const context = (id: string) => ({ traceId, spanId: id, traceFlags: TraceFlags.SAMPLED });
  return {
    name: route === undefined ? (definition?.name ?? 'unknown') : `${route.method} ${route.route}`,
    kind: definition?.kind === 2 ? SpanKind.SERVER : SpanKind.INTERNAL,
    spanContext: () => context(spanId),
    ...(parentId === ''
      ? {}
      : { parentSpanContext: { ...context(parentId), isRemote: definition?.kind === 2 } }),
    startTime: hrTime(startMs),
    endTime: hrTime(endMs),
    duration: hrTime(endMs - startMs),
    status: {
      code: span.outcome === OUTCOME.error ? SpanStatusCode.ERROR : SpanStatusCode.UNSET,
    },
    attributes: {
      'ghostsnap.outcome': OUTCOME_NAMES[span.outcome] ?? 'ok',
      ...(route === undefined ? {} : requestAttributes(route.method, route.route, span.status)),
    },
    links: [],
    events: [],
    ended: true,
    resource,
    instrumentationScope: SCOPE,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
}

/** All metrics, as sums since `startMs`. */
export function resourceMetrics(
  cells: Float64Array,
  names: OtlpNames & { readonly startMs: number; readonly nowMs: number },
): ResourceMetrics {
  const times = { startTime: hrTime(names.startMs), endTime: hrTime(names.nowMs) };
  const numbers = numberValues(cells).map(({ name, kind, unit, help, points }): MetricData => {
    const base = {
      descriptor: { name, description: help, unit, valueType: ValueType.DOUBLE },
      aggregationTemporality: AggregationTemporality.CUMULATIVE,
      dataPoints: points.map(({ attributes, value }) => ({ ...times, attributes, value })),
    };
    return kind === 'counter'
      ? { ...base, dataPointType: DataPointType.SUM, isMonotonic: true }
      : { ...base, dataPointType: DataPointType.GAUGE };
  });
  const histograms = histogramValues(cells, names.routes)
    .filter(({ points }) => points.length > 0)
    .map(
      ({ name, help, points }): MetricData => ({
        descriptor: { name, description: help, unit: 's', valueType: ValueType.DOUBLE },
        aggregationTemporality: AggregationTemporality.CUMULATIVE,
        dataPointType: DataPointType.HISTOGRAM,
        dataPoints: points.map((point) => histogramPoint(point, times)),
      }),
    );
  const scopeMetrics = [{ scope: SCOPE, metrics: [...numbers, ...histograms] }];
  return { resource: names.resource, scopeMetrics };
}

function histogramPoint(
  { attributes, counts, sum }: HistogramPoint,
  times: { readonly startTime: HrTime; readonly endTime: HrTime },
): {
  startTime: HrTime;
  endTime: HrTime;
  attributes: Attributes;
  value: { buckets: { boundaries: number[]; counts: number[] }; sum: number; count: number };
} {
  const count = counts.reduce((total, one) => total + one, 0);
  const buckets = { boundaries: [...DURATION_BOUNDS_S], counts: [...counts] };
  return { ...times, attributes, value: { buckets, sum, count } };
}

/** Seconds and nanoseconds. */
function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1000);
  return [seconds, Math.round((ms - seconds * 1000) * 1e6)];
}
