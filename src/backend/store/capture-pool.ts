/**
 * Capturing on several threads: the first files here, the many on workers.
 *
 * Starting workers costs more than reading a few hundred files, so they are started when that many were
 * asked for. A bounded number of batches is under way; the walk waits beyond it, so memory does not
 * grow with the tree. Closing waits for every worker: none writes into a transaction that has ended.
 */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { GhostsnapError } from '../../core/errors.ts';
import type { CapturedFile, FileCapturer } from './capture-file.ts';
import type { CaptureJob, CaptureSink } from './capture-sink.ts';
import type { CaptureBatch, CaptureReply, WorkerSetup } from './capture-worker.ts';

/** Files captured on this thread before workers are started: about what their start-up costs. */
const LOCAL_JOBS = 800;
const BATCH_JOBS = 64;
const BATCHES_PER_WORKER = 4;
const WORKERS_MAX = 8;
/**
 * Of a worker's heap, for what has just been made: a file's worth of small objects. Where nothing is said
 * it grows to 48 MiB in each of them before it is collected.
 */
const HEAP_LIMITS = { maxYoungGenerationSizeMb: 4 } as const;

/** Beside this file, in the form this file has: .ts from source, .js when built. */
const WORKER_URL = new URL(
  `./capture-worker${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`,
  import.meta.url,
);

export interface CapturePoolOptions {
  readonly capturer: FileCapturer;
  readonly setup: WorkerSetup;
  /** Called with the objects that a worker staged, and with where it found some to refer to. */
  readonly onObjects: (reply: Pick<CaptureReply, 'directory' | 'staged' | 'relied'>) => void;
}

export class CapturePool implements CaptureSink {
  readonly #options: CapturePoolOptions;
  readonly #workers: Worker[] = [];
  readonly #exits: Promise<void>[] = [];
  readonly #underWay = new Map<number, readonly CaptureJob[]>();
  #open: CaptureJob[] = [];
  #localJobs = 0;
  #batches = 0;
  #failure: unknown = null;
  #wake: (() => void) | null = null;

  constructor(options: CapturePoolOptions) {
    this.#options = options;
  }

  get isFull(): boolean {
    const batchesMax = this.#workers.length * BATCHES_PER_WORKER;
    return this.#failure !== null || (batchesMax > 0 && this.#underWay.size >= batchesMax);
  }

  get isIdle(): boolean {
    return this.#failure === null && this.#open.length === 0 && this.#underWay.size === 0;
  }

  submit(job: CaptureJob): void {
    if (this.#localJobs < LOCAL_JOBS) {
      this.#localJobs += 1;
      job.done(this.#options.capturer.capture(job));
      return;
    }
    if (this.#workers.length === 0) this.#start();
    this.#open.push(job);
    if (this.#open.length >= BATCH_JOBS) this.#send();
  }

  async wait(): Promise<void> {
    this.#send();
    if (this.#failure === null && this.#underWay.size > 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#failure !== null) throw this.#failure;
  }

  async close(): Promise<void> {
    for (const worker of this.#workers) worker.postMessage('stop');
    await Promise.all(this.#exits);
  }

  #start(): void {
    const count = Math.min(WORKERS_MAX, Math.max(1, availableParallelism()));
    for (let i = 0; i < count; i += 1) {
      const worker = new Worker(WORKER_URL, {
        workerData: this.#options.setup,
        resourceLimits: HEAP_LIMITS,
      });
      worker.on('message', (reply: CaptureReply) => this.#receive(reply));
      worker.on('error', (error) => this.#fail(error));
      this.#exits.push(
        new Promise((resolve) => {
          worker.once('exit', () => resolve());
        }),
      );
      this.#workers.push(worker);
    }
  }

  #send(): void {
    if (this.#open.length === 0) return;
    const jobs = this.#open;
    this.#open = [];
    const batch = this.#batches;
    this.#batches += 1;
    this.#underWay.set(batch, jobs);
    const message: CaptureBatch = {
      batch,
      paths: jobs.map((job) => job.path),
      previous: jobs.map((job) => job.previous),
      announced: jobs.map((job) => job.isAnnounced),
    };
    this.#workers[batch % this.#workers.length]?.postMessage(message);
  }

  #receive(reply: CaptureReply): void {
    const jobs = this.#underWay.get(reply.batch) ?? [];
    this.#underWay.delete(reply.batch);
    if (reply.failure !== null) {
      this.#fail(revive(reply.failure));
      return;
    }
    this.#options.onObjects(reply);
    try {
      for (let i = 0; i < jobs.length; i += 1) jobs[i]?.done(asCaptured(reply.results[i]));
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#wakeUp();
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.#wakeUp();
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}

function asCaptured(result: CapturedFile | null | undefined): CapturedFile | null {
  return result ?? null;
}

type Parts = Pick<GhostsnapError, 'code' | 'message' | 'data' | 'hint'>;

function revive(failure: unknown): unknown {
  if (failure instanceof Error || typeof failure !== 'object' || failure === null) return failure;
  const { code, message, data, hint } = failure as Parts;
  return new GhostsnapError(code, message, { data, ...(hint === undefined ? {} : { hint }) });
}
