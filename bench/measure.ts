/**
 * Numbers and what they mean: samples, their spread, and ratios within one run.
 *
 * Durations are nanoseconds. A ratio always compares two medians of the same run on the same machine;
 * an absolute number is only good for orders of magnitude.
 */

export interface Series {
  readonly name: string;
  /** Nanoseconds, in the order they were taken. */
  readonly samplesNs: readonly number[];
}

export interface Spread {
  readonly count: number;
  readonly minNs: number;
  readonly p50Ns: number;
  readonly p99Ns: number;
}

export function spreadOf(series: Series): Spread {
  const sorted = [...series.samplesNs].sort((a, b) => a - b);
  if (sorted.length === 0) throw new Error(`The series ${series.name} has no samples.`);
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? 0;
  return { count: sorted.length, minNs: sorted[0] ?? 0, p50Ns: at(0.5), p99Ns: at(0.99) };
}

export function timeSync(work: () => void): number {
  const start = process.hrtime.bigint();
  work();
  return Number(process.hrtime.bigint() - start);
}

export async function timeAsync(work: () => Promise<unknown>): Promise<number> {
  const start = process.hrtime.bigint();
  await work();
  return Number(process.hrtime.bigint() - start);
}

/** Milliseconds with three significant digits. */
export function formatNs(ns: number): string {
  return `${Number((ns / 1e6).toPrecision(3))} ms`;
}

export function formatSpread(spread: Spread): string {
  const { minNs, p50Ns, p99Ns, count } = spread;
  return `${formatNs(p50Ns)} (${formatNs(minNs)} to ${formatNs(p99Ns)}, n=${count})`;
}

/** What a row of the table must reach: a bound on `value`. */
export interface Reach {
  readonly text: string;
  readonly isMet: boolean;
}

export interface Row {
  /** What was done, in words. */
  readonly what: string;
  readonly ours: string;
  readonly baseline: string;
  /** The ratio or number that is judged, as text. */
  readonly result: string;
  /** null: reported, not judged. */
  readonly reach: Reach | null;
  /** Raw samples, kept in .bench/. */
  readonly series: readonly Series[];
}

export interface RatioRow {
  readonly what: string;
  readonly ours: Series;
  readonly baseline: Series;
  /** 'at most': ours / baseline; 'times faster': baseline / ours, at least. */
  readonly judge: 'at most' | 'times faster';
  /** null: only reported. */
  readonly bound: number | null;
}

/** A row that compares two medians of one run. */
export function ratioRow({ what, ours, baseline, judge, bound }: RatioRow): Row {
  const own = spreadOf(ours);
  const other = spreadOf(baseline);
  const ratio = judge === 'at most' ? own.p50Ns / other.p50Ns : other.p50Ns / own.p50Ns;
  const isMet = bound === null || (judge === 'at most' ? ratio <= bound : ratio >= bound);
  const sign = judge === 'at most' ? '<=' : '>=';
  return {
    what,
    ours: formatSpread(own),
    baseline: `${baseline.name}: ${formatSpread(other)}`,
    result: judge === 'at most' ? `${ratio.toFixed(2)}x` : `${ratio.toFixed(1)}x faster`,
    reach: bound === null ? null : { text: `${sign} ${bound}x`, isMet },
    series: [ours, baseline],
  };
}
