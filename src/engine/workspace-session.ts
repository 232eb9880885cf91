/**
 * One workspace under work: its queue, its lock, its state.
 *
 * Everything that decides or changes something runs inside `run` (or `runSync`): one at a time in this
 * process through the queue, one process at a time through the lock, on the state as the catalog holds
 * it at that moment. `decide` is the only way to an event: core step, then one catalog transaction.
 * Nothing here knows what a backend does.
 */
import type { Backend, WorkspaceRef } from '../backend/backend.ts';
import type { Command, Effect } from '../core/command.ts';
import { GhostsnapError } from '../core/errors.ts';
import type { Event } from '../core/event.ts';
import { emptyState } from '../core/fold-event.ts';
import { LOCK_WAIT_MS } from '../core/limits.ts';
import type { WorkspaceState } from '../core/state.ts';
import { step } from '../core/step.ts';
import type { Catalog, Clock, Entropy, Lock, Locks } from './ports.ts';

export interface EnginePorts {
  readonly backend: Backend;
  readonly catalog: Catalog;
  readonly locks: Locks;
  readonly clock: Clock;
  readonly entropy: Entropy;
}

export type Durability = 'power-loss' | 'process-crash';

export interface WorkOn {
  /** Shown to other processes that wait for the workspace. */
  readonly purpose: string;
  readonly signal?: AbortSignal | undefined;
}

export class WorkspaceSession {
  readonly ref: WorkspaceRef;
  readonly ports: EnginePorts;
  /**
   * A snapshot was begun, by this process or by one that died, and its end is not known: the disk may
   * hold one that the catalog does not. The next snapshot looks first, or it could get an id that is
   * taken, or one that is lower.
   */
  isUncertain = false;
  /** How often in a row an armed snapshot could neither be proven nor refuted. */
  unproven = 0;
  readonly #lockWaitMs: number;
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
    const turn =
      before === null ? this.#runLocked(on, work) : before.then(() => this.#runLocked(on, work));
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
    using lock = this.ports.locks.acquireSync(this.ref.id, this.#lockOptions(on));
    this.#enter(lock);
    try {
      return work();
    } finally {
      this.#settle(lock);
    }
  }

  /**
   * Decides a command and records its events, before any of the effects happens.
   * @returns the effects to carry out
   * @throws GhostsnapError the conflict's code; LOCKED, POOL_FULL from the catalog
   */
  decide(command: Command, durability: Durability): readonly Effect[] {
    const result = step(this.state, command, this.ports.clock.nowMs());
    if (!result.ok) {
      const { code, message, hint } = result.conflict;
      throw new GhostsnapError(code, message, { hint, data: { workspace: this.ref.id } });
    }
    if (result.events.length > 0) {
      this.#commit(result.events, result.state, durability);
    }
    return result.effects;
  }

  #commit(events: readonly Event[], state: WorkspaceState, durability: Durability): void {
    try {
      this.ports.catalog.commit(this.ref.id, events, state, durability);
      this.#state = state;
    } catch (failure) {
      // Whether a failed commit is on disk is known only by looking.
      this.#refresh();
      throw failure;
    }
  }

  /** Waits for the queue, then refuses further work. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#tail;
  }

  closeSync(): void {
    this.#isClosed = true;
  }

  async #runLocked<T>(on: WorkOn, work: () => Promise<T> | T): Promise<T> {
    const { signal } = on;
    const options = this.#lockOptions(on);
    using lock: Lock = await this.ports.locks.acquire(
      this.ref.id,
      signal === undefined ? options : { ...options, signal },
    );
    this.#enter(lock);
    try {
      return await work();
    } finally {
      this.#settle(lock);
    }
  }

  /** A process that died with the lock may have left a snapshot that is in no catalog. */
  #enter(lock: Lock): void {
    if (lock.isInherited) this.isUncertain = true;
    this.#refresh();
  }

  /** What this session does not know, the next one, perhaps another process's, does not know either. */
  #settle(lock: Lock): void {
    if (this.isUncertain) lock.leaveUnsettled();
  }

  #lockOptions(on: WorkOn): { waitMs: number; purpose: string } {
    return { waitMs: this.#lockWaitMs, purpose: on.purpose };
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
