/**
 * The Prometheus text of what the cells say.
 *
 * Names are translated as OpenTelemetry's specification for Prometheus has it: dots become underscores,
 * the unit follows in full, counters end in `_total`.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { DURATION_BOUNDS_S, type RouteName } from '../../core/telemetry-names.ts';
import {
  type Attributes,
  type HistogramValues,
  histogramValues,
  type NumberValues,
  numberValues,
} from './measured-values.ts';

/** Of UCUM; what stands in braces is for people and is no unit. */
const UNITS: Readonly<Record<string, string>> = { s: '_seconds', By: '_bytes', '1': '_ratio' };

export interface PrometheusSource {
  readonly routes: readonly RouteName[];
  /** The sums of all lanes, now. */
  cells(): Float64Array;
}

export interface PrometheusText {
  readonly contentType: string;
  /** What the lanes say now. */
  render(): Promise<string>;
}

/** One look at the lanes: all metrics of a scrape are read from it. */
interface Look {
  readonly numbers: ReadonlyMap<string, NumberValues>;
  readonly histograms: ReadonlyMap<string, HistogramValues>;
}

export function createPrometheusText(source: PrometheusSource): PrometheusText {
  const registry = new Registry();
  let look = lookAt(source);
  const pointsOf = (name: string): NumberValues['points'] => look.numbers.get(name)?.points ?? [];
  for (const values of look.numbers.values()) {
    registry.registerMetric(values.kind === 'counter' ? counterOf(values) : gaugeOf(values));
  }
  for (const { name, help } of look.histograms.values()) {
    const points = () => look.histograms.get(name)?.points ?? [];
    registry.registerMetric(new CellHistogram({ name, help, points }));
  }

  function counterOf({ name, unit, help, points }: NumberValues): Counter {
    return new Counter({
      name: prometheusName(name, unit, 'counter'),
      help,
      labelNames: labelNamesOf(points),
      registers: [],
      collect() {
        this.reset();
        for (const point of pointsOf(name)) this.inc(labelsOf(point.attributes), point.value);
      },
    });
  }

  function gaugeOf({ name, unit, help, points }: NumberValues): Gauge {
    return new Gauge({
      name: prometheusName(name, unit, 'gauge'),
      help,
      labelNames: labelNamesOf(points),
      registers: [],
      collect() {
        for (const point of pointsOf(name)) this.set(labelsOf(point.attributes), point.value);
      },
    });
  }

  return {
    contentType: registry.contentType,
    render: async () => {
      look = lookAt(source);
      return await registry.metrics();
    },
  };
}

function lookAt(source: PrometheusSource): Look {
  const cells = source.cells();
  const byName = <T extends { readonly name: string }>(values: readonly T[]): Map<string, T> =>
    new Map(values.map((value) => [value.name, value]));
  return {
    numbers: byName(numberValues(cells)),
    histograms: byName(histogramValues(cells, source.routes)),
  };
}

/** `nodejs.eventloop.delay.p99` in seconds: `nodejs_eventloop_delay_p99_seconds`. */
export function prometheusName(name: string, unit: string, kind: 'counter' | 'gauge'): string {
  const plain = name.replaceAll(/[^A-Za-z0-9_]/g, '_') + (UNITS[unit] ?? '');
  return kind === 'counter' ? `${plain}_total` : plain;
}

function labelsOf(attributes: Attributes): Record<string, string> {
  return Object.fromEntries(
    Object.entries(attributes).map(([key, value]) => [
      key.replaceAll(/[^A-Za-z0-9_]/g, '_'),
      String(value),
    ]),
  );
}

function labelNamesOf(points: NumberValues['points']): string[] {
  return Object.keys(labelsOf(points[0]?.attributes ?? {}));
}

/** One that was counted elsewhere: the library's own can only be told value by value. */
class CellHistogram extends Histogram {
  readonly #points: () => HistogramValues['points'];
  readonly #text: { readonly name: string; readonly help: string };

  constructor(options: {
    readonly name: string;
    readonly help: string;
    readonly points: () => HistogramValues['points'];
  }) {
    const text = { name: histogramName(options.name), help: options.help };
    super({ ...text, buckets: [...DURATION_BOUNDS_S], registers: [] });
    this.#points = options.points;
    this.#text = text;
  }

  /** What the registry asks a histogram for its text by; the library's types leave it out. */
  async getForPromString(): Promise<MetricSamples> {
    const values = this.#points().flatMap((point) => samplesOf(this.#text.name, point));
    return { ...this.#text, type: 'histogram', values };
  }
}

interface MetricSamples {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly values: readonly Sample[];
}

interface Sample {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  readonly metricName: string;
}

function histogramName(name: string): string {
  return `${name.replaceAll(/[^A-Za-z0-9_]/g, '_')}_seconds`;
}

/** As Prometheus has them: buckets hold what the lower ones hold as well. */
function samplesOf(base: string, point: HistogramValues['points'][number]): Sample[] {
  const labels = labelsOf(point.attributes);
  let total = 0;
  const buckets = point.counts.map((count, index) => {
    total += count;
    const le = DURATION_BOUNDS_S[index] ?? '+Inf';
    return { labels: { ...labels, le }, value: total, metricName: `${base}_bucket` };
  });
  return [
    ...buckets,
    { labels, value: point.sum, metricName: `${base}_sum` },
    { labels, value: total, metricName: `${base}_count` },
  ];
}
