/** A sidecar that came up and never does anything again but turn in circles. */
import { workerData } from 'node:worker_threads';
import { giveWay } from '../../src/telemetry/give-way.ts';

giveWay();
const control = new Int32Array((workerData as { readonly control: SharedArrayBuffer }).control);
while (Atomics.load(control, 1) === 0);
