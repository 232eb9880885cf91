/**
 * The main thread's end of the thread that writes the catalog.
 *
 * Writes are gathered into groups: the first of a group opens a window of a millisecond, so that what
 * many workspaces decide meanwhile shares one transaction and one message. Groups land in their order.
 * Nothing is ever dropped silently: when the thread ends before its time, every write that waits fails,
 * and so does every later one.
 */
import {
  MessageChannel,
  type MessagePort,
  receiveMessageOnPort,
  Worker,
} from 'node:worker_threads';
import { GhostsnapError } from '../core/errors.ts';
import type { WorkspaceId } from '../core/ids.ts';
import type { Catalog } from '../engine/ports.ts';
import {
  CLOSED,
  decodeFailure,
  type LandedMessage,
  type ToWriter,
  type WriterSetup,
} from './catalog-writer-protocol.ts';
import type { CatalogWrite } from './sqlite-catalog.ts';

type Durability = Parameters<Catalog['commit']>[3];

/** What a commit is worth waiting for company: a tenth of what a snapshot takes. */
const WINDOW_MS = 1;

/** Longer than a writer waits for another process (BUSY_TIMEOUT_MS) and a disk that is slow on top. */
const BLOCKED_MS_MAX = 60_000;

/** Young objects die with their group; rows are SQLite's and not on this heap. */
const HEAP_LIMITS = { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 64 } as const;

/** Beside this file, in the form this file has: .ts from source, .js when built. */
const WORKER_URL = new URL(
  `./catalog-writer-worker${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`,
  import.meta.url,
);

/** Writes that land together. */
export interface WriteGroup {
  readonly number: number;
  /** Settles when the group has landed, whatever became of its single writes. */
  readonly landing: Promise<void>;
}

interface OpenGroup extends WriteGroup {
  readonly texts: string[];
  readonly writes: CatalogWrite[];
  durability: Durability;
  readonly land: () => void;
}

export interface CatalogWriterOptions {
  readonly file: string;
  /** Called once for each write, in order, before its group's `landing` settles. */
  readonly onLanded: (write: CatalogWrite, group: number, failure: Error | null) => void;
}

export class CatalogWriter {
  readonly #options: CatalogWriterOptions;
  readonly #port: MessagePort;
  readonly #landed = new Int32Array(new SharedArrayBuffer(4));
  /** Sent and not known to have landed, in order. */
  readonly #underWay: OpenGroup[] = [];
  #open: OpenGroup | null = null;
  #groups = 0;
  #failure: Error | null = null;
  #told: WorkspaceId[] = [];

  constructor(options: CatalogWriterOptions) {
    this.#options = options;
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    const setup: WriterSetup = {
      file: options.file,
      port: port2,
      landed: this.#landed.buffer as SharedArrayBuffer,
    };
    const worker = new Worker(WORKER_URL, {
      workerData: setup,
      transferList: [port2],
      resourceLimits: HEAP_LIMITS,
    });
    worker.on('error', (error) => this.#fail(error));
    worker.on('exit', () => this.#fail(threadEnded(options.file)));
    worker.unref();
    port1.on('message', (message: LandedMessage) => this.#receive(message));
    port1.unref();
  }

  /** @throws Error when the thread has ended */
  add(write: CatalogWrite, durability: Durability): WriteGroup {
    if (this.#failure !== null) throw this.#failure;
    const group = this.#open ?? this.#begin();
    group.texts.push(JSON.stringify(write));
    group.writes.push(write);
    if (durability === 'power-loss') group.durability = durability;
    return group;
  }

  /** The failure of a workspace's write was told: what comes from now on is decided on what is there. */
  told(workspace: WorkspaceId): void {
    this.#told.push(workspace);
  }

  /** Blocks this thread until the group has landed. @throws Error when the thread has ended */
  waitFor(group: number): void {
    this.#send();
    const startedMs = performance.now();
    while (this.#underWay.some((waiting) => waiting.number <= group)) {
      if (this.#failure !== null) throw this.#failure;
      const seen = Atomics.load(this.#landed, 0);
      this.#drain();
      if (!this.#underWay.some((waiting) => waiting.number <= group)) return;
      if (performance.now() - startedMs > BLOCKED_MS_MAX) throw threadEnded(this.#options.file);
      Atomics.wait(this.#landed, 0, seen, BLOCKED_MS_MAX);
    }
  }

  /** Everything lands, then the thread closes its connection. Blocks this thread. */
  close(): void {
    if (this.#failure === null) {
      this.waitFor(this.#groups);
      this.#post('close');
      for (;;) {
        const seen = Atomics.load(this.#landed, 0);
        if (seen === CLOSED) break;
        if (Atomics.wait(this.#landed, 0, seen, BLOCKED_MS_MAX) === 'timed-out') break;
      }
    }
    this.#failure = threadEnded(this.#options.file);
    this.#port.close();
  }

  #begin(): OpenGroup {
    this.#groups += 1;
    const { promise: landing, resolve: land } = Promise.withResolvers<void>();
    const group: OpenGroup = {
      ...{ number: this.#groups, landing, land, texts: [], writes: [] },
      durability: 'process-crash',
    };
    this.#open = group;
    setTimeout(() => {
      if (this.#open === group) this.#send();
    }, WINDOW_MS);
    return group;
  }

  #send(): void {
    const group = this.#open;
    if (group === null) return;
    this.#open = null;
    this.#underWay.push(group);
    // A process that has begun something lives until it has landed.
    this.#port.ref();
    const { number, durability, texts: writes } = group;
    this.#post({ group: number, durability, writes, told: this.#told });
    this.#told = [];
  }

  #post(message: ToWriter): void {
    this.#port.postMessage(message);
  }

  #drain(): void {
    for (;;) {
      const received = receiveMessageOnPort(this.#port);
      if (received === undefined) return;
      this.#receive(received.message as LandedMessage);
    }
  }

  #receive({ group: number, failures }: LandedMessage): void {
    const group = this.#underWay.shift();
    if (group?.number !== number) throw new Error('Invariant violated: groups land in order.');
    const failed = new Map(failures.map((failure) => [failure.index, decodeFailure(failure)]));
    this.#end(group, (index) => failed.get(index) ?? null);
    if (this.#underWay.length === 0) this.#port.unref();
  }

  #end(group: OpenGroup, failureOf: (index: number) => Error | null): void {
    for (const [index, write] of group.writes.entries()) {
      this.#options.onLanded(write, group.number, failureOf(index));
    }
    group.land();
  }

  /** The first reason counts. */
  #fail(error: Error): void {
    if (this.#failure !== null) return;
    // What it had told before it ended has landed.
    this.#drain();
    this.#failure = error;
    const waiting = [...this.#underWay.splice(0), ...(this.#open === null ? [] : [this.#open])];
    this.#open = null;
    for (const group of waiting) this.#end(group, () => error);
  }
}

function threadEnded(file: string): GhostsnapError {
  return new GhostsnapError('IO', `The thread that writes the catalog has ended: ${file}`, {
    hint: 'Start the service again; what it had acknowledged is in the catalog.',
    data: { file },
  });
}
