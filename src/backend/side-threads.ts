/**
 * Threads that help with one job each and then end.
 *
 * A walk of a large tree is almost nothing but system calls, so a second processor halves it. A thread
 * of Node takes about thirty milliseconds to come up: it is started as soon as somebody expects such a
 * job (`warmHelpers`), and whoever hands out work goes on with it alone until the helper has arrived.
 * So a helper is never waited for, and one that can't be started is none.
 *
 * A job is a module with `help(data)` and the data, which is cloned; memory is shared by SharedArrayBuffer
 * and descriptors because threads of one process share them.
 */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';

export interface HelperJob {
  /** Of a module that exports `help(data)`, synchronous. */
  readonly module: string;
  readonly data: unknown;
}

/** Beyond this a walk is limited by the kernel's locks and by memory, not by processors. */
const HELPERS_MAX = 3;

/** Beside this file, in the form this file has: .ts from source, .js when built. */
const THREAD_URL = new URL(
  `./side-thread-worker${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`,
  import.meta.url,
);

let warm: Worker[] = [];

/** Starts as many threads as there are other processors; they wait for a job and keep nothing alive. */
export function warmHelpers(): void {
  const wanted = Math.min(HELPERS_MAX, availableParallelism() - 1);
  while (warm.length < wanted) warm.push(startHelper());
}

/** Gives a job to every helper. They end with it, or at once where they come too late. */
export function giveToHelpers(job: HelperJob): void {
  warmHelpers();
  for (const helper of warm) helper.postMessage(job);
  warm = [];
}

/** Ends helpers that turned out not to be needed. */
export function dismissHelpers(): void {
  for (const helper of warm) helper.postMessage(null);
  warm = [];
}

function startHelper(): Worker {
  const helper = new Worker(THREAD_URL);
  helper.unref();
  helper.once('exit', () => {
    warm = warm.filter((other) => other !== helper);
  });
  // Work that a failed helper had claimed counts as not done: whoever gave the job out does it again.
  helper.on('error', () => {});
  return helper;
}
