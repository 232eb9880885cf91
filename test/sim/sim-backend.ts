/**
 * A disk in memory that behaves as a backend must, and fails where a disk fails.
 *
 * A tree is a map from path to a number. Turning a tree in place changes one path at a time, each a
 * step where the process may die, so that half-turned trees are ordinary here.
 */
import type {
  ApplyOptions,
  ApplyResult,
  Backend,
  BackendProperties,
  CompareOptions,
  CreateResult,
  SnapshotOnDisk,
  TreeReader,
  TreeRef,
  UncoveredPath,
  WorkspaceIdentity,
  WorkspaceRef,
} from '../../src/backend/backend.ts';
import { GhostsnapError } from '../../src/core/errors.ts';
import type { SnapshotId, WorkspaceId } from '../../src/core/ids.ts';
import { ulidOf, ulidTimeMs } from '../../src/core/ids.ts';
import type { RawPath } from '../../src/core/raw-path.ts';
import { isWithin } from '../../src/core/raw-path.ts';
import type { TreeChange } from '../../src/core/tree-change.ts';
import type { SimFaults } from './sim-faults.ts';

export type SimTree = Map<string, number>;

interface SimWorkspace {
  live: SimTree;
  readonly snapshots: Map<SnapshotId, SimTree>;
  readonly pins: Set<SnapshotId>;
  swapped: string[];
  stamp: number;
}

export class SimBackend implements Backend {
  readonly properties: BackendProperties = {
    kind: 'memory',
    isAtomic: true,
    isConstantTime: true,
    canSwap: true,
    sharesBlocks: true,
  };
  readonly workspaces = new Map<WorkspaceId, SimWorkspace>();
  readonly #faults: SimFaults;
  readonly #pause: () => Promise<void>;

  /** @param pause resolves when the scheduler says so: where other work may come between. */
  constructor(faults: SimFaults, pause: () => Promise<void>) {
    this.#faults = faults;
    this.#pause = pause;
  }

  of(id: WorkspaceId): SimWorkspace {
    let workspace = this.workspaces.get(id);
    if (workspace === undefined) {
      workspace = { live: new Map(), snapshots: new Map(), pins: new Set(), swapped: [], stamp: 0 };
      this.workspaces.set(id, workspace);
    }
    return workspace;
  }

  async initWorkspace(ref: WorkspaceRef): Promise<void> {
    this.of(ref.id);
  }

  async recoverWorkspace(): Promise<void> {}

  async recreateWorkspace(): Promise<void> {}

  identify(ref: WorkspaceRef): WorkspaceIdentity {
    return { token: ref.id };
  }

  async createSnapshot(ref: WorkspaceRef, id: SnapshotId): Promise<CreateResult> {
    await this.#pause();
    return this.createSnapshotSync(ref, id);
  }

  createSnapshotSync(ref: WorkspaceRef, id: SnapshotId): CreateResult {
    this.#faults.step('create:before');
    const workspace = this.of(ref.id);
    if (workspace.snapshots.has(id)) throw new Error(`The id ${id} was used twice.`);
    workspace.snapshots.set(id, new Map(workspace.live));
    workspace.stamp += 1;
    this.#faults.step('create:after');
    return { uncovered: [] };
  }

  listSnapshots(ref: WorkspaceRef): readonly SnapshotOnDisk[] {
    const ids = [...this.of(ref.id).snapshots.keys()].sort();
    return ids.map((id) => ({ id, createdAtMs: ulidTimeMs(ulidOf(id)), isWhole: true }));
  }

  isLeftHalfWay(): boolean {
    return false;
  }

  snapshotsStamp(ref: WorkspaceRef): string {
    return String(this.of(ref.id).stamp);
  }

  async deleteSnapshots(ref: WorkspaceRef, ids: readonly SnapshotId[]): Promise<void> {
    await this.#pause();
    const workspace = this.of(ref.id);
    for (const id of ids) {
      this.#faults.step('delete:before');
      workspace.snapshots.delete(id);
      workspace.pins.delete(id);
      workspace.stamp += 1;
    }
  }

