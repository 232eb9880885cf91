/**
 * A histogram of latencies in fixed memory: microseconds in buckets whose width is 1/64 of their value.
 *
 * As HdrHistogram's, for two significant digits: below 64 us each bucket is one microsecond, above it each
 * doubling has 64 buckets. Recording is an addition; nothing is sampled and nothing is dropped, so the
 * highest percentiles are as good as the others.
 */
const SUB_BITS = 6;
const SUB = 1 << SUB_BITS;
/** Up to 2^36 us, nineteen hours. */
const DOUBLINGS = 31;

export interface LatencySummary {
  readonly count: number;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  readonly maxMs: number;
}

export class LatencyHistogram {
  readonly #counts = new Uint32Array(SUB * DOUBLINGS);
  #count = 0;
  #maxUs = 0;

  get count(): number {
    return this.#count;
  }

  record(ms: number): void {
    const us = Math.max(0, Math.round(ms * 1000));
    const index = Math.min(this.#counts.length - 1, indexOf(us));
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#count += 1;
    if (us > this.#maxUs) this.#maxUs = us;
  }

  reset(): void {
    this.#counts.fill(0);
    this.#count = 0;
    this.#maxUs = 0;
  }

  /** The upper edge of the bucket in which this share of all values ends. */
  percentileMs(share: number): number {
    let left = Math.ceil(share * this.#count);
    if (left === 0) return 0;
    for (let index = 0; index < this.#counts.length; index += 1) {
      left -= this.#counts[index] ?? 0;
      if (left <= 0) return Math.min(this.#maxUs, upperEdgeUs(index)) / 1000;
    }
    return this.#maxUs / 1000;
  }

  summary(): LatencySummary {
    return {
      count: this.#count,
      p50Ms: this.percentileMs(0.5),
      p90Ms: this.percentileMs(0.9),
      p99Ms: this.percentileMs(0.99),
      p999Ms: this.percentileMs(0.999),
      maxMs: this.#maxUs / 1000,
    };
  }
}

function indexOf(us: number): number {
  if (us < SUB) return us;
  const doubling = 31 - Math.clz32(us >>> 0 === us ? us : 0xffff_ffff) - SUB_BITS;
  return doubling * SUB + (us >>> doubling);
}

function upperEdgeUs(index: number): number {
  if (index < 2 * SUB) return index;
  const doubling = Math.floor(index / SUB) - 1;
  return ((index % SUB) + SUB + 1) * 2 ** doubling - 1;
}
