/**
 * The interface every backend implements, and the properties that say how backends differ.
 *
 * A backend keeps snapshots of workspaces on disk and knows nothing of catalogs, labels, retention or
 * undo. The disk is the truth: `listSnapshots` is what exists. One caller at a time works on a
 * workspace (the engine's queue and lock see to it); different workspaces run concurrently.
 *
 * Callers branch on `properties`, never on the type of a backend.
 */
import type { SnapshotId, WorkspaceId } from '../core/ids.ts';
import type { RawPath } from '../core/raw-path.ts';
import type { TreeChange } from '../core/tree-change.ts';
import type { TreeEntry } from '../core/tree-entry.ts';
import type { Steps } from './steps.ts';

export interface BackendProperties {
  readonly kind: 'btrfs' | 'store' | 'memory';
  /** The snapshot is one instant of the tree. False: files changing meanwhile are detected and re-read. */
  readonly isAtomic: boolean;
  /** The cost of a snapshot does not grow with the workspace. */
  readonly isConstantTime: boolean;
  /** `swapIn` is implemented. */
  readonly canSwap: boolean;
  /** Unchanged and restored data share blocks with the workspace. */
  readonly sharesBlocks: boolean;
  /** This user may give files away and make device nodes; who may not gets back the rest and a note. */
  readonly canGiveOwners: boolean;
}

/** Where a workspace is. Absolute real paths, as text (a workspace's own path must be UTF-8). */
export interface WorkspaceRef {
  readonly id: WorkspaceId;
  /** The path the person uses: the live tree's root, after resolving the last symlink. */
  readonly path: string;
  /** Root of the pool: its `.ghostsnap/<workspace id>/` holds the snapshots. */
  readonly poolRoot: string;
}

/** A directory's identity that survives a rename of its parents but not a replacement. */
export interface WorkspaceIdentity {
  /** Opaque, compared for equality; btrfs: the subvolume's UUID, store: device and inode and birth time. */
  readonly token: string;
}

/**
 * Why a path is not covered by snapshots. Reported by init, snapshot, status and rollback, loudly.
 * `changing`: a file that was written without a pause; it is held as it was read, perhaps torn.
 */
export interface UncoveredPath {
  readonly path: RawPath;
  readonly reason: 'subvolume' | 'mount' | 'socket' | 'unreadable' | 'device' | 'changing';
}

export interface SnapshotOnDisk {
  readonly id: SnapshotId;
  readonly createdAtMs: number;
  /** False: it is there but can't be used (torn, checksum); listed so that recovery can say so. */
  readonly isWhole: boolean;
}

/** What can't be given back: the path of a snapshot, and why. A directory stands for all below it. */
export interface DamagedPath {
  readonly snapshot: SnapshotId;
  readonly path: RawPath;
  /** For people. */
  readonly what: string;
}

export interface CreateResult {
  /** Paths that this snapshot does not hold. btrfs: always empty (boundaries are found by `listUncovered`). */
  readonly uncovered: readonly UncoveredPath[];
  /**
   * `snapshotsStamp` right before and right after, where nothing but this snapshot came or went between;
   * null: something did, or nobody knows.
   */
  readonly stamps: { readonly before: string; readonly after: string } | null;
  /**
   * The one system call that made it, on the clock of `performance.now()`, with the wait for a thread to
   * make it on; absent where there is no such call.
   */
  readonly systemCall?: { readonly startMs: number; readonly endMs: number };
}

export type TreeRef = SnapshotId | 'live';

/** Called at most every few hundred entries; `total` is null while unknown. */
export type Progress = (done: number, total: number | null) => void;

export interface WorkOptions {
  readonly onProgress?: Progress;
  readonly signal?: AbortSignal;
}

export interface DeleteOptions extends WorkOptions {
  /**
   * When the room of what was deleted is to be taken back. 'later': whenever the filesystem does so by itself,
   * as somebody waits for the workspace meanwhile, or more will be deleted in a moment. Default 'soon'.
   */
  readonly room?: 'soon' | 'later';
}

export interface CompareOptions extends WorkOptions {
  /** Only these paths and what lies below them. */
  readonly paths?: readonly RawPath[];
  /** Report a difference in mtime alone. Default true. */
  readonly mtimes?: boolean;
}

export interface ApplyOptions extends WorkOptions {
  /**
   * A snapshot equal to the live tree at some moment before the call, used to find what changed
   * quickly. The result is right whatever happened since: what is acted on is compared first.
   */
  readonly since?: SnapshotId;
  readonly paths?: readonly RawPath[];
  /**
   * 'across', with `paths`: a file that `target` has under other names as well becomes one file with them
   * again, where those still hold what `target` has; they are not touched. For taking back what was begun.
   * Default: what the paths name is a file of its own.
   */
  readonly links?: 'across';
  /** Called at labelled steps (tests kill the process there). */
  readonly onStep?: (label: string) => void;
}

