/**
 * The script of a helper thread: waits for one job, does it, ends.
 *
 * What every job needs is imported before, while nobody waits for it.
 */
import { parentPort } from 'node:worker_threads';
import './directory-listing.ts';
import type { HelperJob } from './side-threads.ts';

interface HelperModule {
  readonly help: (data: unknown) => void;
}

/** Whoever started it early was mistaken: it is not kept for what may never come. */
const PATIENCE_MS = 5000;

const patience = setTimeout(() => parentPort?.close(), PATIENCE_MS);

parentPort?.once('message', (job: HelperJob | null) => {
  clearTimeout(patience);
  void work(job);
});

async function work(job: HelperJob | null): Promise<void> {
  if (job !== null) ((await import(job.module)) as HelperModule).help(job.data);
  parentPort?.close();
}
