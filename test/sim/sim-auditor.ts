/**
 * What must always hold of one workspace, whoever worked on it and however it ended.
 *
 * The auditor sees what callers see: what was acknowledged to them, what they pinned. Beside that it
 * watches the lock (who works, on which tree) and the events (what was begun to be deleted). It never
 * asks the engine whether the engine is right.
 */
import { strict as assert } from 'node:assert';
import type { Event } from '../../src/core/event.ts';
import { encodeState } from '../../src/core/fold-event.ts';
import type { SnapshotId, WorkspaceId } from '../../src/core/ids.ts';
import { CALLS_IN_FLIGHT_MAX, DELETE_BATCH_MAX } from '../../src/core/limits.ts';
import type { RetentionPolicy } from '../../src/core/retention/policy.ts';
import type { SimDisk } from './sim-backend.ts';
import type { SimCatalog } from './sim-catalog.ts';
import type { SimProcess } from './sim-process.ts';
import type { SimTree } from './sim-tree.ts';

/** Bytes of a state's text: calls in flight, and a line for each id of a deletion in flight. */
const STATE_BYTES_MAX = 8192 + DELETE_BATCH_MAX * 40;

/** How a workspace was found by the process that has its lock, or had it last. */
export interface AtLock {
  readonly process: SimProcess;
  readonly tree: SimTree;
  /** Something was in flight that had not ended. */
  readonly isInterrupted: boolean;
}

export interface AuditParts {
  readonly disk: SimDisk;
  readonly catalog: SimCatalog;
  readonly policy: RetentionPolicy;
}

export class SimAuditor {
  readonly #parts: AuditParts;
  readonly #id: WorkspaceId;
  /** What the engine acknowledged and nobody deleted since. */
  readonly acknowledged = new Map<SnapshotId, SimTree>();
  /** Deletion was begun: may be there or not. */
  readonly #doomed = new Set<SnapshotId>();
  readonly #pinned = new Set<SnapshotId>();
  atLock: AtLock | null = null;

  constructor(id: WorkspaceId, parts: AuditParts) {
    this.#id = id;
    this.#parts = parts;
  }

  onAcquired(process: SimProcess): void {
    const { disk, catalog } = this.#parts;
    const isInterrupted = (catalog.loadState(this.#id)?.inFlight ?? null) !== null;
    this.atLock = { process, tree: disk.volume(this.#id).live, isInterrupted };
  }

  /** The tree changes, and nobody is at work: from here on it is another tree that must be held. */
  onEdit(): void {
    this.atLock = null;
  }

  onEvent(event: Event): void {
    switch (event.type) {
      case 'snapshots.deleting':
        this.#checkDoomed(event.ids, event.rule);
        for (const id of event.ids) this.#doomed.add(id);
        return;
      case 'snapshots.deleted':
        for (const id of event.ids) {
          assert.ok(
            !this.#parts.disk.volume(this.#id).snapshots.has(id),
            'what was deleted is gone',
          );
          this.acknowledged.delete(id);
          this.#doomed.delete(id);
        }
        return;
      case 'snapshot.lost':
        assert.ok(!this.acknowledged.has(event.id), `the acknowledged ${event.id} is not lost`);
        return;
      default:
    }
  }

  /** A call came back with this id. */
  acknowledge(id: SnapshotId, tree: SimTree): void {
    this.acknowledged.set(id, tree);
  }

  /** Pinning was acknowledged; unpinning counts from when it was asked for. */
  setPinned(id: SnapshotId, pinned: 'pinned' | 'unpinned'): void {
    if (pinned === 'pinned') this.#pinned.add(id);
    else this.#pinned.delete(id);
  }

  /**
   * After an operation, a failure or a death, of the process that had the lock: the tree it found is
   * where it was or in a snapshot.
   */
  checkTreeIsHeld(process: SimProcess): void {
    const { atLock } = this;
    if (atLock?.process !== process) return;
    this.atLock = null;
    const { live, snapshots } = this.#parts.disk.volume(this.#id);
    if (live === atLock.tree) return;
    for (const tree of snapshots.values()) if (tree === atLock.tree) return;
    assert.fail('the tree that an operation found is held by a snapshot');
  }

  check(): void {
    const { snapshots } = this.#parts.disk.volume(this.#id);
    for (const [id, tree] of this.acknowledged) {
      const found = snapshots.get(id);
      if (found === undefined && this.#doomed.has(id)) continue;
      assert.ok(found !== undefined, `the acknowledged snapshot ${id} is on disk`);
      assert.equal(found, tree, 'a snapshot never changes');
    }
    const state = this.#parts.catalog.loadState(this.#id);
    assert.ok(state !== null, 'a workspace has a state');
    assert.ok(this.#parts.disk.volume(this.#id).armed.size <= 1, 'at most one is armed');
    assert.ok(encodeState(state).length < STATE_BYTES_MAX, 'the state is bounded');
    assert.ok(state.calls.length <= CALLS_IN_FLIGHT_MAX, 'calls in flight are bounded');
  }

  /** After recovery, with nothing under way. */
  checkAtRest(): void {
    this.check();
    const state = this.#parts.catalog.loadState(this.#id);
    const ids = [...this.#parts.disk.volume(this.#id).snapshots.keys()].sort();
    assert.equal(state?.inFlight, null, 'nothing is in flight at the end');
    assert.deepEqual(this.#parts.catalog.snapshotIds(this.#id), ids, 'catalog and disk agree');
    assert.equal(state.snapshotCount, ids.length, 'the count of snapshots is right');
  }

  #checkDoomed(ids: readonly SnapshotId[], rule: string): void {
    for (const id of ids) assert.ok(!this.#pinned.has(id), `the pinned ${id} is not deleted`);
    if (rule !== 'retention') return;
    const newest = this.#parts.catalog.snapshotIds(this.#id).slice(-this.#parts.policy.keepLast);
    for (const id of ids) assert.ok(!newest.includes(id), 'retention keeps the newest');
  }
}
