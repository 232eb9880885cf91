/**
 * The btrfs backend: a workspace is a subvolume, a snapshot a read-only subvolume.
 *
 * This file only puts the parts together; each part explains itself. On disk, below the pool's root:
 *
 *   .ghostsnap/<workspace id>/            one directory a workspace, so that they do not wait for
 *                                         each other on its lock
 *     workspace.json                      workspace-record.ts
 *     ghost_<ulid>                        snapshots
 *     pins/<id>                           empty files
 *     clone_*, compare_*, doomed_*        working names, swept by recovery
 *     replaced_*                          old trees of swaps
 *     scratch                             scratch.ts
 *   work/<workspace id>                   trees that were moved into the pool
 */
import { statfsSync } from 'node:fs';
import type { SnapshotId } from '../../core/ids.ts';
import { rawFromText } from '../../core/raw-path.ts';
import type {
  ApplyOptions,
  Backend,
  BackendProperties,
  CompareOptions,
  CreateResult,
  DeleteOptions,
  UncoveredPath,
  WorkOptions,
  WorkspaceIdentity,
  WorkspaceRef,
} from '../backend.ts';
import { listUncovered } from '../list-uncovered.ts';
import { toGhostsnapError } from '../syscall-failure.ts';
import { closeFd } from '../syscalls-linux.ts';
import { extractTree } from '../tree-extract.ts';
import { armingOf } from './arming.ts';
import { CLONE_STEPS, cloneOnDisk } from './clone-workspace.ts';
import { DELETE_STEPS, deleteSnapshotsOnDisk, type StepHook } from './delete-snapshots.ts';
import { showAgain } from './emptied-place.ts';
import {
  applyPlannedToLive,
  applySnapshotInPlace,
  compareWorkspaceTrees,
  openWorkspaceTree,
} from './going-back.ts';
import { INIT_STEPS, initWorkspaceOnDisk } from './init-workspace.ts';
import { MOVE_STEPS, moveTreeIntoPool } from './move-into-pool.ts';
import { moveTreeOutOfPool } from './move-out-of-pool.ts';
import { assertPoolFits, assertPoolIsBtrfs, makeGhostDirectory } from './pool-directory.ts';
import { recoverWorkspaceOnDisk } from './recover-workspace.ts';
import { recreateFrom } from './recreate-workspace.ts';
import { abandonOnDisk, isAbandoned, RELEASE_STEPS, releaseInPlace } from './release-workspace.ts';
import { assertRemovableOnDisk, REMOVE_STEPS, removeOnDisk } from './remove-workspace.ts';
import { makeScratchClone, removeScratchClone } from './scratch.ts';
import {
  listPins,
  listSnapshotsOnDisk,
  openExisting,
  setPin,
  snapshotPath,
  snapshotsStampOf,
  takeSnapshot,
  takeSnapshotSync,
} from './snapshots.ts';
import {
  checkSwapOf,
  finishSwapOf,
  prepareSwapOf,
  removeReplacedTrees,
  SWAP_STEPS,
  swapInClone,
} from './swap.ts';
import { areProvenSame } from './unchanged.ts';
import { VainRemovals } from './vain-removals.ts';
import { WorkspaceDirectories } from './workspace-directory.ts';
import { readRecord } from './workspace-record.ts';

/** Every label that is given to an `onStep`, by operation; tests kill the process at each. */
export const BTRFS_STEPS = {
  init: INIT_STEPS,
  move: MOVE_STEPS,
  swap: SWAP_STEPS,
  delete: DELETE_STEPS,
  release: RELEASE_STEPS,
  clone: CLONE_STEPS,
  remove: REMOVE_STEPS,
} as const;

/** What the composition root needs beyond `Backend`. */
export interface BtrfsBackend extends Backend {
  /**
   * As `initWorkspace`, for a directory on another filesystem: its tree moves to
   * `<pool>/work/<workspace id>`, the path leads there by a bind mount (root) or a symlink. After a
   * reboot `recoverWorkspace` mounts it again.
   * @throws GhostsnapError WORKSPACE_NESTED, POOL_FULL, VERIFY_FAILED, TREE_CHANGED, NOT_PERMITTED
   */
  moveIntoPool(
    ref: WorkspaceRef,
    options: WorkOptions & { onStep?: (label: string) => void },
  ): Promise<void>;
  deleteSnapshots(
    ref: WorkspaceRef,
    ids: readonly SnapshotId[],
    options?: DeleteOptions & { onStep?: (label: string) => void },
  ): Promise<void>;
}

const PROPERTIES: BackendProperties = {
  kind: 'btrfs',
  isAtomic: true,
  isConstantTime: true,
  canSwap: true,
  sharesBlocks: true,
  canGiveOwners: process.geteuid?.() === 0,
};

/** Boundaries are found by `listUncovered`; a snapshot itself never walks the tree. */
const NOTHING_UNCOVERED: CreateResult['uncovered'] = [];

