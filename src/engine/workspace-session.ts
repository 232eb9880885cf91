/**
 * One workspace under work: its queue, its lock, its state.
 *
 * Everything that decides or changes something runs inside `run` (or `runSync`): one at a time in this
 * process through the queue, one process at a time through the lock, on the state as the catalog holds
 * it at that moment. `decide` is the only way to an event: core step, then one catalog transaction.
 * Nothing is acknowledged, and the lock not given back, before what was decided has landed in the
 * catalog. Nothing here knows what a backend does.
 */
import type { Backend, WorkspaceRef } from '../backend/backend.ts';
import type { Command, Effect } from '../core/command.ts';
import type { Conflict } from '../core/conflict.ts';
import { GhostsnapError } from '../core/errors.ts';
import type { Event } from '../core/event.ts';
import { emptyState } from '../core/fold-event.ts';
import type { PromptId } from '../core/ids.ts';
import { LOCK_WAIT_MS } from '../core/limits.ts';
import type { WorkspaceState } from '../core/state.ts';
import { type StepResult, step } from '../core/step.ts';
import { METRIC, OUTCOME, outcomeOf, SPAN } from '../core/telemetry-names.ts';
import type { TraceContext } from '../core/trace-context.ts';
import {
  type Catalog,
  type Clock,
  type Entropy,
  type Lock,
  type LockOptions,
  type Locks,
  NO_TELEMETRY,
  type Telemetry,
} from './ports.ts';
import { spanOfWork } from './work-span.ts';

export interface EnginePorts {
  readonly backend: Backend;
  readonly catalog: Catalog;
  readonly locks: Locks;
  readonly clock: Clock;
  readonly entropy: Entropy;
  /** Default: nobody listens. */
  readonly telemetry?: Telemetry;
  /** Of the process: what belongs to no other trace belongs to it. */
  readonly trace?: TraceContext;
}

export type Durability = 'power-loss' | 'process-crash';

export interface WorkOn {
  /** Shown to other processes that wait for the workspace. */
  readonly purpose: string;
  readonly signal?: AbortSignal | undefined;
  /** Of whoever asks. */
  readonly trace?: TraceContext | undefined;
}

/** Work that was asked for: since when, and where it stands in its trace. */
interface Asked {
  readonly on: WorkOn;
  readonly startNs: number;
  readonly trace: TraceContext | undefined;
}

let sessions = 0;

export class WorkspaceSession {
  readonly ref: WorkspaceRef;
  readonly ports: EnginePorts;
  /**
   * A snapshot was begun, by this process or by one that died, and its end is not known: the disk may
   * hold one that the catalog does not. The next snapshot looks first, or it could get an id that is
   * taken, or one that is lower.
   */
  isUncertain = false;
  /**
   * The backend's `snapshotsStamp` as it was when catalog and disk were last known to be equal; null: not
   * known. It is recorded when the session closes, so that the next open has nothing to compare.
   */
  stamp: string | null = null;
  /**
   * The agent's session that asked last: it has not ended, and this is its newest prompt. null: not
   * known. An agent asks again and again, and the answers change seldom.
   */
  agent: { readonly session: string; readonly prompt: PromptId | null } | null = null;
  /** Inside `run`: where what happens now stands in the trace of whoever asked. */
  trace: TraceContext | undefined = undefined;
  readonly #lockWaitMs: number;
  /** Tells the sessions of a process apart. */
  readonly #number = ++sessions;
  /** null: not read yet. A host holds thousands of workspaces that nobody asks anything. */
  #state: WorkspaceState | null = null;
  /** The end of the last work in the queue; null while it is empty. */
  #tail: Promise<unknown> | null = null;
  #waiting = 0;
  #isClosed = false;

  constructor(ref: WorkspaceRef, ports: EnginePorts, lockWaitMs: number = LOCK_WAIT_MS) {
    this.ref = ref;
    this.ports = ports;
    this.#lockWaitMs = lockWaitMs;
  }

  get telemetry(): Telemetry {
    return this.ports.telemetry ?? NO_TELEMETRY;
  }

  /** As of the last `run`; inside one it is current. */
  get state(): WorkspaceState {
    return this.#state ?? this.#refresh();
  }

  /** Inside `run`: others of this process wait for their turn. */
  get isAwaited(): boolean {
    return this.#waiting > 1;
  }

