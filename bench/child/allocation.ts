/**
 * Bytes of heap for each snapshot: with a young generation so large that nothing is collected between,
 * what the heap has grown by is what was allocated.
 */
import { PerformanceObserver } from 'node:perf_hooks';
import { SnapshotManager, systemEnvironment } from '../../src/index.ts';

const { workspace, count } = JSON.parse(process.argv[2] ?? '{}') as {
  workspace: string;
  count: number;
};

using manager = new SnapshotManager({ workspace, environment: systemEnvironment() });
for (let i = 0; i < 20; i += 1) manager.createSnapshot();
globalThis.gc?.();
let collections = 0;
const observer = new PerformanceObserver((list) => {
  collections += list.getEntries().length;
});
observer.observe({ entryTypes: ['gc'] });
const before = process.memoryUsage().heapUsed;
for (let i = 0; i < count; i += 1) manager.createSnapshot();
const after = process.memoryUsage().heapUsed;
await new Promise(setImmediate);
observer.disconnect();
process.stdout.write(JSON.stringify({ bytesPerSnapshot: (after - before) / count, collections }));
