/**
 * What the process itself uses: processor, memory, descriptors, the event loop, garbage collection.
 *
 * Runs on the thread that it is about, because nobody else can see its event loop; once a second, some
 * tens of microseconds. The delay of the event loop is measured inside Node, not here.
 */
import fs from 'node:fs';
import os from 'node:os';
import { constants, monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks';
import { METRIC, type MetricName } from '../core/telemetry-names.ts';
import type { Telemetry } from '../engine/ports.ts';

const SAMPLE_MS = 1000;
/** How fine the delay of the event loop is seen. */
const DELAY_RESOLUTION_MS = 5;

export interface SamplerOptions {
  readonly telemetry: Telemetry;
  /** Called before each sample: what only its owner can measure. */
  readonly onSample: () => void;
}

/** An entry of type 'gc'; Node's types do not know what it has besides its duration. */
interface CollectionEntry {
  readonly detail: { readonly kind: number };
}

/** Dispose to stop. It keeps no process alive. */
export function startProcessSampler(options: SamplerOptions): Disposable {
  const { telemetry } = options;
  const delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
  delay.enable();
  const collections = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const { kind } = (entry as unknown as CollectionEntry).detail;
      telemetry.count(collectionMetric(kind), entry.duration / 1000);
    }
  });
  collections.observe({ entryTypes: ['gc'] });
  let utilization = performance.eventLoopUtilization();
  let processors = processorTimes();
  const timer = setInterval(() => {
    options.onSample();
    const since = performance.eventLoopUtilization(utilization);
    utilization = performance.eventLoopUtilization();
    telemetry.gauge(METRIC.loopUtilization, since.utilization);
    // A timer that is on time shows as its resolution: only what is beyond it is delay.
    const delayS = (ns: number): number => Math.max(0, ns / 1e9 - DELAY_RESOLUTION_MS / 1000);
    telemetry.gauge(METRIC.loopDelayP50, delayS(delay.percentile(50)));
    telemetry.gauge(METRIC.loopDelayP99, delayS(delay.percentile(99)));
    telemetry.gauge(METRIC.loopDelayMax, delayS(delay.max));
    delay.reset();
    const now = processorTimes();
    telemetry.gauge(METRIC.systemCpu, busyShare(processors, now));
    processors = now;
    sampleUse(telemetry);
  }, SAMPLE_MS);
  timer.unref();
  return {
    [Symbol.dispose]() {
      clearInterval(timer);
      delay.disable();
      collections.disconnect();
    },
  };
}

function sampleUse(telemetry: Telemetry): void {
  const { rss, heapUsed } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  telemetry.gauge(METRIC.memory, rss);
  telemetry.gauge(METRIC.heapUsed, heapUsed);
  telemetry.gauge(METRIC.cpuUser, user / 1e6);
  telemetry.gauge(METRIC.cpuSystem, system / 1e6);
  telemetry.gauge(METRIC.uptime, process.uptime());
  telemetry.gauge(METRIC.descriptors, descriptorCount());
}

/** -1 where it cannot be known. Since Linux 6.2 the directory's size is the count: nothing is listed. */
function descriptorCount(): number {
  try {
    const { size } = fs.statSync('/proc/self/fd');
    return size > 0 ? size : fs.readdirSync('/proc/self/fd').length;
  } catch {
    // Not Linux, or no descriptor left to look with; a gauge that says so is better than no sample.
    return -1;
  }
}

function collectionMetric(kind: number): MetricName {
  if (kind === constants.NODE_PERFORMANCE_GC_MINOR) return METRIC.gcMinor;
  if (kind === constants.NODE_PERFORMANCE_GC_MAJOR) return METRIC.gcMajor;
  return METRIC.gcIncremental;
}

interface ProcessorTimes {
  readonly idle: number;
  readonly total: number;
}

function processorTimes(): ProcessorTimes {
  let idle = 0;
  let total = 0;
  for (const { times } of os.cpus()) {
    idle += times.idle;
    total += times.user + times.nice + times.sys + times.irq + times.idle;
  }
  return { idle, total };
}

function busyShare(before: ProcessorTimes, after: ProcessorTimes): number {
  const total = after.total - before.total;
  return total === 0 ? 0 : 1 - (after.idle - before.idle) / total;
}