export interface ApplyResult {
  readonly changes: number;
  /** What could not be given back exactly (owner without privilege, device nodes...), never silently. */
  readonly notes: readonly { readonly path: RawPath; readonly what: string }[];
}

/** One path of the live tree as it shall be; nothing below it is meant. */
export interface PlannedPath {
  readonly path: RawPath;
  /** null: it shall be gone; a directory only when everything in it shall. */
  readonly entry: TreeEntry | null;
  /** Whose content: the live file's own, the same path in the snapshot, or these bytes. */
  readonly content: 'live' | 'snapshot' | Uint8Array;
  /** Whose extended attributes. */
  readonly xattrs: { readonly of: 'live' | 'snapshot'; readonly path: RawPath };
}

/** Reads one tree. Directories are read whole, in byte order of names. Close it. */
export interface TreeReader extends Disposable {
  readonly ref: TreeRef;
  root(): TreeEntry;
  /** Entries of a directory in byte order; 'unreadable' directories throw CAPTURE_FAILED. */
  readDirectory(path: RawPath): readonly TreeEntry[];
  /** null: not there (or a parent is not a directory). Never follows symlinks. */
  lookup(path: RawPath): TreeEntry | null;
  readLink(path: RawPath): string;
  /** Sorted by name. Includes POSIX ACLs as `system.posix_acl_*`. */
  readXattrs(path: RawPath): readonly { readonly name: string; readonly value: Uint8Array }[];
  /** Reads up to `length` bytes at `offset`; shorter at the end of the file. For diffs. */
  readFile(path: RawPath, offset: number, length: number): Uint8Array;
  /**
   * Fills the empty regular file behind `toFd` with the content of the file at `path`: holes stay
   * holes, blocks are shared where the filesystem can (FICLONE), NOCOW is set first where it must be.
   * In steps, since a file is as long as it likes; it is filled when they have ended.
   * @throws GhostsnapError SNAPSHOT_CORRUPT, POOL_FULL, IO
   */
  copyFileTo(path: RawPath, toFd: number): Steps<void>;
}

/**
 * Taking the next snapshot early. What is armed lies under a name that `listSnapshots` does not list;
 * adopting gives it its id. All calls come from whoever has the workspace to itself.
 */
export interface Arming {
  /** Why nothing may be armed here; null: it may. */
  refusal(ref: WorkspaceRef): string | null;
  /** Flushes the tree and keeps it, durable on return. @throws GhostsnapError as `createSnapshot` */
  arm(ref: WorkspaceRef, id: SnapshotId): Promise<void>;
  /**
   * 'same': the live tree is proven to be what is armed, whoever armed it and when. 'unproven': it may
   * be. Costs microseconds. @throws GhostsnapError WORKSPACE_GONE, WORKSPACE_REPLACED
   */
  check(ref: WorkspaceRef, id: SnapshotId): 'same' | 'changed' | 'unproven';
  /**
   * What is armed becomes the snapshot. Idempotent. The data is durable, the name may be lost with the
   * power: then it is armed again, and adopted again by whoever knows that it was.
   */
  adopt(ref: WorkspaceRef, id: SnapshotId): void;
  /**
   * Begins to remove what is armed, and does not wait for it: `list` may still show it, also after a
   * crash. One that is gone counts as removed.
   */
  drop(ref: WorkspaceRef, id: SnapshotId): void;
  /** Everything that is armed on disk, in id order. */
  list(ref: WorkspaceRef): readonly SnapshotId[];
}

export interface Backend extends AsyncDisposable {
  readonly properties: BackendProperties;
  /** null: this backend does not arm. */
  readonly arming: Arming | null;

  /**
   * Makes the directory at `ref.path` a workspace. Contents stay what they are and where they are. A
   * crash at any step leaves one whole tree at the path; `recoverWorkspace` finishes or takes it back.
   * @throws GhostsnapError POOL_FULL, UNSUPPORTED_FILESYSTEM, NOT_PERMITTED, VERIFY_FAILED
   */
  initWorkspace(
    ref: WorkspaceRef,
    options: WorkOptions & { onStep?: (label: string) => void },
  ): Promise<void>;

  /**
   * Makes a new workspace at `ref.path`, where nothing stands yet, whose tree is a snapshot of another
   * workspace of the same pool. That one is only read. Durable on return. btrfs: one writable snapshot,
   * whatever the tree holds; store: the tree is written out, O(n). What a call leaves that failed or was
   * killed is removed by `removeWorkspace`; it is not finished.
   * @throws GhostsnapError SNAPSHOT_NOT_FOUND, TARGET_EXISTS, POOL_FULL, UNSUPPORTED_FILESYSTEM
   */
  cloneWorkspace(
    ref: WorkspaceRef,
    from: { readonly ref: WorkspaceRef; readonly snapshot: SnapshotId },
    options?: WorkOptions & { readonly onStep?: (label: string) => void },
  ): Promise<void>;

