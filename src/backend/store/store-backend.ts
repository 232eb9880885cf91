/**
 * The store: snapshots as a manifest and content-addressed objects, on any filesystem, in place.
 *
 * Nothing is asked of the filesystem but renames and fsync; where it offers reflinks, content is shared
 * instead of copied. The workspace is never converted and never locked out. The formats are described
 * at the top of manifest.ts, directory-object.ts, object-files.ts, blob-file.ts and stat-index.ts.
 *
 * A snapshot is not one instant of the tree: files that change while they are read are read again, but
 * a file that is moved during the walk, from where it was not looked yet to where it was, can be missed;
 * the next snapshot has it.
 */
import { closeSync, fsyncSync, openSync, statfsSync } from 'node:fs';
import { GhostsnapError } from '../../core/errors.ts';
import { isSnapshotId, type SnapshotId, type WorkspaceId } from '../../core/ids.ts';
import { rawFromText } from '../../core/raw-path.ts';
import type { Backend, BackendProperties, WorkOptions, WorkspaceRef } from '../backend.ts';
import { openDirectoryTree } from '../directory-tree.ts';
import { isThere } from '../is-there.ts';
import { sayStep } from '../labelled-step.ts';
import { listUncovered } from '../list-uncovered.ts';
import { toGhostsnapError } from '../syscall-failure.ts';
import { extractTree } from '../tree-extract.ts';
import { cloneStoreWorkspace, removeStoreWorkspace } from './clone-workspace.ts';
import { makeDirectoryDurably, removeFile, syncDirectory } from './durable-file.ts';
import { LiveState } from './live-state.ts';
import { haveSameRoot } from './manifest.ts';
import { listManifests, manifestsStamp, namesIn, readManifest } from './manifest-files.ts';
import { makeScratchCopy, removeScratchCopy } from './scratch.ts';
import { workspacePaths } from './store-layout.ts';
import {
  deleteStoreSnapshots,
  initStoreWorkspace,
  rebindStoreWorkspace,
  recoverStoreWorkspace,
  recreateStoreWorkspace,
  releaseStoreWorkspace,
} from './store-workspace.ts';
import { type SnapshotRequest, takeSnapshot, takeSnapshotSync } from './take-snapshot.ts';
import {
  applyInPlace,
  applyPlannedInStore,
  compareStoreTrees,
  openManifestTree,
  openStoreTree,
} from './turn-live.ts';
import { verifySnapshots } from './verify-snapshots.ts';
import { requireWorkspace } from './workspace-record.ts';

export interface StoreBackendOptions {
  /** 'on': keep the set of changed directories from file events between snapshots. Default 'off'. */
  readonly watch?: 'on' | 'off';
  /** Milliseconds since the epoch, of the clock that stamps the workspace's files. */
  readonly nowMs?: () => number;
  /** Called at labelled steps of snapshots and deletions; tests kill the process there. */
  readonly onStep?: (label: string) => void;
}

/** Labels of `onStep` besides those of init and release. */
export const SNAPSHOT_STEPS = [
  'snapshot:scanned',
  'snapshot:objects-durable',
  'snapshot:published',
] as const;
export const DELETE_STEPS = [
  'delete:before-manifest',
  'delete:manifests-moved',
  'delete:before-objects',
  'delete:first-object',
  'delete:swept',
] as const;

const PROPERTIES: BackendProperties = {
  kind: 'store',
  isAtomic: false,
  isConstantTime: false,
  canSwap: false,
  sharesBlocks: false,
  canGiveOwners: process.geteuid?.() === 0,
};

const NO_SWAP = 'the store rolls back in place only';

