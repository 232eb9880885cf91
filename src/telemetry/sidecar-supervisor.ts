/**
 * Keeps a sidecar alive, from outside its thread.
 *
 * A sidecar that ends, throws or runs out of its own heap is started anew after a pause that grows; one
 * that stops counting its heartbeat is ended first. There is never more than one: two would read the same
 * ring. One that cannot even be ended (it is stuck outside of JavaScript) is left alone and not replaced;
 * spans are then dropped and counted, and the core goes on.
 *
 * Why a thread and not a process: memory is shared with threads only, and its failures stay in it. Its
 * heap is its own, with limits, so that running out of it ends the thread; its garbage is collected by
 * itself; an endless loop is ended from here, and until then it yields to the core (sidecar-worker.ts).
 * What a process would add is safety from a crash of native code, and the sidecar loads none.
 */
import { Worker } from 'node:worker_threads';
import { HEARTBEAT, type SidecarSetup } from './sidecar-setup.ts';

/** What its libraries need is about 20 MB; a batch of spans and its JSON are some more. */
const HEAP_MB_MAX = 64;
const YOUNG_HEAP_MB_MAX = 8;
const STACK_MB_MAX = 4;

const LOOK_MS = 500;
/** Loading its libraries on a busy machine, at the lowest priority. */
const START_MS_MAX = 30_000;
const RESTART_MS_MIN = 250;
const RESTART_MS_MAX = 30_000;
/** A sidecar that lived as long has got over whatever ended the one before. */
const SETTLED_MS = 60_000;

/** Beside this file, in the form this file has: .ts from source, .js when built. */
const SIDECAR_URL = new URL(
  `./sidecar-worker${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`,
  import.meta.url,
);

export interface SupervisorOptions {
  readonly setup: SidecarSetup;
  /** Milliseconds without a heartbeat after which a sidecar counts as hung. */
  readonly hungAfterMs: number;
  /** Another script than the sidecar's: for tests of what becomes of the core. */
  readonly script?: URL;
  /** A sentence for the log. Called when a sidecar was lost and when one could not be ended. */
  readonly onTrouble: (text: string) => void;
  readonly onRestart: () => void;
}

export class SidecarSupervisor {
  readonly #options: SupervisorOptions;
  readonly #heartbeat: Int32Array<SharedArrayBuffer>;
  readonly #look: NodeJS.Timeout;
  #worker: Worker | null = null;
  #restart: NodeJS.Timeout | null = null;
  #startedMs = 0;
  #seenBeat = 0;
  #seenMs = 0;
  #hasBeaten = false;
  #isEnding = false;
  #isClosed = false;
  #failures = 0;
  #port: number | null = null;
  #awaitPort: ((port: number) => void)[] = [];

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#heartbeat = new Int32Array(options.setup.control);
    this.#start();
    this.#look = setInterval(() => this.#lookAt(), LOOK_MS);
    this.#look.unref();
  }

  /** Where the sidecar answers scrapers. Waits until it does. */
  async port(): Promise<number> {
    if (this.#port !== null) return this.#port;
    return await new Promise((resolve) => this.#awaitPort.push(resolve));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#look);
    if (this.#restart !== null) clearTimeout(this.#restart);
    await this.#worker?.terminate();
  }

  #start(): void {
    const worker = new Worker(this.#options.script ?? SIDECAR_URL, {
      workerData: this.#options.setup,
      // Nothing of the process's environment is its business: what it needs is in the setup.
      env: {},
      resourceLimits: {
        maxOldGenerationSizeMb: HEAP_MB_MAX,
        maxYoungGenerationSizeMb: YOUNG_HEAP_MB_MAX,
        stackSizeMb: STACK_MB_MAX,
      },
    });
    worker.unref();
    this.#worker = worker;
    this.#startedMs = performance.now();
    this.#hasBeaten = false;
    this.#isEnding = false;
    this.#seenBeat = Atomics.load(this.#heartbeat, HEARTBEAT);
    this.#seenMs = this.#startedMs;
    worker.on('message', ({ port }: { port: number }) => this.#listening(port));
    let reason = 'it ended';
    worker.on('error', (error: unknown) => {
      reason = error instanceof Error ? error.message : String(error);
    });
    worker.on('exit', () => this.#lost(reason));
  }

  #listening(port: number): void {
    this.#port = port;
    for (const resolve of this.#awaitPort) resolve(port);
    this.#awaitPort = [];
  }

  #lost(reason: string): void {
    this.#worker = null;
    if (this.#isClosed) return;
    const livedMs = performance.now() - this.#startedMs;
    this.#failures = livedMs > SETTLED_MS ? 0 : this.#failures + 1;
    const longestMs = Math.min(RESTART_MS_MIN * 2 ** this.#failures, RESTART_MS_MAX);
    const why = this.#isEnding ? 'it was hung' : reason;
    this.#options.onTrouble(`The telemetry sidecar was lost (${why}); it is started anew.`);
    this.#restart = setTimeout(() => {
      this.#options.onRestart();
      this.#start();
    }, longestMs);
    this.#restart.unref();
  }

  #lookAt(): void {
    const worker = this.#worker;
    if (worker === null || this.#isEnding) return;
    const nowMs = performance.now();
    const beat = Atomics.load(this.#heartbeat, HEARTBEAT);
    if (beat !== this.#seenBeat) {
      this.#seenBeat = beat;
      this.#seenMs = nowMs;
      this.#hasBeaten = true;
      return;
    }
    const patienceMs = this.#hasBeaten ? this.#options.hungAfterMs : START_MS_MAX;
    if (nowMs - this.#seenMs < patienceMs) return;
    this.#isEnding = true;
    worker.terminate().catch((error: unknown) => {
      const text = error instanceof Error ? error.message : String(error);
      this.#options.onTrouble(`The telemetry sidecar is hung and could not be ended (${text}).`);
    });
  }
}
