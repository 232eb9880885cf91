/**
 * A storm of snapshots in one engine process, each workspace taking its own in a row and all of them at
 * once: what the collector takes of it, what is allocated, and how long the event loop was held up.
 */
import { monitorEventLoopDelay, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks';
import { GCProfiler } from 'node:v8';
import { openWorkspace, systemEnvironment, type Workspace } from '../../src/index.ts';
import { timeAsync } from '../measure.ts';

/** Code is compiled in the first ones, and what they leave is collected before anything is counted. */
const WARM_UP = 20;

const { workspaces, each } = JSON.parse(process.argv[2] ?? '{}') as {
  workspaces: readonly string[];
  each: number;
};

const environment = systemEnvironment();
const opened = await Promise.all(
  workspaces.map((workspace) => openWorkspace({ workspace, environment })),
);

async function storm(count: number): Promise<void> {
  const inARow = async (workspace: Workspace): Promise<void> => {
    for (let i = 0; i < count; i += 1) await workspace.snapshot();
  };
  await Promise.all(opened.map(inARow));
}

await storm(WARM_UP);
globalThis.gc?.();

const pausesMs: number[] = [];
const keep = (entries: readonly PerformanceEntry[]): void => {
  for (const { duration } of entries) pausesMs.push(duration);
};
const observer = new PerformanceObserver((list) => keep(list.getEntries()));
observer.observe({ entryTypes: ['gc'] });
const loop = monitorEventLoopDelay({ resolution: 1 });
const collections = new GCProfiler();
const heapBefore = process.memoryUsage().heapUsed;
loop.enable();
collections.start();
const cpu = process.cpuUsage();
const wallNs = await timeAsync(() => storm(each));
const { user, system } = process.cpuUsage(cpu);
const { statistics = [] } = collections.stop() ?? {};
loop.disable();
keep(observer.takeRecords());
observer.disconnect();

/** What came on top between one collection and the next, and after the last. */
let allocatedBytes = 0;
let left = heapBefore;
for (const { beforeGC, afterGC } of statistics) {
  allocatedBytes += beforeGC.heapStatistics.usedHeapSize - left;
  left = afterGC.heapStatistics.usedHeapSize;
}
allocatedBytes += process.memoryUsage().heapUsed - left;

for (const workspace of opened) await workspace.close();
process.stdout.write(
  JSON.stringify({
    ...{ wallNs, cpuMs: (user + system) / 1000, pausesMs },
    bytesPerSnapshot: allocatedBytes / (each * opened.length),
    loopP99Ms: loop.percentile(99) / 1e6,
    loopMaxMs: loop.max / 1e6,
  }),
);