export function createStoreBackend(options: StoreBackendOptions = {}): Backend {
  const onStep = options.onStep ?? sayStep;
  const states = new LiveStates(options.watch ?? 'off');
  const request = (ref: WorkspaceRef, id: SnapshotId): SnapshotRequest => {
    return { ref, id, state: states.of(ref), nowMs: options.nowMs ?? Date.now, onStep };
  };
  return {
    properties: PROPERTIES,
    // A scan of the dirty set is all that a snapshot costs here; nothing is kept ready.
    arming: null,

    initWorkspace: (ref, work) => initStoreWorkspace(ref, work.onStep ?? onStep),
    cloneWorkspace: (ref, from, work = {}) =>
      cloneStoreWorkspace(from, ref, { ...work, onStep: work.onStep ?? onStep }),
    recoverWorkspace: (ref) => recoverStoreWorkspace(ref),
    isLeftHalfWay: (ref) => isThere(workspacePaths(ref.poolRoot, ref.id).openedModes),
    recreateWorkspace: async (ref, target) => recreateStoreWorkspace(ref, target),
    identify: (ref) => ({ token: requireWorkspace(ref).anchor }),

    showAgain: () => false,
    rebindWorkspace: (ref) => rebindStoreWorkspace(ref),
    // A release touches nothing at the path either.
    abandonWorkspace: async (ref, work = {}) => {
      states.drop(ref.id);
      await releaseStoreWorkspace(ref, work.onStep ?? onStep);
    },

    createSnapshot: (ref, id, work: WorkOptions = {}) => takeSnapshot(request(ref, id), work),
    createSnapshotSync: (ref, id) => takeSnapshotSync(request(ref, id)),

    listSnapshots: (ref) => listManifests(ref),
    snapshotsStamp: (ref) => manifestsStamp(workspacePaths(ref.poolRoot, ref.id)),

    deleteSnapshots: (ref, ids, work?: WorkOptions & { onStep?: (label: string) => void }) =>
      deleteStoreSnapshots(ref, ids, work?.onStep ?? onStep),

    setPinned,
    listPinned: (ref) =>
      namesIn(workspacePaths(ref.poolRoot, ref.id).pins).filter(isSnapshotId).sort(),

    openTree: async (ref, tree) => openStoreTree(ref, tree),
    compare: (ref, from, to, work = {}) =>
      compareStoreTrees(ref, states.of(ref), { from, to }, work),
    areProvenSame: (ref, a, b) => haveSameRoot(readManifest(ref, a), readManifest(ref, b)),
    applyInPlace: (ref, target, work = {}) => applyInPlace(ref, states.of(ref), target, work),

    applyPlanned: (ref, snapshot, planned, work = {}) =>
      applyPlannedInStore(ref, snapshot, planned, work),

    async extract(ref, target, paths, toDirectory, work = {}) {
      using source = openManifestTree(ref, target);
      return await extractTree({ source, paths, toDirectory, ...work });
    },

    makeScratch: (ref, target, work = {}) => makeScratchCopy(ref, target, work),
    removeScratch: (ref) => removeScratchCopy(ref),

    checkSwap: () => ({ allowed: false, reason: NO_SWAP }),
    prepareSwap: () => {
      throw noSwap();
    },
    swapIn: async () => {
      throw noSwap();
    },
    finishSwap: async () => {
      throw noSwap();
    },
    removeReplaced: async () => 0,

    async listUncovered(ref, work = {}) {
      requireWorkspace(ref);
      using live = openDirectoryTree(ref.path, 'live');
      return await listUncovered(live, work);
    },

    async releaseWorkspace(ref, work) {
      states.drop(ref.id);
      await releaseStoreWorkspace(ref, work.onStep ?? onStep);
    },

    assertRemovable: (ref) => void requireWorkspace(ref),
    async removeWorkspace(ref, work = {}) {
      states.drop(ref.id);
      await removeStoreWorkspace(ref, work.onStep ?? onStep);
    },

    verifySnapshots: (ref, work = {}) => verifySnapshots(ref, work),

    space: spaceOf,

    async [Symbol.asyncDispose]() {
      states[Symbol.dispose]();
    },
  };
}

/** One state a workspace while watching; without watching nothing is kept between two calls. */
class LiveStates implements Disposable {
  readonly #watch: 'on' | 'off';
  readonly #states = new Map<
    WorkspaceId,
    { readonly ref: WorkspaceRef; readonly state: LiveState }
  >();

  constructor(watch: 'on' | 'off') {
    this.#watch = watch;
  }

  of(ref: WorkspaceRef): LiveState {
    if (this.#watch === 'off') return new LiveState(ref, 'off');
    const known = this.#states.get(ref.id);
    // The same workspace at another path, or in another pool: what was watched is elsewhere.
    const isSame = known?.ref.path === ref.path && known.ref.poolRoot === ref.poolRoot;
    if (known !== undefined && isSame) return known.state;
    this.drop(ref.id);
    const state = new LiveState(ref, 'on');
    this.#states.set(ref.id, { ref, state });
    return state;
  }

  drop(id: WorkspaceId): void {
    this.#states.get(id)?.state[Symbol.dispose]();
    this.#states.delete(id);
  }

  [Symbol.dispose](): void {
    for (const id of this.#states.keys()) this.drop(id);
  }
}

/** Durable on return, and idempotent. */
function setPinned(ref: WorkspaceRef, id: SnapshotId, pinned: 'pinned' | 'unpinned'): void {
  const { pins } = workspacePaths(ref.poolRoot, ref.id);
  const path = `${pins}/${id}`;
  try {
    if (pinned === 'unpinned') {
      if (removeFile(path)) syncDirectory(pins);
      sayStep('pin:taken-away');
      return;
    }
    makeDirectoryDurably(pins);
    const fd = openSync(path, 'a', 0o600);
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    syncDirectory(pins);
    sayStep('pin:set');
  } catch (error) {
    throw toGhostsnapError(error, { what: 'Pinning', path: rawFromText(path) });
  }
}

function spaceOf(poolRoot: string): { readonly totalBytes: number; readonly freeBytes: number } {
  try {
    const { blocks, bavail, bsize } = statfsSync(poolRoot);
    return { totalBytes: blocks * bsize, freeBytes: bavail * bsize };
  } catch (error) {
    throw toGhostsnapError(error, { what: 'Measuring the pool', path: rawFromText(poolRoot) });
  }
}

function noSwap(): GhostsnapError {
  return new GhostsnapError('UNSUPPORTED_MODE', 'The store cannot swap a workspace.', {
    hint: 'Roll back in place ("--mode in-place").',
  });
}
