/**
 * What the cells of the lanes say, with names: the one place that both exporters read.
 *
 * A metric that nobody has written yet is 0, so that a rule over it has something to look at from the
 * first scrape; a histogram that nobody has written is left out, or each scrape would carry thousands.
 */
import {
  METRICS,
  type MetricDefinition,
  OUTCOME_NAMES,
  type RouteName,
  SPAN,
  SPANS,
  STATUS_CODES,
} from '../../core/telemetry-names.ts';
import { BUCKETS, routeCells, spanCells } from '../lane-layout.ts';

export type Attributes = Readonly<Record<string, string | number>>;

export interface HistogramPoint {
  readonly attributes: Attributes;
  /** One a bucket, not summed up; the last has no upper bound. */
  readonly counts: readonly number[];
  readonly sum: number;
}

export interface HistogramValues {
  readonly name: string;
  readonly help: string;
  readonly points: readonly HistogramPoint[];
}

export interface NumberValues {
  readonly name: string;
  readonly kind: 'counter' | 'gauge';
  readonly unit: string;
  readonly help: string;
  readonly points: readonly { readonly attributes: Attributes; readonly value: number }[];
}

/** Counters and gauges; rows of one name together, in the order of the table. */
export function numberValues(cells: Float64Array): readonly NumberValues[] {
  const values = new Map<string, NumberValues & { points: NumberValues['points'][number][] }>();
  METRICS.forEach((metric: MetricDefinition, index) => {
    const { name, kind, unit, help, attributes } = metric;
    const known = values.get(name) ?? { name, kind, unit, help, points: [] };
    known.points.push({ attributes, value: cells[index] ?? 0 });
    values.set(name, known);
  });
  return [...values.values()];
}

/** Durations in seconds: those of spans by outcome, those of requests by route and status. */
export function histogramValues(
  cells: Float64Array,
  routes: readonly RouteName[],
): readonly HistogramValues[] {
  return SPANS.map(({ name, help }, span) => ({
    name: `${name}.duration`,
    help,
    points: span === SPAN.httpRequest ? requestPoints(cells, routes) : outcomePoints(cells, span),
  }));
}

function outcomePoints(cells: Float64Array, span: number): readonly HistogramPoint[] {
  return OUTCOME_NAMES.flatMap((outcome, index) =>
    pointsAt(cells, spanCells(span, index), { outcome }),
  );
}

function requestPoints(
  cells: Float64Array,
  routes: readonly RouteName[],
): readonly HistogramPoint[] {
  return routes.flatMap(({ method, route }, index) =>
    STATUS_CODES.flatMap((status, statusIndex) =>
      pointsAt(cells, routeCells(index, statusIndex), requestAttributes(method, route, status)),
    ),
  );
}

/** By the semantic conventions for HTTP servers. */
export function requestAttributes(method: string, route: string, status: number): Attributes {
  return {
    'http.request.method': method,
    'http.route': route,
    'http.response.status_code': status,
  };
}

/** None when nothing was counted. */
function pointsAt(
  cells: Float64Array,
  first: number,
  attributes: Attributes,
): readonly HistogramPoint[] {
  const counts = [...cells.subarray(first, first + BUCKETS)];
  if (counts.every((count) => count === 0)) return [];
  return [{ attributes, counts, sum: cells[first + BUCKETS] ?? 0 }];
}
