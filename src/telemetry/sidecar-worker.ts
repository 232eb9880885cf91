/**
 * The script of the sidecar's thread.
 *
 * On Linux the thread gives way to all others first: a sidecar that turns in circles takes the processor
 * only while the core does not want it.
 */
import { readlinkSync } from 'node:fs';
import { setPriority } from 'node:os';
import { basename } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import type { SidecarSetup } from './sidecar-setup.ts';

/** The most yielding that there is short of running only when idle. */
const NICENESS = 19;

giveWay();
const { Sidecar } = await import('./sidecar/sidecar.ts');
new Sidecar(workerData as SidecarSetup).start((port) => parentPort?.postMessage({ port }));

function giveWay(): void {
  try {
    // Linux takes a thread's number where others take a process's; the link names the one that asks.
    setPriority(Number(basename(readlinkSync('/proc/thread-self'))), NICENESS);
  } catch {
    // Not Linux, or no /proc: it runs as the core does, which costs time only while it works.
  }
}
