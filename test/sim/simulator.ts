/**
 * The simulator: the real core and engine on a seeded scheduler, a virtual clock and a faulty disk.
 *
 * Several processes work on many workspaces, sometimes two on one; wherever the disk or a lock would
 * take time, others go on. A process may die at any step and is started again; the wall clock may step
 * back. After every operation, failure and death the auditor checks the workspaces it was about, so
 * that a step costs the same however many workspaces there are. One seed, one run.
 */
import type { WorkspaceRef } from '../../src/backend/backend.ts';
import { GhostsnapError } from '../../src/core/errors.ts';
import type { Event } from '../../src/core/event.ts';
import { nextUlid, type Ulid, type WorkspaceId, workspaceId } from '../../src/core/ids.ts';
import type { RetentionPolicy } from '../../src/core/retention/policy.ts';
import { EngineWorkspace } from '../../src/engine/engine-workspace.ts';
import { WorkspaceSession } from '../../src/engine/workspace-session.ts';
import { SimAuditor } from './sim-auditor.ts';
import { SimBackend, SimDisk } from './sim-backend.ts';
import { SimCatalog, SimCatalogStore } from './sim-catalog.ts';
import { SimDigest } from './sim-digest.ts';
import { SimCrash, SimFaults } from './sim-faults.ts';
import { SimGroupedCatalog } from './sim-grouped-catalog.ts';
import { SimLocks } from './sim-locks.ts';
import { OPERATIONS, type OperationName, pickOperation } from './sim-operation.ts';
import { FAULTLESS, SimProcess } from './sim-process.ts';
import { SimRandom } from './sim-random.ts';
import { SimScheduler } from './sim-scheduler.ts';
import { CONTENTS, FILES, withContent } from './sim-tree.ts';
import type { SimWorkload } from './sim-workload.ts';

export interface SimOptions {
  readonly seed: number;
  readonly workspaces: number;
  readonly workload: SimWorkload;
  readonly crashOneIn: number;
  readonly failOneIn: number;
  /** 'grouped': as a service commits, later than it decides. Default: where it stands. */
  readonly commits?: 'alone' | 'grouped';
  /** Called now and then with the virtual time in milliseconds. */
  readonly onProgress?: (nowMs: number, operations: number) => void;
}

export interface SimReport {
  readonly virtualMs: number;
  readonly operations: Readonly<Record<string, number>>;
  readonly crashes: number;
  readonly failures: number;
  readonly refused: Readonly<Record<string, number>>;
  readonly snapshotsAcknowledged: number;
  readonly events: number;
  readonly longestLockWaitMs: number;
  /** Of every event in order and of all final states: the same seed gives the same text. */
  readonly digest: string;
}

interface Known {
  readonly ref: WorkspaceRef;
  readonly auditor: SimAuditor;
  /** Processes with a call under way on it. */
  readonly busy: Set<Process>;
}

/** A process, and the workspaces that it has a call under way on. */
type Process = SimProcess<Known>;

const POLICY: RetentionPolicy = {
  ...{ keepLast: 6, keepWithinMs: 0 },
  ...{ hourlyForMs: 0, dailyForMs: 0, weeklyForMs: 0 },
};
const EPOCH_MS = 1_700_000_000_000;
const PROCESSES = 3;
/** Workspaces that one process keeps open. */
const OPEN_MAX = 64;
const PROGRESS_EVERY = 10_000;

export class Simulator {
  readonly #options: SimOptions;
  readonly #random: SimRandom;
  readonly #faults: SimFaults;
  readonly #scheduler = new SimScheduler();
  readonly #disk = new SimDisk();
  readonly #store: SimCatalogStore;
  readonly #catalog: SimCatalog;
  readonly #locks: SimLocks;
  readonly #processes: Process[] = [];
  readonly #known = new Map<WorkspaceId, Known>();
  readonly #digest = new SimDigest();
  readonly #operations: Record<string, number> = {};
  readonly #refused: Record<string, number> = {};
  #clockOffsetMs = 0;
  #begun = 0;
  #events = 0;
  #acknowledged = 0;
  #failure: Error | null = null;
  /** Nobody calls any more and no process is started again. */
  #isEnding = false;

