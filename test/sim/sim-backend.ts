/**
 * A disk in memory that behaves as a backend must, and fails where a disk fails.
 *
 * The disk is shared; a backend is one process's view of it. Turning a tree in place changes one file
 * at a time, each a step where the process may die, so that half-turned trees are ordinary here. The disk
 * itself refuses what must never be: a change by somebody without the lock, an id that is not greater
 * than every one before it.
 */
import { strict as assert } from 'node:assert';
import type {
  ApplyOptions,
  ApplyResult,
  Arming,
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
import type { TreeChange } from '../../src/core/tree-change.ts';
import type { TreeEntry } from '../../src/core/tree-entry.ts';
import type { SimHost } from './sim-process.ts';
import {
  changedFiles,
  contentOf,
  EMPTY_TREE,
  FILES,
  pathOf,
  type SimTree,
  withContent,
} from './sim-tree.ts';

export interface SimVolume {
  live: SimTree;
  readonly snapshots: Map<SnapshotId, SimTree>;
  /** Taken early, adopted by nobody yet. */
  readonly armed: Map<SnapshotId, SimTree>;
  readonly pins: Set<SnapshotId>;
  /** Tokens of exchanges that happened, until their old trees are removed. */
  swapped: string[];
  /** Changes whenever the set of snapshots does. */
  stamp: number;
  /** The greatest id that ever was, '' at first. */
  greatestId: SnapshotId | '';
}

export class SimDisk {
  readonly #volumes = new Map<WorkspaceId, SimVolume>();

  volume(id: WorkspaceId): SimVolume {
    let volume = this.#volumes.get(id);
    if (volume === undefined) {
      volume = {
        ...{
          live: EMPTY_TREE,
          snapshots: new Map(),
          armed: new Map(),
          pins: new Set(),
          swapped: [],
        },
        ...{ stamp: 0, greatestId: '' },
      };
      this.#volumes.set(id, volume);
    }
    return volume;
  }

  /** @throws GhostsnapError SNAPSHOT_NOT_FOUND */
  tree(id: WorkspaceId, ref: TreeRef): SimTree {
    const { live, snapshots } = this.volume(id);
    const tree = ref === 'live' ? live : snapshots.get(ref);
    if (tree !== undefined) return tree;
    throw new GhostsnapError('SNAPSHOT_NOT_FOUND', `There is no snapshot ${ref} on disk.`);
  }
}

export class SimBackend implements Backend {
  readonly properties: BackendProperties = {
    kind: 'memory',
    isAtomic: true,
    isConstantTime: true,
    canSwap: true,
    sharesBlocks: true,
    canGiveOwners: true,
  };
  readonly arming: Arming = {
    refusal: () => null,
    arm: async (ref, id) => {
      await this.#host.pause();
      this.#host.stepAlone(ref.id, 'arm:before');
      const volume = this.#disk.volume(ref.id);
      assert.equal(volume.armed.size, 0, 'at most one snapshot is armed');
      assert.ok(id > volume.greatestId, `ids are ordered: ${id} comes after ${volume.greatestId}`);
      volume.greatestId = id;
      volume.armed.set(id, volume.live);
      volume.stamp += 1;
      this.#host.step('arm:after');
    },
    check: (ref, id) => {
      const { armed, live } = this.#disk.volume(ref.id);
      return armed.get(id) === live ? 'same' : 'changed';
    },
    adopt: (ref, id) => {
      this.#host.stepAlone(ref.id, 'adopt:before');
      const volume = this.#disk.volume(ref.id);
      const tree = volume.armed.get(id);
      if (tree === undefined) return;
      assert.equal(id, volume.greatestId, 'what is adopted is the newest');
      volume.armed.delete(id);
      volume.snapshots.set(id, tree);
      volume.stamp += 1;
      this.#host.step('adopt:after');
    },
    drop: (ref, id) => {
      this.#host.stepAlone(ref.id, 'disarm:before');
      const volume = this.#disk.volume(ref.id);
      if (volume.armed.delete(id)) volume.stamp += 1;
      this.#host.step('disarm:after');
    },
    list: (ref) => [...this.#disk.volume(ref.id).armed.keys()].sort(),
  };
  readonly #disk: SimDisk;
  readonly #host: SimHost;

  constructor(disk: SimDisk, host: SimHost) {
    this.#disk = disk;
    this.#host = host;
  }

  async initWorkspace(): Promise<void> {}

  async cloneWorkspace(): Promise<void> {}

  assertRemovable(): void {
    // Nothing of anybody else's is ever in the model's tree.
  }

  removeWorkspace(): Promise<void> {
    return this.releaseWorkspace();
  }

  async recoverWorkspace(): Promise<void> {}

  async recreateWorkspace(): Promise<void> {}

  identify(ref: WorkspaceRef): WorkspaceIdentity {
    return { token: ref.id };
  }

  rebindWorkspace(): void {
    // The model's tree has no path that could change.
  }

  abandonWorkspace(): Promise<void> {
    return this.releaseWorkspace();
  }

  async createSnapshot(ref: WorkspaceRef, id: SnapshotId): Promise<CreateResult> {
    await this.#host.pause();
    return this.createSnapshotSync(ref, id);
  }

  createSnapshotSync(ref: WorkspaceRef, id: SnapshotId): CreateResult {
    this.#host.stepAlone(ref.id, 'create:before');
    const volume = this.#disk.volume(ref.id);
    assert.ok(id > volume.greatestId, `ids are ordered: ${id} comes after ${volume.greatestId}`);
    volume.greatestId = id;
    const before = this.snapshotsStamp(ref);
    volume.snapshots.set(id, volume.live);
    volume.stamp += 1;
    const stamps = { before, after: this.snapshotsStamp(ref) };
    this.#host.step('create:after');
    return { uncovered: [], stamps };
  }

  listSnapshots(ref: WorkspaceRef): readonly SnapshotOnDisk[] {
    const ids = [...this.#disk.volume(ref.id).snapshots.keys()].sort();
    return ids.map((id) => ({ id, createdAtMs: ulidTimeMs(ulidOf(id)), isWhole: true }));
  }

  isLeftHalfWay(): boolean {
    return false;
  }

  showAgain(): boolean {
    return false;
  }

  snapshotsStamp(ref: WorkspaceRef): string {
    return String(this.#disk.volume(ref.id).stamp);
  }

  async deleteSnapshots(ref: WorkspaceRef, ids: readonly SnapshotId[]): Promise<void> {
    await this.#host.pause();
    const volume = this.#disk.volume(ref.id);
    for (const id of ids) {
      this.#host.stepAlone(ref.id, 'delete:before');
      volume.snapshots.delete(id);
      volume.pins.delete(id);
      volume.stamp += 1;
    }
  }

  setPinned(ref: WorkspaceRef, id: SnapshotId, pinned: 'pinned' | 'unpinned'): void {
    this.#host.stepAlone(ref.id, 'pin:before');
    const { pins } = this.#disk.volume(ref.id);
    if (pinned === 'pinned') pins.add(id);
    else pins.delete(id);
  }

  listPinned(ref: WorkspaceRef): readonly SnapshotId[] {
    return [...this.#disk.volume(ref.id).pins].sort();
  }

  async openTree(ref: WorkspaceRef, tree: TreeRef): Promise<TreeReader> {
    await this.#host.pause();
    const content = this.#disk.tree(ref.id, tree);
    const files = new Map(Array.from({ length: FILES }, (_, file) => [pathOf(file), file]));
    const lookup = (path: RawPath): TreeEntry | null => {
      const file = files.get(path);
      return file === undefined || contentOf(content, file) === 0 ? null : ENTRY;
    };
    return { ref: tree, lookup, ...UNREADABLE, [Symbol.dispose]() {} };
  }

  applyPlanned(): Promise<ApplyResult> {
    return Promise.reject(new Error('The simulated backend merges nothing.'));
  }

  async *compare(
    ref: WorkspaceRef,
    from: TreeRef,
    to: TreeRef,
    options: CompareOptions = {},
  ): AsyncIterable<TreeChange> {
    await this.#host.pause();
    const a = this.#disk.tree(ref.id, from);
    const b = this.#disk.tree(ref.id, to);
    for (const file of changedFiles(a, b, options.paths)) {
      const isNew = contentOf(a, file) === 0;
      const kind = isNew ? 'added' : contentOf(b, file) === 0 ? 'deleted' : 'modified';
      yield { path: pathOf(file), kind, from: null, to: null, fields: [] };
    }
  }

  areProvenSame(ref: WorkspaceRef, a: SnapshotId, b: SnapshotId): boolean {
    return this.#disk.tree(ref.id, a) === this.#disk.tree(ref.id, b);
  }

  async applyInPlace(
    ref: WorkspaceRef,
    target: SnapshotId,
    options: ApplyOptions = {},
  ): Promise<ApplyResult> {
    await this.#host.pause();
    const volume = this.#disk.volume(ref.id);
    const wanted = this.#disk.tree(ref.id, target);
    const files = changedFiles(volume.live, wanted, options.paths);
    for (const file of files) {
      this.#host.stepAlone(ref.id, 'apply:file');
      volume.live = withContent(volume.live, file, contentOf(wanted, file));
      await this.#host.pause();
    }
    this.#host.step('apply:after');
    return { changes: files.length, notes: [] };
  }

  async extract(): Promise<ApplyResult> {
    return { changes: 0, notes: [] };
  }

  async makeScratch(ref: WorkspaceRef): Promise<string> {
    return `${ref.path}.scratch`;
  }

  async removeScratch(): Promise<void> {}

  checkSwap(): { allowed: boolean; reason: string } {
    return { allowed: true, reason: 'nobody holds the tree' };
  }

  prepareSwap(_ref: WorkspaceRef, _target: SnapshotId, operation: string): string {
    return operation;
  }

  async swapIn(ref: WorkspaceRef, target: SnapshotId, token: string): Promise<void> {
    await this.#host.pause();
    this.#host.stepAlone(ref.id, 'swap:before');
    const volume = this.#disk.volume(ref.id);
    volume.live = this.#disk.tree(ref.id, target);
    volume.swapped.push(token);
    this.#host.step('swap:after');
  }

  async finishSwap(
    ref: WorkspaceRef,
    _target: SnapshotId,
    token: string,
  ): Promise<'done' | 'undone'> {
    await this.#host.pause();
    this.#host.stepAlone(ref.id, 'finish-swap');
    return this.#disk.volume(ref.id).swapped.includes(token) ? 'done' : 'undone';
  }

  async removeReplaced(ref: WorkspaceRef): Promise<number> {
    this.#host.stepAlone(ref.id, 'remove-replaced');
    const volume = this.#disk.volume(ref.id);
    const count = volume.swapped.length;
    volume.swapped = [];
    return count;
  }

  async listUncovered(): Promise<readonly UncoveredPath[]> {
    return [];
  }

  async releaseWorkspace(): Promise<void> {
    return notSimulated();
  }

  async verifySnapshots(): Promise<null> {
    return null;
  }

  space(): { totalBytes: number; freeBytes: number } {
    return { totalBytes: 1, freeBytes: 1 };
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** All that the engine asks of an entry is whether it is there. */
const ENTRY = { type: 'file' } as TreeEntry;

const UNREADABLE = {
  root: notSimulated,
  readDirectory: notSimulated,
  readLink: notSimulated,
  readXattrs: notSimulated,
  readFile: notSimulated,
  copyFileTo: notSimulated,
};

function notSimulated(): never {
  throw new Error('This is not simulated.');
}
