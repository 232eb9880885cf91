/**
 * The reference backend: the whole contract of src/backend/backend.ts over model trees in memory.
 *
 * It is what the other backends are compared with, so it is plain and obviously right rather than
 * fast. Directories are keys of `directories`: a workspace's path, a place to extract to.
 */
import { writeSync } from 'node:fs';
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
import type { Steps } from '../../src/backend/steps.ts';
import { GhostsnapError } from '../../src/core/errors.ts';
import { type SnapshotId, ulidOf, ulidTimeMs, type WorkspaceId } from '../../src/core/ids.ts';
import { baseOf, joinRaw, parentOf, type RawPath } from '../../src/core/raw-path.ts';
import type { TreeChange } from '../../src/core/tree-change.ts';
import { compareModels, entryOf } from './model-compare.ts';
import {
  cloneTree,
  findNode,
  type ModelNode,
  type ModelTree,
  makeTree,
  nodeAt,
  putNode,
  removeNode,
  sortedNames,
} from './model-tree.ts';

interface Kept {
  readonly snapshots: Map<SnapshotId, ModelTree>;
  readonly armed: Map<SnapshotId, ModelTree>;
  readonly pins: Set<SnapshotId>;
  readonly replaced: ModelTree[];
  /** Tokens of swaps that have exchanged. */
  readonly swapped: Set<string>;
  stamp: number;
}