  constructor(options: SimOptions) {
    this.#options = options;
    this.#random = new SimRandom(options.seed);
    this.#faults = new SimFaults(this.#random, options);
    this.#store = new SimCatalogStore({
      onEvent: (event, text) => this.#onEvent(event, text),
      keepEvents: 'since-replay',
    });
    this.#catalog = new SimCatalog(this.#store, FAULTLESS);
    this.#locks = new SimLocks({
      nowMs: () => this.#scheduler.nowMs,
      onAcquired: (name, process) => this.#of(name as WorkspaceId).auditor.onAcquired(process),
    });
  }

  async run(): Promise<SimReport> {
    const { workload } = this.#options;
    this.#create();
    for (let slot = 0; slot < PROCESSES; slot += 1) this.#startProcess(slot);
    for (const known of this.#known.values())
      this.#scheduleNext(known, workload.first(this.#random));
    this.#scheduleClockStep();
    while (await this.#scheduler.step(workload.endMs)) {
      this.#rethrow();
      if (this.#begun >= workload.operationsMax) break;
    }
    await this.#end();
    return this.#report();
  }

  /** Before anything may fail: creation has tests of its own, with real kills. */
  #create(): void {
    this.#faults.disarm();
    const process = this.#newProcess(() => {});
    let ulid: Ulid | '' = '';
    for (let i = 0; i < this.#options.workspaces; i += 1) {
      ulid = nextUlid(ulid, EPOCH_MS, this.#random.bytes(10));
      const id = workspaceId(ulid);
      const ref = { id, path: `/sim/${id}`, poolRoot: '/sim/pool' };
      const parts = { disk: this.#disk, catalog: this.#catalog, policy: POLICY };
      this.#known.set(id, { ref, auditor: new SimAuditor(id, parts), busy: new Set() });
      const session = this.#session(ref, process);
      session.runSync({ purpose: 'init' }, () => {
        session.decide(
          { type: 'create-workspace', path: ref.path, backend: 'memory', pool: 'sim' },
          'power-loss',
        );
        session.decide({ type: 'activate-workspace' }, 'power-loss');
      });
    }
    process.die();
    this.#faults.rearm();
  }

  #newProcess(onDeath: (process: Process) => void): Process {
    const process: Process = new SimProcess<Known>({
      scheduler: this.#scheduler,
      random: this.#random,
      faults: this.#faults,
      locks: this.#locks,
      pauseMsMax: this.#options.workload.pauseMsMax,
      onDeath: () => onDeath(process),
    });
    return process;
  }

  #startProcess(slot: number): void {
    if (this.#isEnding) return;
    this.#processes[slot] = this.#newProcess((process) => {
      for (const known of process.busyWith) {
        known.busy.delete(process);
        this.#audit(known, process, 'a death');
      }
      process.busyWith.clear();
      const downMs = this.#random.below(this.#options.workload.downMsMax);
      this.#scheduler.after(downMs, () => this.#startProcess(slot));
    });
  }

  #session(ref: WorkspaceRef, process: Process): WorkspaceSession {
    return new WorkspaceSession(ref, {
      backend: new SimBackend(this.#disk, process),
      catalog:
        this.#options.commits === 'grouped'
          ? new SimGroupedCatalog(this.#store, process)
          : new SimCatalog(this.#store, process),
      locks: this.#locks.forProcess(process),
      clock: { nowMs: () => this.#wallMs(), monotonicMs: () => this.#scheduler.nowMs },
      entropy: { ulidRandom: () => this.#random.bytes(10) },
    });
  }

  #wallMs(): number {
    return EPOCH_MS + Math.floor(this.#scheduler.nowMs) + this.#clockOffsetMs;
  }

  /** Mostly forward, now and then back: clocks are like that. */
  #scheduleClockStep(): void {
    const everyMs = this.#random.below(this.#options.workload.clockStepMsMax);
    this.#scheduler.after(everyMs, () => {
      if (this.#isEnding) return;
      this.#clockOffsetMs += this.#random.below(5000) - 3000;
      this.#scheduleClockStep();
    });
  }

  #scheduleNext(known: Known, delayMs: number): void {
    this.#scheduler.after(delayMs, () => {
      if (this.#isEnding) return;
      this.#begin(known);
      this.#scheduleNext(known, this.#options.workload.next(this.#random));
    });
  }

  /** A tool call and the call of ghostsnap after it; now and then another process calls as well. */
  #begin(known: Known): void {
    if (known.busy.size === 0) this.#edit(known);
    const calls = this.#random.oneIn(this.#options.workload.contendOneIn) ? 2 : 1;
    const first = this.#random.below(PROCESSES);
    for (let call = 0; call < calls; call += 1) {
      const process = this.#processes[(first + call) % PROCESSES] as Process;
      if (!process.isAlive || known.busy.has(process)) continue;
      this.#call(known, process);
    }
  }

  #call(known: Known, process: Process): void {
    const name = pickOperation(this.#random, known.auditor.acknowledged.size > 0);
    this.#operations[name] = (this.#operations[name] ?? 0) + 1;
    this.#begun += 1;
    known.busy.add(process);
    process.busyWith.add(known);
    if (this.#begun % PROGRESS_EVERY === 0) {
      this.#options.onProgress?.(this.#scheduler.nowMs, this.#begun);
    }
    this.#carryOut(known, process, name)
      .catch((error: unknown) => this.#onError(error))
      .then(() => {
        // Whose process died has been audited at its death.
        if (!known.busy.delete(process)) return;
        process.busyWith.delete(known);
        this.#audit(known, process, name);
      })
      .catch((error: unknown) => this.#broken(error, name));
  }

  async #carryOut(known: Known, process: Process, name: OperationName): Promise<void> {
    const { auditor, ref } = known;
    const workspace = await this.#open(ref, process);
    const volume = this.#disk.volume(ref.id);
    const before = auditor.acknowledged.size;
    await OPERATIONS[name]({
      ...{ workspace, volume, auditor, random: this.#random },
      edit: () => {
        if (known.busy.size === 1) this.#edit(known);
      },
    });
    this.#acknowledged += Math.max(0, auditor.acknowledged.size - before);
  }

  async #open(ref: WorkspaceRef, process: Process): Promise<EngineWorkspace> {
    const found = process.open.get(ref.id);
    if (found !== undefined) {
      process.open.delete(ref.id);
      process.open.set(ref.id, found);
      return found;
    }
    const workspace = this.#wrap(ref, process);
    await workspace.open();
    process.open.set(ref.id, workspace);
    for (const [oldest] of process.open) {
      if (process.open.size <= OPEN_MAX) break;
      process.open.delete(oldest);
    }
    return workspace;
  }

  #wrap(ref: WorkspaceRef, process: Process): EngineWorkspace {
    return new EngineWorkspace(this.#session(ref, process), {
      pool: 'sim',
      backend: 'memory',
      policy: () => POLICY,
      bisect: () => null,
      closing: () => {},
      release: async () => {},
      releaseSync: () => {},
      locate: (_, text) => text,
      assertWritable: () => {},
      judging: { rulesWith: () => Promise.resolve({ rules: [], problems: [] }) },
      pruneDue: () => {},
      forget: () => {},
    });
  }

  /** What a tool call does between snapshots. */
  #edit(known: Known): void {
    const volume = this.#disk.volume(known.ref.id);
    known.auditor.onEdit();
    const edits = this.#random.below(4);
    for (let i = 0; i < edits; i += 1) {
      const content = this.#random.oneIn(4) ? 0 : 1 + this.#random.below(CONTENTS);
      volume.live = withContent(volume.live, this.#random.below(FILES), content);
    }
  }

  #onEvent(event: Event, text: string): void {
    this.#events += 1;
    this.#digest.add(text);
    this.#of(event.workspace).auditor.onEvent(event);
  }

  #audit(known: Known, process: Process, after: string): void {
    try {
      known.auditor.checkTreeIsHeld(process);
      known.auditor.check();
    } catch (error) {
      this.#broken(error, after);
    }
  }

  #onError(error: unknown): void {
    if (error instanceof SimCrash) return;
    if (!(error instanceof GhostsnapError)) throw error;
    this.#refused[error.code] = (this.#refused[error.code] ?? 0) + 1;
  }

  #broken(error: unknown, what: string): void {
    this.#failure ??= new Error(
      `seed ${this.#options.seed}: ${what} broke an invariant at ${this.#scheduler.nowMs} ms`,
      { cause: error },
    );
  }

  #rethrow(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  /** The power goes; a process that never fails opens everything, and all must be whole. */
  async #end(): Promise<void> {
    this.#isEnding = true;
    this.#faults.disarm();
    for (const process of this.#processes) process.die();
    const process = this.#newProcess(() => {});
    for (const known of this.#known.values()) {
      await this.#scheduler.untilSettled(this.#wrap(known.ref, process).open());
      known.auditor.checkTreeIsHeld(process);
      known.auditor.checkAtRest();
      this.#store.replay(this.#store.book(known.ref.id));
      this.#digest.add(this.#store.book(known.ref.id).checkpoint);
    }
  }

  #of(id: WorkspaceId): Known {
    const known = this.#known.get(id);
    if (known === undefined) throw new Error(`There is no workspace ${id}.`);
    return known;
  }

  #report(): SimReport {
    this.#rethrow();
    return {
      virtualMs: Math.round(this.#scheduler.nowMs),
      operations: this.#operations,
      crashes: this.#faults.crashes,
      failures: this.#faults.failures,
      refused: this.#refused,
      snapshotsAcknowledged: this.#acknowledged,
      events: this.#events,
      longestLockWaitMs: Math.round(this.#locks.longestWaitMs),
      digest: this.#digest.text,
    };
  }
}
