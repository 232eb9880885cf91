/** A sidecar that never does anything but turn in circles. */
import { workerData } from 'node:worker_threads';

const control = new Int32Array((workerData as { readonly control: SharedArrayBuffer }).control);
while (Atomics.load(control, 1) === 0);