  /** Runs `work` alone on the workspace. @throws GhostsnapError LOCKED, INTERRUPTED, and what `work` throws */
  run<T>(on: WorkOn, work: () => Promise<T> | T): Promise<T> {
    this.#assertOpen();
    this.#waiting += 1;
    const before = this.#tail;
    const asked = this.#ask(on);
    const turn =
      before === null
        ? this.#runLocked(asked, work)
        : before.then(() => this.#runLocked(asked, work));
    // The queue goes on after a failure; the failure itself reaches the caller through `turn`.
    this.#tail = turn.then(
      () => this.#leave(),
      () => this.#leave(),
    );
    return turn;
  }

  /**
   * The same, blocking this thread. It cannot wait for work of its own process that is under way.
   * @throws GhostsnapError WORKSPACE_BUSY, LOCKED
   */
  runSync<T>(on: WorkOn, work: () => T): T {
    this.#assertOpen();
    if (this.#waiting > 0) {
      throw new GhostsnapError(
        'WORKSPACE_BUSY',
        `Another operation of this process is under way on ${this.ref.path}`,
        { hint: 'Await it first, or use the asynchronous call, which queues.' },
      );
    }
    const asked = this.#ask(on);
    using lock = this.ports.locks.acquireSync(this.ref.id, this.#lockOptions(on));
    this.#enter(lock, asked);
    try {
      const result = work();
      this.#landSync();
      this.#tell(asked, null);
      return result;
    } catch (failure) {
      this.#tell(asked, failure);
      throw failure;
    } finally {
      this.#settle(lock);
    }
  }

  /**
   * Decides a command and records its events. A 'power-loss' record has landed on return, before any of
   * the effects happens; a 'process-crash' record before the operation is acknowledged.
   * @returns the effects to carry out
   * @throws GhostsnapError the conflict's code; LOCKED, POOL_FULL from the catalog
   */
  decide(command: Command, durability: Durability): readonly Effect[] {
    return this.decideTogether([command], durability);
  }

  /**
   * Several, each on what the one before left, as one transaction. A conflict in a later one leaves the
   * earlier ones decided, as if they had been decided one by one.
   */
  decideTogether(commands: readonly Command[], durability: Durability): readonly Effect[] {
    const effects = this.#decide(commands, durability);
    if (durability === 'power-loss') this.#landSync();
    return effects;
  }

  /** The same, for records that survive a power loss, without blocking this thread until they have landed. */
  async decideDurably(...commands: readonly Command[]): Promise<readonly Effect[]> {
    const effects = this.#decide(commands, 'power-loss');
    await this.#land();
    return effects;
  }

  #decide(commands: readonly Command[], durability: Durability): readonly Effect[] {
    const events: Event[] = [];
    const effects: Effect[] = [];
    let { state } = this;
    let refusal: Conflict | null = null;
    for (const command of commands) {
      const result = this.#step(state, command);
      if (!result.ok) {
        refusal = result.conflict;
        break;
      }
      events.push(...result.events);
      effects.push(...result.effects);
      ({ state } = result);
    }
    if (events.length > 0) this.#commit(events, state, durability);
    if (refusal !== null) throw this.#conflicting(refusal);
    return effects;
  }

  /** Nothing is recorded. @throws GhostsnapError the code of the conflict that `decide` would meet */
  assertTakes(command: Command): void {
    const result = this.#step(this.state, command);
    if (!result.ok) throw this.#conflicting(result.conflict);
  }

