/**
 * The highest rate that holds the p99: rates are tried one after the other on the same service.
 *
 * Up while it holds, down while it does not, by a half each, until one that holds and one that does not lie
 * beside each other. What gave first is read off the stage that broke.
 */
import { cpus } from 'node:os';
import { requestsPerSecond, type Stage } from './stage.ts';

/** Of a begin, the whole request as the client sees it. */
export const P99_MS_MAX = 12;

const STEP = 1.5;
/** Further down than a fifteenth of what was asked nobody is helped by a figure. */
const STAGES_MAX = 8;

export interface Tried {
  /** Of the rate that was asked for. */
  readonly factor: number;
  readonly requestsPerSecond: number;
  readonly p99Ms: number;
  readonly readOnlyP99Ms: number;
  readonly refused: number;
  /** Cores: of the main thread, of all of the service, of everything on the machine. */
  readonly mainCores: number;
  readonly serviceCores: number;
  readonly machineCores: number;
  readonly loopDelayP99Ms: number;
}

export function triedOf(stage: Stage): Omit<Tried, 'factor'> {
  const { before, after, load, probe } = stage;
  const wallMs = after.atMs - before.atMs;
  const sumOf = (use: typeof after): number => use.userMs + use.systemMs;
  const main = (use: typeof after): number => {
    const { userMs = 0, systemMs = 0 } = use.byThread.MainThread ?? {};
    return userMs + systemMs;
  };
  return {
    requestsPerSecond: requestsPerSecond(stage),
    p99Ms: load.beginAll.p99Ms,
    readOnlyP99Ms: load.beginReadOnly.p99Ms,
    refused: Object.values(load.errors).reduce((sum, n) => sum + n, load.retries),
    mainCores: (main(after) - main(before)) / wallMs,
    serviceCores: (sumOf(after) - sumOf(before)) / wallMs,
    machineCores: (after.machineMs - before.machineMs) / wallMs,
    loopDelayP99Ms: probe.loopDelayP99Ms,
  };
}

const holds = ({ p99Ms, refused }: Tried): boolean => p99Ms <= P99_MS_MAX && refused === 0;

/** null: the limit is known, or it is time to stop. */
export function nextFactor(tried: readonly Tried[]): number | null {
  const last = tried.at(-1);
  if (last === undefined || tried.length >= STAGES_MAX) return null;
  const hasBoth = tried.some(holds) && !tried.every(holds);
  if (hasBoth) return null;
  return holds(last) ? last.factor * STEP : last.factor / STEP;
}

export function describeLimit(tried: readonly Tried[]): Readonly<Record<string, string>> {
  const rate = ({ requestsPerSecond: n, p99Ms }: Tried): string =>
    `${n.toFixed(0)} requests a second (begin p99 ${p99Ms.toFixed(1)} ms)`;
  const best = tried.filter(holds).at(-1);
  const broken = tried.filter((one) => !holds(one)).sort(byRate)[0];
  return {
    [`highest rate that holds ${P99_MS_MAX} ms`]:
      best === undefined ? 'none of those tried' : rate(best),
    'lowest rate that does not': broken === undefined ? 'none of those tried' : rate(broken),
    'what gives first': broken === undefined ? 'nothing yet' : whatGivesFirst(broken),
  };
}

function byRate(a: Tried, b: Tried): number {
  return a.requestsPerSecond - b.requestsPerSecond;
}

const NEARLY_ALL = 0.9;

/** In words, from what was used up when it broke. */
export function whatGivesFirst(broken: Tried, processors: number = cpus().length): string {
  const { mainCores, serviceCores, machineCores, readOnlyP99Ms, loopDelayP99Ms } = broken;
  const cores = [mainCores, serviceCores, machineCores].map((n) => n.toFixed(2));
  const used =
    `main thread ${cores[0]}, service ${cores[1]}, machine ${cores[2]} of ${processors} cores, ` +
    `loop p99 ${loopDelayP99Ms.toFixed(1)} ms`;
  if (mainCores >= NEARLY_ALL) return `the main thread (${used})`;
  if (machineCores >= NEARLY_ALL * processors) {
    const others = machineCores - serviceCores;
    return others > serviceCores
      ? `the processors, which others had (${used})`
      : `the processors (${used})`;
  }
  if (readOnlyP99Ms <= P99_MS_MAX) return `the snapshot in the kernel: reads hold (${used})`;
  return `waiting behind commits, reads too (${used})`;
}
