/**
 * What only the service itself can say of its main thread, counted inside it and asked for by the bench:
 * what it allocates, what collecting that costs, and how late its event loop is.
 *
 * Loaded with `--import`, so that the program under load is the one that is shipped. The collector calls back
 * at each collection and a timer ticks every five milliseconds: some tens of microseconds a second.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { GCProfiler, getHeapStatistics } from 'node:v8';
import { isMainThread } from 'node:worker_threads';

/** 'start': what was counted is forgotten. 'read': answered with a `ProbeReading`. */
export type ProbeQuestion = 'start' | 'read';

export interface ProbeReading {
  readonly allocatedBytes: number;
  readonly collections: number;
  readonly collectingMs: number;
  /** The longest pause. */
  readonly collectingMsMax: number;
  /** Beyond the time that the loop's timer was set to. */
  readonly loopDelayP50Ms: number;
  readonly loopDelayP99Ms: number;
  readonly loopDelayMaxMs: number;
  readonly heapUsedBytes: number;
  readonly heapTotalBytes: number;
  readonly externalBytes: number;
}

/** As fine as the service's own gauge of it. */
const RESOLUTION_MS = 5;
const NS_A_MS = 1e6;
const US_A_MS = 1000;

/** The profiler keeps what it saw until it is asked: so often, that an hour's load keeps no more than a second's. */
const GATHER_MS = 1000;

interface Collected {
  allocatedBytes: number;
  collections: number;
  collectingMs: number;
  collectingMsMax: number;
}

const NOTHING: Collected = {
  ...{ allocatedBytes: 0, collections: 0, collectingMs: 0, collectingMsMax: 0 },
};

const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
let profiler = new GCProfiler();
let heapUsed = 0;
let collected: Collected = { ...NOTHING };

function start(): void {
  gather();
  collected = { ...NOTHING };
  delay.reset();
}

/** Allocated is what the heap has grown by since it was looked at, or left by a collection, the last time. */
function gather(): void {
  const { statistics } = profiler.stop();
  for (const { cost, beforeGC, afterGC } of statistics) {
    grownTo(beforeGC.heapStatistics.usedHeapSize);
    heapUsed = afterGC.heapStatistics.usedHeapSize;
    collected.collections += 1;
    collected.collectingMs += cost / US_A_MS;
    collected.collectingMsMax = Math.max(collected.collectingMsMax, cost / US_A_MS);
  }
  grownTo(getHeapStatistics().used_heap_size);
  profiler = new GCProfiler();
  profiler.start();
}

function grownTo(usedBytes: number): void {
  collected.allocatedBytes += Math.max(0, usedBytes - heapUsed);
  heapUsed = usedBytes;
}

function read(): ProbeReading {
  gather();
  const { heapUsed: heapUsedBytes, heapTotal, external } = process.memoryUsage();
  const delayMs = (ns: number): number => Math.max(0, ns / NS_A_MS - RESOLUTION_MS);
  return {
    ...collected,
    loopDelayP50Ms: delayMs(delay.percentile(50)),
    loopDelayP99Ms: delayMs(delay.percentile(99)),
    loopDelayMaxMs: delayMs(delay.max),
    ...{ heapUsedBytes, heapTotalBytes: heapTotal, externalBytes: external },
  };
}

/** Workers inherit the flag, and have no channel of their own. */
if (isMainThread) {
  delay.enable();
  profiler.start();
  setInterval(gather, GATHER_MS).unref();
  process.on('message', (question: ProbeQuestion) => {
    if (question === 'start') start();
    process.send?.(question === 'start' ? null : read());
  });
  // The service ends when it is told to and nothing else is left: this channel is no reason to live on.
  process.channel?.unref();
}
