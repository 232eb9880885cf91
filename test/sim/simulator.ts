/**
 * The simulator: the real core and engine on a seeded scheduler, a virtual clock and a faulty disk.
 *
 * Operations on several workspaces run at once; wherever the disk would take time, the scheduler picks
 * who goes on. The process may die at any step and is started again; the clock may step back. After
 * every operation the auditor checks what must always hold. One seed, one run.
 */
import { strict as assert } from 'node:assert';
import type { WorkspaceRef } from '../../src/backend/backend.ts';
import { GhostsnapError } from '../../src/core/errors.ts';
import { emptyState, encodeState, foldEvents } from '../../src/core/fold-event.ts';
import { nextUlid, type SnapshotId, type WorkspaceId, workspaceId } from '../../src/core/ids.ts';
import { CALLS_IN_FLIGHT_MAX } from '../../src/core/limits.ts';
import { EngineWorkspace } from '../../src/engine/engine-workspace.ts';
import type { Locks } from '../../src/engine/ports.ts';
import { WorkspaceSession } from '../../src/engine/workspace-session.ts';
import { changedPaths, SimBackend, type SimTree } from './sim-backend.ts';
import { SimCatalog } from './sim-catalog.ts';
import { SimCrash, SimFaults } from './sim-faults.ts';
import { SimRandom } from './sim-random.ts';

export interface SimOptions {
  readonly seed: number;
  readonly steps: number;
  readonly workspaces: number;
  readonly crashOneIn: number;
  readonly failOneIn: number;
}

export interface SimReport {
  readonly operations: Readonly<Record<string, number>>;
  readonly crashes: number;
  readonly failures: number;
  readonly refused: number;
  readonly snapshotsAcknowledged: number;
  readonly events: number;
  /** Of all final states: the same seed gives the same text. */
  readonly digest: string;
}

interface Known {
  readonly ref: WorkspaceRef;
  open: EngineWorkspace;
  busy: boolean;
  lastId: string;
  /** What the engine acknowledged and nobody deleted since. */
  readonly acknowledged: Map<SnapshotId, SimTree>;
  /** Deletion was begun: may be there or not until it is acknowledged. */
  readonly doomed: Set<SnapshotId>;
}

/** What a turn finds when it is called, outside the lock. */
interface BeforeTurn {
  readonly tree: SimTree;
  readonly isInterrupted: boolean;
}

const POLICY = { keepLast: 6, keepWithinMs: 0, hourlyForMs: 0, dailyForMs: 0, weeklyForMs: 0 };
/** Audits between two full replays of a workspace's log, which grows with the run. */
const AUDITS_PER_REPLAY = 32;
const FILES = 12;

export class Simulator {
  readonly #options: SimOptions;
  readonly #random: SimRandom;
  readonly #faults: SimFaults;
  readonly #backend: SimBackend;
  readonly #catalog: SimCatalog;
  readonly #pending: (() => void)[] = [];
  readonly #known: Known[] = [];
  readonly #counts: Record<string, number> = {};
  #nowMs = 1_700_000_000_000;
  #refused = 0;
  #acknowledged = 0;
  #running = 0;
  #audits = 0;

  constructor(options: SimOptions) {
    this.#options = options;
    this.#random = new SimRandom(options.seed);
    this.#faults = new SimFaults(this.#random, options);
    this.#backend = new SimBackend(this.#faults, () => this.#pause());
    this.#catalog = new SimCatalog(this.#faults);
  }