  #step(state: WorkspaceState, command: Command): StepResult {
    return step(state, command, this.ports.clock.nowMs(), this.trace);
  }

  #conflicting({ code, message, hint }: Conflict): GhostsnapError {
    return new GhostsnapError(code, message, { hint, data: { workspace: this.ref.id } });
  }

  #commit(events: readonly Event[], state: WorkspaceState, durability: Durability): void {
    const { telemetry } = this;
    const startNs = telemetry.nowNs();
    try {
      this.ports.catalog.commit(this.ref.id, events, state, durability);
      this.#state = state;
      telemetry.span(SPAN.catalogCommit, this.trace, startNs, telemetry.nowNs(), OUTCOME.ok);
      telemetry.count(METRIC.events, events.length);
    } catch (failure) {
      // Whether a failed commit is on disk is known only by looking.
      this.#refresh();
      throw failure;
    }
  }

  async #land(): Promise<void> {
    const landing = this.ports.catalog.settle(this.ref.id);
    if (landing === null) return;
    const { telemetry } = this;
    const startNs = telemetry.nowNs();
    try {
      await landing;
      telemetry.span(SPAN.catalogLand, this.trace, startNs, telemetry.nowNs(), OUTCOME.ok);
    } catch (failure) {
      this.#forgetUnlanded();
      throw failure;
    }
  }

  #landSync(): void {
    try {
      this.ports.catalog.settleSync(this.ref.id);
    } catch (failure) {
      this.#forgetUnlanded();
      throw failure;
    }
  }

  /** What was decided is in no catalog, and its snapshot may be on disk. */
  #forgetUnlanded(): void {
    this.isUncertain = true;
    this.agent = null;
    this.#refresh();
  }

  /** Waits for the queue, then refuses further work. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#tail;
    this.#saveStamp();
  }

  closeSync(): void {
    this.#isClosed = true;
    this.#saveStamp();
  }

  #saveStamp(): void {
    const { stamp, ref } = this;
    const { catalog } = this.ports;
    // The name of what was adopted may be lost with the power, and its directory is then as before.
    if (stamp === null || this.isUncertain || this.state.armed !== null) return;
    try {
      if (stamp !== catalog.loadStamp(ref.id)) catalog.saveStamp(ref.id, stamp);
    } catch (error) {
      // A catalog that is busy, full or gone: the next open compares.
      if (!(error instanceof GhostsnapError)) throw error;
    }
  }

  async #runLocked<T>(asked: Asked, work: () => Promise<T> | T): Promise<T> {
    using lock: Lock = await this.#acquire(asked);
    this.#enter(lock, asked);
    try {
      const result = await work();
      await this.#land();
      this.#tell(asked, null);
      return result;
    } catch (failure) {
      await this.#landAfter(failure);
      this.#tell(asked, failure);
      throw failure;
    } finally {
      this.#settle(lock);
    }
  }

  async #acquire(asked: Asked): Promise<Lock> {
    const { signal } = asked.on;
    const options = this.#lockOptions(asked.on);
    try {
      return await this.ports.locks.acquire(
        this.ref.id,
        signal === undefined ? options : { ...options, signal },
      );
    } catch (failure) {
      this.#tell(asked, failure);
      throw failure;
    }
  }

  /** The wait for the queue and the lock is part of it. */
  #ask(on: WorkOn): Asked {
    const isSpan = spanOfWork(on.purpose) !== null;
    const above = on.trace ?? this.ports.trace;
    const trace = isSpan ? this.telemetry.begin(above) : above;
    return { on, startNs: this.telemetry.nowNs(), trace };
  }

  #tell({ on, startNs, trace }: Asked, failure: unknown): void {
    this.trace = undefined;
    const span = spanOfWork(on.purpose);
    if (span === null) return;
    const outcome = failure === null ? OUTCOME.ok : outcomeOf(failure);
    this.telemetry.end(span, trace, startNs, outcome);
  }

  /** What failed may have decided things before: they land, or the next one learns that they have not. */
  async #landAfter(failure: unknown): Promise<void> {
    try {
      await this.#land();
    } catch {
      // Told already, as `failure` or before it; the state was read anew and is uncertain.
      void failure;
    }
  }

  /** A process that died with the lock may have left a snapshot that is in no catalog. */
  #enter(lock: Lock, { startNs, trace }: Asked): void {
    this.trace = trace;
    const { telemetry } = this;
    telemetry.span(SPAN.workspaceWait, trace, startNs, telemetry.nowNs(), OUTCOME.ok);
    if (lock.isInherited) this.isUncertain = true;
    if (lock.isContinued) return;
    this.agent = null;
    this.#refresh();
  }

  /** What this session does not know, the next one, perhaps another process's, does not know either. */
  #settle(lock: Lock): void {
    if (this.isUncertain) lock.leaveUnsettled();
  }

  #lockOptions(on: WorkOn): LockOptions {
    return { waitMs: this.#lockWaitMs, purpose: on.purpose, holder: this.#number };
  }

  #leave(): void {
    this.#waiting -= 1;
    if (this.#waiting === 0) this.#tail = null;
  }

  /** Another process may have worked since: its events are in the catalog. */
  #refresh(): WorkspaceState {
    this.#state = this.ports.catalog.loadState(this.ref.id) ?? emptyState(this.ref.id);
    return this.#state;
  }

  #assertOpen(): void {
    if (!this.#isClosed) return;
    throw new GhostsnapError('BAD_ARGUMENT', `The workspace ${this.ref.path} was closed.`, {
      hint: 'Open it again.',
    });
  }
}
