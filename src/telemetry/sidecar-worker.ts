/**
 * The script of the sidecar's thread.
 *
 * On Linux the thread gives way to all others first: a sidecar that turns in circles takes the processor
 * only while the core does not want it.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { giveWay } from './give-way.ts';
import type { SidecarSetup } from './sidecar-setup.ts';

giveWay();
const { Sidecar } = await import('./sidecar/sidecar.ts');
new Sidecar(workerData as SidecarSetup).start((port) => parentPort?.postMessage({ port }));
