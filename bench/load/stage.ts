/**
 * A stage of a load run: one rate, for a while; what it was and what it is said to be.
 */
import type { LoadResult } from './generator.ts';
import type { LoadPlan } from './load-plan.ts';
import type { ProbeReading } from './service-probe.ts';
import type { ProcessUse } from './service-process.ts';

export interface Stage {
  readonly plan: LoadPlan;
  readonly load: LoadResult;
  readonly before: ProcessUse;
  readonly after: ProcessUse;
  readonly probe: ProbeReading;
  /** One a minute. */
  readonly samples: readonly Sample[];
}

export interface Sample extends ProcessUse {
  readonly catalogBytes: number;
  readonly poolUsedBytes: number;
}

/** A thread that takes less of a request is not worth a place in the line. */
const THREAD_SHOWN_MS = 0.001;

/** Begins and ends. */
export function requestsPerSecond({ plan }: Stage): number {
  return (2000 * plan.sessions.length) / plan.thinkMs;
}

/** Cores that neither the service nor the generator took: other programs, and the kernel's own threads. */
function othersOf(before: ProcessUse, after: ProcessUse, load: LoadResult): number {
  const ownMs = after.userMs + after.systemMs - before.userMs - before.systemMs;
  const allMs = after.machineMs - before.machineMs;
  return Math.max(0, (allMs - ownMs) / (after.atMs - before.atMs) - load.cpuCores);
}

/** What the run prints of a stage, and keeps. */
export function describeStage({
  plan,
  load,
  before,
  after,
  probe,
}: Stage): Readonly<Record<string, string>> {
  const wallMs = after.atMs - before.atMs;
  const cores = (from: 'userMs' | 'systemMs'): number => (after[from] - before[from]) / wallMs;
  const aRequest = (from: 'userMs' | 'systemMs'): string =>
    ((after[from] - before[from]) / load.requests).toFixed(3);
  const mb = (bytes: number): string => (bytes / 1e6).toFixed(0);
  const three = (s: LoadResult['end']): string =>
    [s.p50Ms, s.p99Ms, s.p999Ms, s.maxMs].map((ms) => ms.toFixed(1)).join(' / ');
  return {
    'sessions, requests a second': `${plan.sessions.length}, ${((2000 * plan.sessions.length) / plan.thinkMs).toFixed(0)}`,
    transport: plan.transport,
    'begin, all: p50 / p99 / p99.9 / max ms': three(load.beginAll),
    'begin, changing': three(load.beginMutating),
    'begin, read-only': three(load.beginReadOnly),
    end: three(load.end),
    'generator late': three(load.lag),
    'daemon CPU, cores: user + system': `${cores('userMs').toFixed(3)} + ${cores('systemMs').toFixed(3)}`,
    'generator CPU, cores': load.cpuCores.toFixed(3),
    'others on the machine, cores': othersOf(before, after, load).toFixed(2),
    'daemon CPU a request, ms: user + system': `${aRequest('userMs')} + ${aRequest('systemMs')}`,
    'by thread, ms a request: user + system': threadsOf(before, after, load.requests),
    'allocated a request, KB': (probe.allocatedBytes / load.requests / 1000).toFixed(1),
    'collecting: share of time, longest pause ms': `${((probe.collectingMs / wallMs) * 100).toFixed(2)} %, ${probe.collectingMsMax.toFixed(1)}`,
    'event loop late: p50 / p99 / max ms': [
      ...[probe.loopDelayP50Ms, probe.loopDelayP99Ms, probe.loopDelayMaxMs],
    ]
      .map((ms) => ms.toFixed(1))
      .join(' / '),
    'daemon RSS, of it anonymous, MB': `${mb(after.rssBytes)}, ${mb(after.anonymousBytes)}`,
    'main heap used, reserved, external, MB': [
      ...[probe.heapUsedBytes, probe.heapTotalBytes, probe.externalBytes],
    ]
      .map(mb)
      .join(', '),
    'descriptors, threads': `${after.descriptors}, ${after.threads}`,
    'begins acknowledged, adopted': `${load.acknowledged}, ${load.adopted}`,
    'retries, connects': `${load.retries}, ${load.connects}`,
    errors: JSON.stringify(load.errors),
  };
}

function threadsOf(before: ProcessUse, after: ProcessUse, requests: number): string {
  const parts = Object.entries(after.byThread).map(([name, use]) => {
    const from = before.byThread[name] ?? { userMs: 0, systemMs: 0 };
    const user = (use.userMs - from.userMs) / requests;
    const system = (use.systemMs - from.systemMs) / requests;
    return { name, user, system };
  });
  return parts
    .filter(({ user, system }) => user + system >= THREAD_SHOWN_MS)
    .map(({ name, user, system }) => `${name} ${user.toFixed(3)} + ${system.toFixed(3)}`)
    .join(', ');
}