export function createBtrfsBackend(): BtrfsBackend {
  const directories = new WorkspaceDirectories();
  const removals = new VainRemovals();
  return {
    properties: PROPERTIES,
    arming: armingOf(directories, removals),

    async initWorkspace(ref, options) {
      assertPoolFits(ref);
      makeGhostDirectory(ref);
      const directory = directories.of(ref);
      await recoverWorkspaceOnDisk(directory);
      if (isKnown(directories, ref)) closeFd(directory.openLive());
      else await initWorkspaceOnDisk(directory, options);
    },

    async moveIntoPool(ref, options) {
      assertPoolIsBtrfs(ref);
      makeGhostDirectory(ref);
      const directory = directories.of(ref);
      await recoverWorkspaceOnDisk(directory);
      if (isKnown(directories, ref)) closeFd(directory.openLive());
      else await moveTreeIntoPool(directory, options);
    },

    async cloneWorkspace(ref, from, options = {}) {
      makeGhostDirectory(ref);
      await cloneOnDisk(
        { directory: directories.of(from.ref), snapshot: from.snapshot },
        directories.of(ref),
        options.onStep,
      );
    },

    recoverWorkspace: (ref) => recoverWorkspaceOnDisk(directories.of(ref)),

    isLeftHalfWay: () => false,
    recreateWorkspace: (ref, target) => recreateFrom(directories.of(ref), target),

    identify(ref): WorkspaceIdentity {
      const directory = directories.of(ref);
      closeFd(directory.openLive());
      return { token: directory.record.anchor };
    },

    showAgain: (ref, act) => isKnown(directories, ref) && showAgain(directories.of(ref), act),

    rebindWorkspace(ref) {
      const directory = directories.of(ref);
      closeFd(directory.openLive());
      if (directory.record.path !== ref.path) {
        directory.saveRecord({ ...directory.record, path: ref.path });
      }
    },

    abandonWorkspace: (ref, options = {}) => abandonOnDisk(directories.of(ref), options.onStep),

    async createSnapshot(ref, id) {
      const taken = await takeSnapshot(directories.of(ref), id);
      return { uncovered: NOTHING_UNCOVERED, ...taken };
    },

    createSnapshotSync(ref, id) {
      const taken = takeSnapshotSync(directories.of(ref), id);
      return { uncovered: NOTHING_UNCOVERED, ...taken };
    },

    listSnapshots: (ref) => listSnapshotsOnDisk(directories.of(ref)),
    snapshotsStamp: (ref) => snapshotsStampOf(directories.of(ref)),

    deleteSnapshots: (ref, ids, options: DeleteOptions & { onStep?: StepHook } = {}) =>
      deleteSnapshotsOnDisk(directories.of(ref), ids, options),

    setPinned: (ref, id, pinned) => setPin(directories.of(ref), id, pinned),
    listPinned: (ref) => listPins(ref, directories.of(ref)),
    openTree: async (ref, tree) => openWorkspaceTree(directories.of(ref), tree),

    compare: (ref, from, to, options: CompareOptions = {}) =>
      compareWorkspaceTrees(directories.of(ref), { from, to }, options),
    areProvenSame: (ref, a, b) => areProvenSame(directories.of(ref), a, b),

    applyInPlace: (ref, target, options: ApplyOptions = {}) =>
      applySnapshotInPlace(directories.of(ref), target, options),

    applyPlanned: (ref, snapshot, planned, options = {}) =>
      applyPlannedToLive(directories.of(ref), snapshot, planned, options),

    async extract(ref, target, paths, toDirectory, options = {}) {
      snapshotPath(directories.of(ref), target);
      using source = openWorkspaceTree(directories.of(ref), target);
      return await extractTree({ source, paths, toDirectory, ...options });
    },

    makeScratch: (ref, target) => makeScratchClone(directories.of(ref), target),
    removeScratch: (ref) => removeScratchClone(directories.of(ref)),

    checkSwap: (ref) => checkSwapOf(directories.of(ref)),
    prepareSwap: (ref, target, operation) => {
      snapshotPath(directories.of(ref), target);
      return prepareSwapOf(directories.of(ref), operation);
    },
    swapIn: (ref, target, token, options = {}) =>
      swapInClone(directories.of(ref), target, { token, onStep: options.onStep }),
    finishSwap: (ref, _target, token) => finishSwapOf(directories.of(ref), token),
    removeReplaced: (ref) => removeReplacedTrees(directories.of(ref)),

    async listUncovered(ref, options = {}): Promise<readonly UncoveredPath[]> {
      using live = openWorkspaceTree(directories.of(ref), 'live');
      return await listUncovered(live, options);
    },

    async releaseWorkspace(ref, options) {
      const directory = directories.of(ref);
      directory.forget();
      if (!isKnown(directories, ref)) {
        await recoverWorkspaceOnDisk(directory);
        return;
      }
      if (isAbandoned(directory)) await abandonOnDisk(directory, options.onStep);
      else if (directory.record.reachedBy === 'place') await releaseInPlace(directory, options);
      else await moveTreeOutOfPool(directory, options);
    },

    assertRemovable: (ref) => assertRemovableOnDisk(directories.of(ref)),
    removeWorkspace: (ref, options = {}) => removeOnDisk(directories.of(ref), options.onStep),

    // Each block has a checksum, which "btrfs scrub" proves for all of them.
    verifySnapshots: async () => null,

    space(poolRoot) {
      try {
        const { blocks, bavail, bsize } = statfsSync(poolRoot);
        return { totalBytes: blocks * bsize, freeBytes: bavail * bsize };
      } catch (error) {
        throw toGhostsnapError(error, {
          what: 'Measuring the pool',
          path: rawFromText(poolRoot),
          fallback: 'POOL_NOT_MOUNTED',
        });
      }
    },

    async [Symbol.asyncDispose]() {
      await removals.settled();
      directories[Symbol.dispose]();
    },
  };
}

/** Whether the pool has a record of the workspace. */
function isKnown(directories: WorkspaceDirectories, ref: WorkspaceRef): boolean {
  const directory = directories.of(ref);
  return openExisting(directory) >= 0 && readRecord(directory.path) !== null;
}