  /** Finishes or takes back whatever init, swap, release left half-way. Idempotent. */
  recoverWorkspace(ref: WorkspaceRef): Promise<void>;

  /**
   * Whether a killed process left something that only `recoverWorkspace` mends, although no operation is
   * in flight. Asked at every open, so it costs a system call or less.
   */
  isLeftHalfWay(ref: WorkspaceRef): boolean;

  /**
   * Brings a workspace back whose directory is gone. On return the same workspace stands at the path
   * again, equal to `target` or empty; `applyInPlace` makes it exact. Nothing is ever replaced.
   * @throws GhostsnapError WORKSPACE_REPLACED when something stands there, WORKSPACE_GONE when it was moved to
   *   somewhere near, UNSUPPORTED_MODE, POOL_FULL
   */
  recreateWorkspace(ref: WorkspaceRef, target: SnapshotId): Promise<void>;

  /** @throws GhostsnapError WORKSPACE_GONE when nothing is at the path. */
  identify(ref: WorkspaceRef): WorkspaceIdentity;

  /**
   * A tree that is elsewhere, and was shown at its directory by a mount that is gone: whether the directory at
   * `ref.path` is that one, proven. 'apply' shows the tree there again, 'plan' changes nothing. Idempotent.
   * @throws GhostsnapError NEEDS_ROOT
   */
  showAgain(ref: WorkspaceRef, act: 'plan' | 'apply'): boolean;

  /**
   * Notes that the workspace is at `ref.path` from now on, where it was moved by a rename. The caller
   * has identified it there. Idempotent, durable on return.
   */
  rebindWorkspace(ref: WorkspaceRef): void;

  /**
   * Ends a workspace whose tree is gone for good: its snapshots and all of the backend's own files for
   * it are removed. What stands at the path, if anything, is not touched. Finished by calling it again.
   */
  abandonWorkspace(
    ref: WorkspaceRef,
    options?: { readonly onStep?: (label: string) => void },
  ): Promise<void>;

  /**
   * Takes a snapshot, durable on return. The id is new: an existing one is an error. On failure
   * nothing is left that `listSnapshots` lists.
   * @throws GhostsnapError POOL_FULL, SWAP_FILE_ACTIVE, CAPTURE_FAILED, WORKSPACE_GONE
   */
  createSnapshot(ref: WorkspaceRef, id: SnapshotId, options?: WorkOptions): Promise<CreateResult>;
  createSnapshotSync(ref: WorkspaceRef, id: SnapshotId): CreateResult;

  /** Everything on disk, in id order. Foreign names are ignored, never deleted. */
  listSnapshots(ref: WorkspaceRef): readonly SnapshotOnDisk[];

  /** A value that changes whenever the set of snapshots on disk does: lets an open skip the listing. */
  snapshotsStamp(ref: WorkspaceRef): string;

  /**
   * Removes snapshots, durable on return. One that is already gone counts as removed: prune is retried after
   * a crash.
   */
  deleteSnapshots(
    ref: WorkspaceRef,
    ids: readonly SnapshotId[],
    options?: DeleteOptions,
  ): Promise<void>;

  /** Pins on disk, beside the snapshots, so that a lost catalog cannot lose them. Idempotent. */
  setPinned(ref: WorkspaceRef, id: SnapshotId, pinned: 'pinned' | 'unpinned'): void;
  listPinned(ref: WorkspaceRef): readonly SnapshotId[];

  openTree(ref: WorkspaceRef, tree: TreeRef): Promise<TreeReader>;

  /** What turns `from` into `to`, in walk order. Exact: content is compared where evidence is missing. */
  compare(
    ref: WorkspaceRef,
    from: TreeRef,
    to: TreeRef,
    options?: CompareOptions,
  ): AsyncIterable<TreeChange>;

  /**
   * Whether two snapshots hold the same tree, times included, as far as that shows without looking into them.
   * False: it is not known. Costs the same for every tree.
   * @throws GhostsnapError SNAPSHOT_NOT_FOUND
   */
  areProvenSame(ref: WorkspaceRef, a: SnapshotId, b: SnapshotId): boolean;

  /**
   * Turns the live tree into the snapshot, path by path, durable on return. Inodes of what did not
   * change are kept. Idempotent: run again after a crash it finishes. Boundaries and sockets are left
   * alone.
   * @throws GhostsnapError SNAPSHOT_NOT_FOUND, RESTORE_FAILED, POOL_FULL
   */
  applyInPlace(ref: WorkspaceRef, target: SnapshotId, options?: ApplyOptions): Promise<ApplyResult>;