export class MemoryBackend implements Backend {
  readonly properties: BackendProperties = {
    kind: 'memory',
    isAtomic: true,
    isConstantTime: false,
    canSwap: true,
    sharesBlocks: false,
    canGiveOwners: true,
  };
  /** Same means equal here: the model looks at everything. */
  readonly arming: Arming = {
    refusal: () => null,
    arm: async (ref, id) => {
      this.#keptOf(ref).armed.set(id, cloneTree(this.live(ref)));
    },
    check: (ref, id) => {
      const armed = this.#keptOf(ref).armed.get(id);
      if (armed === undefined) return 'changed';
      const [change] = compareModels(this.live(ref), armed, {});
      return change === undefined ? 'same' : 'changed';
    },
    adopt: (ref, id) => {
      const { armed, snapshots } = this.#keptOf(ref);
      const tree = armed.get(id);
      if (tree === undefined) return;
      armed.delete(id);
      snapshots.set(id, tree);
      this.#keptOf(ref).stamp += 1;
    },
    drop: (ref, id) => {
      this.#keptOf(ref).armed.delete(id);
    },
    list: (ref) => [...this.#keptOf(ref).armed.keys()].sort(),
  };
  /** The "disk": what is at each directory path. */
  readonly directories = new Map<string, ModelTree>();
  readonly #kept = new Map<WorkspaceId, Kept>();

  live(ref: WorkspaceRef): ModelTree {
    const tree = this.directories.get(ref.path);
    if (tree !== undefined) return tree;
    throw new GhostsnapError('WORKSPACE_GONE', `Nothing is at ${ref.path} any more.`);
  }

  async initWorkspace(ref: WorkspaceRef): Promise<void> {
    this.live(ref);
    this.#keptOf(ref);
  }

  async cloneWorkspace(
    ref: WorkspaceRef,
    from: { readonly ref: WorkspaceRef; readonly snapshot: SnapshotId },
  ): Promise<void> {
    const tree = cloneTree(this.#tree(from.ref, from.snapshot));
    if (this.directories.has(ref.path)) {
      throw new GhostsnapError('TARGET_EXISTS', `Something stands at ${ref.path}`);
    }
    this.directories.set(ref.path, { root: { ...tree.root, ino: makeTree().root.ino } });
    this.#keptOf(ref);
  }

  assertRemovable(ref: WorkspaceRef): void {
    this.live(ref);
  }

  async removeWorkspace(ref: WorkspaceRef): Promise<void> {
    this.directories.delete(ref.path);
    this.#kept.delete(ref.id);
  }

  async recoverWorkspace(): Promise<void> {
    // Nothing in memory survives a crash, so there is nothing half-way.
  }

  /** The model's tree cannot be removed from outside: something always stands at the path. */
  recreateWorkspace(ref: WorkspaceRef): Promise<void> {
    return Promise.reject(
      new GhostsnapError('WORKSPACE_REPLACED', `Something stands at ${ref.path}`),
    );
  }

  identify(ref: WorkspaceRef): WorkspaceIdentity {
    return { token: `root ${this.live(ref).root.ino}` };
  }

  rebindWorkspace(ref: WorkspaceRef): void {
    this.live(ref);
  }

  abandonWorkspace(ref: WorkspaceRef): Promise<void> {
    return this.releaseWorkspace(ref);
  }

  async createSnapshot(ref: WorkspaceRef, id: SnapshotId): Promise<CreateResult> {
    return this.createSnapshotSync(ref, id);
  }

  createSnapshotSync(ref: WorkspaceRef, id: SnapshotId): CreateResult {
    const kept = this.#keptOf(ref);
    if (kept.snapshots.has(id)) {
      throw new GhostsnapError('CAPTURE_FAILED', `The snapshot ${id} exists already.`);
    }
    const before = this.snapshotsStamp(ref);
    kept.snapshots.set(id, cloneTree(this.live(ref)));
    kept.stamp += 1;
    return { uncovered: [], stamps: { before, after: this.snapshotsStamp(ref) } };
  }

  listSnapshots(ref: WorkspaceRef): readonly SnapshotOnDisk[] {
    return [...this.#keptOf(ref).snapshots.keys()]
      .sort()
      .map((id) => ({ id, createdAtMs: ulidTimeMs(ulidOf(id)), isWhole: true }));
  }

  isLeftHalfWay(): boolean {
    return false;
  }

  showAgain(): boolean {
    return false;
  }

  snapshotsStamp(ref: WorkspaceRef): string {
    return String(this.#keptOf(ref).stamp);
  }

  async deleteSnapshots(ref: WorkspaceRef, ids: readonly SnapshotId[]): Promise<void> {
    const kept = this.#keptOf(ref);
    for (const id of ids) {
      if (kept.snapshots.delete(id)) kept.stamp += 1;
      kept.pins.delete(id);
    }
  }

  setPinned(ref: WorkspaceRef, id: SnapshotId, pinned: 'pinned' | 'unpinned'): void {
    if (pinned === 'pinned') this.#keptOf(ref).pins.add(id);
    else this.#keptOf(ref).pins.delete(id);
  }

  listPinned(ref: WorkspaceRef): readonly SnapshotId[] {
    return [...this.#keptOf(ref).pins].sort();
  }

  async openTree(ref: WorkspaceRef, tree: TreeRef): Promise<TreeReader> {
    return new ModelReader(tree, this.#tree(ref, tree));
  }

  async *compare(
    ref: WorkspaceRef,
    from: TreeRef,
    to: TreeRef,
    options: CompareOptions = {},
  ): AsyncIterable<TreeChange> {
    yield* compareModels(this.#tree(ref, from), this.#tree(ref, to), options);
  }

  areProvenSame(ref: WorkspaceRef, a: SnapshotId, b: SnapshotId): boolean {
    const [change] = compareModels(this.#tree(ref, a), this.#tree(ref, b), {});
    return change === undefined;
  }

  async applyInPlace(
    ref: WorkspaceRef,
    target: SnapshotId,
    options: ApplyOptions = {},
  ): Promise<ApplyResult> {
    if (options.signal?.aborted === true) {
      throw new GhostsnapError('INTERRUPTED', 'Turning the tree was interrupted.');
    }
    const live = this.live(ref);
    const source = cloneTree(this.#tree(ref, target));
    const changes = compareModels(live, source, options);
    if (options.paths === undefined) {
      this.directories.set(ref.path, { root: { ...source.root, ino: live.root.ino } });
    } else {
      for (const path of options.paths) copyPath(source, live, path);
    }
    return { changes: changes.length, notes: [] };
  }

  applyPlanned(): Promise<ApplyResult> {
    return Promise.reject(new Error('The model merges nothing.'));
  }

  async extract(
    ref: WorkspaceRef,
    target: SnapshotId,
    paths: readonly RawPath[],
    toDirectory: string,
  ): Promise<ApplyResult> {
    const source = cloneTree(this.#tree(ref, target));
    const to = this.directories.get(toDirectory) ?? makeTree();
    for (const path of paths) {
      if (findNode(source, path) === null) throw notInSnapshot(path, target);
      if (findNode(to, path) !== null) {
        throw new GhostsnapError('TARGET_EXISTS', `Something is at ${path} already.`);
      }
    }
    for (const path of paths) copyPath(source, to, path);
    this.directories.set(toDirectory, to);
    return { changes: paths.length, notes: [] };
  }

  async makeScratch(ref: WorkspaceRef, target: SnapshotId): Promise<string> {
    const path = scratchPath(ref);
    this.directories.set(path, cloneTree(this.#tree(ref, target)));
    return path;
  }

  async removeScratch(ref: WorkspaceRef): Promise<void> {
    this.directories.delete(scratchPath(ref));
  }

  checkSwap(): { readonly allowed: boolean; readonly reason: string } {
    return { allowed: true, reason: 'nobody holds a model' };
  }

  prepareSwap(_ref: WorkspaceRef, target: SnapshotId, operation: string): string {
    return `${operation} ${target}`;
  }

  async swapIn(ref: WorkspaceRef, target: SnapshotId, token: string): Promise<void> {
    const clone = cloneTree(this.#tree(ref, target));
    const kept = this.#keptOf(ref);
    kept.replaced.push(this.live(ref));
    kept.swapped.add(token);
    this.directories.set(ref.path, clone);
  }

  async finishSwap(
    ref: WorkspaceRef,
    _target: SnapshotId,
    token: string,
  ): Promise<'done' | 'undone'> {
    return this.#keptOf(ref).swapped.has(token) ? 'done' : 'undone';
  }

  async removeReplaced(ref: WorkspaceRef): Promise<number> {
    return this.#keptOf(ref).replaced.splice(0).length;
  }

  async listUncovered(): Promise<readonly UncoveredPath[]> {
    return [];
  }

  async releaseWorkspace(ref: WorkspaceRef): Promise<void> {
    this.directories.delete(scratchPath(ref));
    this.#kept.delete(ref.id);
  }

  async verifySnapshots(): Promise<null> {
    return null;
  }

  space(): { readonly totalBytes: number; readonly freeBytes: number } {
    return { totalBytes: 2 ** 40, freeBytes: 2 ** 39 };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#kept.clear();
  }

  #keptOf(ref: WorkspaceRef): Kept {
    let kept = this.#kept.get(ref.id);
    if (kept === undefined) {
      kept = {
        snapshots: new Map(),
        armed: new Map(),
        pins: new Set(),
        replaced: [],
        swapped: new Set(),
        stamp: 0,
      };
      this.#kept.set(ref.id, kept);
    }
    return kept;
  }

  #tree(ref: WorkspaceRef, tree: TreeRef): ModelTree {
    if (tree === 'live') return this.live(ref);
    const found = this.#keptOf(ref).snapshots.get(tree);
    if (found !== undefined) return found;
    throw new GhostsnapError('SNAPSHOT_NOT_FOUND', `There is no snapshot ${tree} on disk.`);
  }
}

/** Makes `path` in `to` what it is in `from`, parents included, absent when it is absent there. */
export function copyPath(from: ModelTree, to: ModelTree, path: RawPath): void {
  const node = findNode(from, path);
  if (node === null) {
    if (findNode(to, path) !== null) removeNode(to, path);
    return;
  }
  const parents: RawPath[] = [];
  for (let parent = parentOf(path); parent !== ''; parent = parentOf(parent)) parents.push(parent);
  for (const parent of parents.reverse()) {
    if (findNode(to, parent)?.type === 'dir') continue;
    putNode(to, parent, { ...nodeAt(from, parent), entries: new Map() });
  }
  putNode(to, path, node);
}

function scratchPath(ref: WorkspaceRef): string {
  return `${ref.poolRoot}/scratch-of-${ref.id}`;
}

function notInSnapshot(path: RawPath, target: SnapshotId): GhostsnapError {
  return new GhostsnapError('PATH_NOT_IN_SNAPSHOT', `The snapshot ${target} has no ${path} in it.`);
}

class ModelReader implements TreeReader {
  readonly ref: TreeRef;
  readonly #tree: ModelTree;

  constructor(ref: TreeRef, tree: ModelTree) {
    this.ref = ref;
    this.#tree = tree;
  }

  root(): ReturnType<TreeReader['root']> {
    return entryOf(this.#tree, '' as RawPath, this.#tree.root);
  }

  readDirectory(path: RawPath): ReturnType<TreeReader['readDirectory']> {
    const node = nodeAt(this.#tree, path);
    return sortedNames(node).map((name) => {
      const child = joinRaw(path, name);
      return entryOf(this.#tree, child, nodeAt(this.#tree, child));
    });
  }

  lookup(path: RawPath): ReturnType<TreeReader['lookup']> {
    const node = findNode(this.#tree, path);
    return node === null ? null : { ...entryOf(this.#tree, path, node), name: baseOf(path) };
  }

  readLink(path: RawPath): string {
    return nodeAt(this.#tree, path).target;
  }

  readXattrs(path: RawPath): ReturnType<TreeReader['readXattrs']> {
    return [...this.#node(path).xattrs].sort().map(([name, value]) => ({ name, value }));
  }

  readFile(path: RawPath, offset: number, length: number): Uint8Array {
    return this.#node(path).content.subarray(offset, offset + length);
  }

  *copyFileTo(path: RawPath, toFd: number): Steps<void> {
    writeSync(toFd, this.#node(path).content);
    yield;
  }

  [Symbol.dispose](): void {
    // Nothing is held open.
  }

  #node(path: RawPath): ModelNode {
    return nodeAt(this.#tree, path);
  }
}