  async run(): Promise<SimReport> {
    this.#faults.disarm();
    for (let i = 0; i < this.#options.workspaces; i += 1) await this.#create();
    this.#faults.rearm();
    for (let done = 0; done < this.#options.steps; done += 1) {
      this.#tick();
      const idle = this.#known.filter((known) => !known.busy);
      if (idle.length > 0 && !this.#faults.isDown) this.#begin(this.#random.pick(idle));
      await this.#letSomeGoOn();
      if (this.#faults.isDown) await this.#restart();
    }
    while (this.#running > 0) {
      await this.#letSomeGoOn();
      if (this.#faults.isDown) await this.#restart();
    }
    await this.#restart();
    return this.#report();
  }

  /** Mostly forward, sometimes not at all, now and then back: clocks are like that. */
  #tick(): void {
    if (this.#random.oneIn(50)) this.#nowMs -= this.#random.below(5000);
    else this.#nowMs += this.#random.below(3);
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      this.#pending.push(resolve);
    });
  }

  async #letSomeGoOn(): Promise<void> {
    const count = 1 + this.#random.below(4);
    for (let i = 0; i < count && this.#pending.length > 0; i += 1) {
      const at = this.#random.below(this.#pending.length);
      const [resume] = this.#pending.splice(at, 1);
      resume?.();
      await settled();
    }
    await settled();
  }

  async #create(): Promise<void> {
    const id = workspaceId(nextUlid('', this.#nowMs, this.#random.bytes(10)));
    const ref = { id, path: `/sim/${id}`, poolRoot: '/sim/pool' };
    const session = this.#session(ref);
    session.decide(
      { type: 'create-workspace', path: ref.path, backend: 'memory', pool: 'sim' },
      'power-loss',
    );
    session.decide({ type: 'activate-workspace' }, 'power-loss');
    const open = this.#wrap(ref, session);
    const known = { ref, open, busy: false, lastId: '', doomed: new Set<SnapshotId>() };
    this.#known.push({ ...known, acknowledged: new Map<SnapshotId, SimTree>() });
  }

  #session(ref: WorkspaceRef): WorkspaceSession {
    const nowMs = (): number => this.#nowMs;
    return new WorkspaceSession(ref, {
      backend: this.#backend,
      catalog: this.#catalog,
      locks: FREE_LOCKS,
      clock: { nowMs, monotonicMs: nowMs },
      entropy: { ulidRandom: () => this.#random.bytes(10) },
    });
  }

  #wrap(ref: WorkspaceRef, session: WorkspaceSession): EngineWorkspace {
    return new EngineWorkspace({
      session,
      info: { workspace: ref.id, path: ref.path, backend: 'memory', pool: 'sim', poolRoot: '/sim' },
      policy: POLICY,
      release: async () => {},
      releaseSync: () => {},
      onPruneDue: () => {},
      forget: () => {},
    });
  }

  #begin(known: Known): void {
    known.busy = true;
    this.#running += 1;
    this.#edit(known);
    const [name, work] = this.#chooseOperation(known);
    this.#counts[name] = (this.#counts[name] ?? 0) + 1;
    work()
      .then(
        () => this.#faults.quietly(() => this.#audit(known)),
        (error: unknown) => this.#onError(error),
      )
      .catch((error: unknown) => this.#broken(error, name))
      .finally(() => {
        known.busy = false;
        this.#running -= 1;
      });
  }

  #failure: unknown = null;

  #broken(error: unknown, name: string): void {
    this.#failure ??= new Error(`seed ${this.#options.seed}: ${name} broke an invariant`, {
      cause: error,
    });
  }

  /** What a tool call does between snapshots. */
  #edit(known: Known): void {
    const { live } = this.#backend.of(known.ref.id);
    const edits = this.#random.below(4);
    for (let i = 0; i < edits; i += 1) {
      const path = `f${this.#random.below(FILES)}`;
      if (this.#random.oneIn(4)) live.delete(path);
      else live.set(path, this.#random.below(1000));
    }
  }

  #chooseOperation(known: Known): [string, () => Promise<void>] {
    const ids = [...known.acknowledged.keys()];
    const roll = this.#random.below(20);
    if (roll < 5 || ids.length === 0) return ['snapshot', () => this.#snapshot(known)];
    if (roll < 9) return ['call', () => this.#call(known)];
    const target = this.#random.pick(ids);
    if (roll < 12) return ['rollback', () => this.#rollback(known, target)];
    if (roll < 14) return ['undo', () => this.#undoRedo(known, 'undo')];
    if (roll < 15) return ['redo', () => this.#undoRedo(known, 'redo')];
    if (roll < 16) return ['restore', () => this.#restore(known, target)];
    if (roll < 17) return ['pin', () => this.#pin(known, target)];
    if (roll < 19) return ['prune', () => this.#prune(known)];
    return ['recover', () => known.open.recover().then(() => undefined)];
  }

  async #snapshot(known: Known): Promise<void> {
    const { id } = await known.open.snapshot({ label: 'sim' });
    assert.ok(id > known.lastId, 'ids are ordered');
    known.lastId = id;
    this.#acknowledge(known, id);
  }

  /** A tool call as a hook reports it; sometimes its end is never reported. */
  async #call(known: Known): Promise<void> {
    const session = `session-${this.#random.below(3)}`;
    const begun = await known.open.beginCall({
      ...{ session, harness: 'sim', tool: 'edit', key: String(this.#random.below(1000)) },
    });
    assert.ok(begun.snapshot !== null, 'a call that may change things has a snapshot');
    if (!begun.repeated) this.#acknowledge(known, begun.snapshot);
    if (begun.snapshot > known.lastId) known.lastId = begun.snapshot;
    this.#edit(known);
    if (this.#random.oneIn(4)) return;
    if (this.#random.oneIn(8)) await known.open.submitPrompt({ session, harness: 'sim', text: '' });
    else await known.open.endCall({ call: begun.call, outcome: 'ok' });
    await known.open.measureCall(begun.call);
    await known.open.findUnattributed(begun.call);
  }

  async #rollback(known: Known, target: SnapshotId): Promise<void> {
    const wanted = known.acknowledged.get(target) ?? new Map();
    const before = this.#beforeTurn(known);
    const mode = this.#random.pick(['auto', 'swap', 'in-place'] as const);
    const done = await known.open.rollback(target, { mode });
    assertTree(this.#backend.of(known.ref.id).live, wanted, 'a rollback gives the target');
    this.#assertLeft(known, before, done.precautionary);
    known.lastId = done.precautionary;
    this.#acknowledge(known, done.precautionary);
  }

  #beforeTurn(known: Known): BeforeTurn {
    const state = this.#catalog.loadState(known.ref.id);
    assert.ok(state !== null);
    return {
      tree: new Map(this.#backend.of(known.ref.id).live),
      isInterrupted: state.inFlight !== null,
    };
  }

  /**
   * The tree that a turn began with is its precautionary snapshot. Where it had to end an interrupted
   * operation first, the tree may have been turned in between: then any snapshot may hold it.
   */
  #assertLeft(known: Known, before: BeforeTurn, precautionary: SnapshotId): void {
    const what = 'the state before a turn is held by a snapshot';
    if (!before.isInterrupted) {
      assertTree(this.#backend.tree(known.ref.id, precautionary), before.tree, what);
      return;
    }
    const held = [...this.#backend.of(known.ref.id).snapshots.values()];
    assert.ok(
      held.some((tree) => changedPaths(tree, before.tree).length === 0),
      what,
    );
  }

  async #undoRedo(known: Known, kind: 'undo' | 'redo'): Promise<void> {
    const before = this.#beforeTurn(known);
    const done = await known.open[kind]({ mode: 'in-place' });
    const { live } = this.#backend.of(known.ref.id);
    assertTree(live, this.#backend.tree(known.ref.id, done.target), `${kind} gives its target`);
    this.#assertLeft(known, before, done.precautionary);
    // What it left is its precautionary snapshot, not `before`: the end of an interrupted rollback may
    // turn the tree first, and then undo rightly leads back to where the caller began.
    const left = this.#backend.tree(known.ref.id, done.precautionary);
    assert.ok(changedPaths(live, left).length > 0, `${kind} changes something`);
    this.#acknowledge(known, done.precautionary);
    if (kind === 'undo' && this.#random.oneIn(2)) {
      const again = await known.open.redo();
      assert.equal(again.kind, 'redo');
      this.#acknowledge(known, again.precautionary);
    }
  }

  async #restore(known: Known, target: SnapshotId): Promise<void> {
    // The simulated backend has no tree readers, so the whole tree's root is what is restored.
    const done = await known.open.rollback(target, { mode: 'in-place' });
    this.#acknowledge(known, done.precautionary);
  }

  async #pin(known: Known, target: SnapshotId): Promise<void> {
    if (this.#random.oneIn(2)) known.open.pin(target);
    else known.open.unpin(target);
  }

  async #prune(known: Known): Promise<void> {
    const plan = await known.open.prune({ apply: false });
    for (const decision of plan.decisions) if (!decision.keep) known.doomed.add(decision.id);
    const done = await known.open.prune();
    for (const id of done.deleted) {
      assert.ok(!this.#backend.of(known.ref.id).pins.has(id), 'a pinned snapshot is never deleted');
      assert.ok(!this.#backend.of(known.ref.id).snapshots.has(id), 'what was deleted is gone');
    }
    this.#settleDoomed(known);
  }

  #acknowledge(known: Known, id: SnapshotId): void {
    this.#acknowledged += 1;
    known.acknowledged.set(id, new Map(this.#backend.tree(known.ref.id, id)));
  }

  #onError(error: unknown): void {
    if (error instanceof SimCrash || this.#faults.isDown) return;
    if (!(error instanceof GhostsnapError)) throw error;
    this.#refused += 1;
  }

  /** The process starts again: everything it had in memory is gone, recovery may die as well. */
  async #restart(): Promise<void> {
    while (this.#running > 0) await this.#letSomeGoOn();
    this.#rethrow();
    this.#faults.restart();
    for (const known of this.#known) await this.#reopen(known);
  }

  async #reopen(known: Known): Promise<void> {
    for (;;) {
      this.#faults.restart();
      known.open = this.#wrap(known.ref, this.#session(known.ref));
      let isOpen = false;
      const opening = known.open.recover().then(
        () => {
          isOpen = true;
        },
        (error: unknown) => this.#onError(error),
      );
      let isSettled = false;
      const watched = opening.finally(() => {
        isSettled = true;
      });
      while (!isSettled) await this.#letSomeGoOn();
      await watched;
      if (isOpen) break;
    }
    this.#settleDoomed(known);
    const newest = this.#catalog.snapshotIds(known.ref.id).at(-1);
    if (newest !== undefined && newest > known.lastId) known.lastId = newest;
    this.#faults.quietly(() => this.#audit(known));
  }

  /** A deletion that failed half-way may have been ended by recovery since: the disk says. */
  #settleDoomed(known: Known): void {
    for (const id of known.doomed) {
      if (!this.#backend.of(known.ref.id).snapshots.has(id)) known.acknowledged.delete(id);
    }
    known.doomed.clear();
  }

  #audit(known: Known): void {
    const id: WorkspaceId = known.ref.id;
    const onDisk = this.#backend.of(id).snapshots;
    for (const [snapshot, tree] of known.acknowledged) {
      if (known.doomed.has(snapshot)) continue;
      const found = onDisk.get(snapshot);
      assert.ok(found !== undefined, `the acknowledged snapshot ${snapshot} is on disk`);
      assertTree(found, tree, 'a snapshot never changes');
    }
    const state = this.#catalog.loadState(id);
    assert.ok(state !== null);
    assert.ok(encodeState(state).length < 8192, 'the state is bounded');
    assert.ok(state.calls.length <= CALLS_IN_FLIGHT_MAX, 'calls in flight are bounded');
    this.#audits += 1;
    if (this.#audits % AUDITS_PER_REPLAY !== 0) return;
    const events = this.#catalog.events(id, 0, Number.MAX_SAFE_INTEGER);
    const replayed = foldEvents(emptyState(id), events);
    assert.equal(encodeState(replayed), encodeState(state), 'replay gives the identical state');
  }

  #rethrow(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  #report(): SimReport {
    this.#rethrow();
    let digest = 0;
    let events = 0;
    for (const known of this.#known) {
      const state = this.#catalog.loadState(known.ref.id);
      assert.ok(state !== null);
      assert.equal(state.inFlight, null, 'nothing is in flight at the end');
      events += state.sequence;
      for (const character of encodeState(state)) {
        digest = Math.imul(digest ^ character.charCodeAt(0), 0x01000193) >>> 0;
      }
    }
    return {
      operations: this.#counts,
      crashes: this.#faults.crashes,
      failures: this.#faults.failures,
      refused: this.#refused,
      snapshotsAcknowledged: this.#acknowledged,
      events,
      digest: digest.toString(16).padStart(8, '0'),
    };
  }
}

/** One process, one engine: the lock between processes has its own tests with real processes. */
const FREE_LOCKS: Locks = {
  acquire: (name) => Promise.resolve({ name, [Symbol.dispose]() {} }),
  acquireSync: (name) => ({ name, [Symbol.dispose]() {} }),
};

function assertTree(actual: SimTree, expected: SimTree, what: string): void {
  const changed = changedPaths(actual, expected);
  assert.equal(changed.length, 0, `${what}; these differ: ${changed.join(', ')}`);
}

/** All promise reactions that can run have run. */
function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