  setPinned(ref: WorkspaceRef, id: SnapshotId, pinned: 'pinned' | 'unpinned'): void {
    this.#faults.step('pin:before');
    if (pinned === 'pinned') this.of(ref.id).pins.add(id);
    else this.of(ref.id).pins.delete(id);
  }

  listPinned(ref: WorkspaceRef): readonly SnapshotId[] {
    return [...this.of(ref.id).pins].sort();
  }

  openTree(): Promise<TreeReader> {
    return Promise.reject(new Error('The simulated backend has no tree readers.'));
  }

  async *compare(
    ref: WorkspaceRef,
    from: TreeRef,
    to: TreeRef,
    options: CompareOptions = {},
  ): AsyncIterable<TreeChange> {
    await this.#pause();
    const a = this.tree(ref.id, from);
    const b = this.tree(ref.id, to);
    for (const path of changedPaths(a, b, options.paths)) {
      const kind = !a.has(path) ? 'added' : b.has(path) ? 'modified' : 'deleted';
      yield { path: path as RawPath, kind, from: null, to: null, fields: [] };
    }
  }

  async applyInPlace(
    ref: WorkspaceRef,
    target: SnapshotId,
    options: ApplyOptions = {},
  ): Promise<ApplyResult> {
    await this.#pause();
    const { live } = this.of(ref.id);
    const wanted = this.tree(ref.id, target);
    const paths = changedPaths(live, wanted, options.paths);
    for (const path of paths) {
      this.#faults.step('apply:path');
      const value = wanted.get(path);
      if (value === undefined) live.delete(path);
      else live.set(path, value);
      await this.#pause();
    }
    this.#faults.step('apply:after');
    return { changes: paths.length, notes: [] };
  }

  async extract(): Promise<ApplyResult> {
    return { changes: 0, notes: [] };
  }

  checkSwap(): { allowed: boolean; reason: string } {
    return { allowed: true, reason: 'nobody holds the tree' };
  }

  prepareSwap(_ref: WorkspaceRef, _target: SnapshotId, operation: string): string {
    return operation;
  }

  async swapIn(ref: WorkspaceRef, target: SnapshotId, token: string): Promise<void> {
    await this.#pause();
    this.#faults.step('swap:before');
    const workspace = this.of(ref.id);
    workspace.live = new Map(this.tree(ref.id, target));
    workspace.swapped.push(token);
    this.#faults.step('swap:after');
  }

  async finishSwap(
    ref: WorkspaceRef,
    _target: SnapshotId,
    token: string,
  ): Promise<'done' | 'undone'> {
    await this.#pause();
    this.#faults.step('finish-swap');
    return this.of(ref.id).swapped.includes(token) ? 'done' : 'undone';
  }

  async removeReplaced(ref: WorkspaceRef): Promise<number> {
    const count = this.of(ref.id).swapped.length;
    this.of(ref.id).swapped = [];
    return count;
  }

  async listUncovered(): Promise<readonly UncoveredPath[]> {
    return [];
  }

  async releaseWorkspace(ref: WorkspaceRef): Promise<void> {
    await this.#pause();
    this.of(ref.id).snapshots.clear();
  }

  space(): { totalBytes: number; freeBytes: number } {
    return { totalBytes: 1, freeBytes: 1 };
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  tree(id: WorkspaceId, ref: TreeRef): SimTree {
    const workspace = this.of(id);
    const tree = ref === 'live' ? workspace.live : workspace.snapshots.get(ref);
    if (tree !== undefined) return tree;
    throw new GhostsnapError('SNAPSHOT_NOT_FOUND', `There is no snapshot ${ref} on disk.`);
  }
}

export function changedPaths(a: SimTree, b: SimTree, within?: readonly RawPath[]): string[] {
  const paths = new Set([...a.keys(), ...b.keys()]);
  return [...paths]
    .filter((path) => a.get(path) !== b.get(path))
    .filter((path) => within === undefined || within.some((top) => isWithin(path as RawPath, top)))
    .sort();
}