  /**
   * Turns exactly these paths of the live tree, durable on return; every other path stays untouched.
   * Idempotent, as `applyInPlace`; a directory that shall be gone goes when all that is in it shall.
   * @param snapshot what 'snapshot' in the plan means
   * @throws GhostsnapError SNAPSHOT_NOT_FOUND, RESTORE_FAILED, POOL_FULL, INTERRUPTED
   */
  applyPlanned(
    ref: WorkspaceRef,
    snapshot: SnapshotId,
    planned: readonly PlannedPath[],
    options?: Pick<ApplyOptions, 'onStep' | 'onProgress' | 'signal'>,
  ): Promise<ApplyResult>;

  /** Writes single paths of a snapshot under another directory (absolute), which must not hold them yet. */
  extract(
    ref: WorkspaceRef,
    target: SnapshotId,
    paths: readonly RawPath[],
    toDirectory: string,
    options?: WorkOptions,
  ): Promise<ApplyResult>;

  /**
   * Makes a writable copy of a snapshot to try something in, outside of the live tree: a clone where the
   * backend has them. A workspace has one: what stands there goes first, also half of one that a killed
   * call left. It is no snapshot: nothing lists it, recovery leaves it alone, the workspace's end takes it.
   * @returns its absolute path, as text
   * @throws GhostsnapError SNAPSHOT_NOT_FOUND, POOL_FULL, INTERRUPTED, RESTORE_FAILED, NOT_PERMITTED
   */
  makeScratch(ref: WorkspaceRef, target: SnapshotId, options?: WorkOptions): Promise<string>;

  /** Removes it with everything in it. One that is not there counts as removed. */
  removeScratch(ref: WorkspaceRef): Promise<void>;

  /** Whether a swap would be safe now; the reason is shown to the person. */
  checkSwap(ref: WorkspaceRef): { readonly allowed: boolean; readonly reason: string };

  /** What `finishSwap` needs after a crash; written by the engine before `swapIn`. */
  prepareSwap(ref: WorkspaceRef, target: SnapshotId, operation: string): string;

  /** Exchanges the workspace with a writable clone of `target`. The old tree is kept aside until `removeReplaced`. */
  swapIn(
    ref: WorkspaceRef,
    target: SnapshotId,
    token: string,
    options?: ApplyOptions,
  ): Promise<void>;

  /** After a crash: 'done' when the exchange had happened (it is completed), 'undone' when not (leftovers are removed). */
  finishSwap(ref: WorkspaceRef, target: SnapshotId, token: string): Promise<'done' | 'undone'>;

  /** Removes trees that swaps left aside and that nobody holds any more. */
  removeReplaced(ref: WorkspaceRef): Promise<number>;

  /** Paths that snapshots of this workspace do not cover, now. */
  listUncovered(ref: WorkspaceRef, options?: WorkOptions): Promise<readonly UncoveredPath[]>;

  /**
   * Ends the workspace: a plain directory with the same contents remains at the path, every snapshot and
   * all of the backend's own files for it are removed. Finished by calling it again after a crash.
   */
  releaseWorkspace(
    ref: WorkspaceRef,
    options: WorkOptions & { onStep?: (label: string) => void },
  ): Promise<void>;

  /**
   * Whether `removeWorkspace` could do its work now, before anybody announces it.
   * @throws GhostsnapError WORKSPACE_NESTED (somebody else's subvolume is inside), UNSUPPORTED_MODE (the
   *   path only leads to the tree), WORKSPACE_GONE, WORKSPACE_REPLACED
   */
  assertRemovable(ref: WorkspaceRef): void;

  /**
   * Ends the workspace and its tree: both are gone. The tree leaves its path in one rename before anything
   * in it is touched; what stands at the path and is not the workspace is left alone. Finished by calling
   * it again after a crash; also after a `cloneWorkspace` that was.
   * @throws GhostsnapError as `assertRemovable`, for the first two: nothing was touched
   */
  removeWorkspace(
    ref: WorkspaceRef,
    options?: { readonly onStep?: (label: string) => void },
  ): Promise<void>;

  /**
   * Reads and proves everything that the snapshots refer to; hours, where there is much. Changes nothing.
   * null: the filesystem itself keeps a checksum of each block, and proves what it reads.
   * @throws GhostsnapError INTERRUPTED; IO and the like for what can't be read now
   */
  verifySnapshots(ref: WorkspaceRef, options?: WorkOptions): Promise<readonly DamagedPath[] | null>;

  /** Bytes the pool has and has left, as the filesystem says. */
  space(poolRoot: string): { readonly totalBytes: number; readonly freeBytes: number };
}
