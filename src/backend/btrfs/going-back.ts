/**
 * Comparing trees of a workspace and turning the live one, path by path.
 *
 * As root the paths that may differ come from `btrfs send` between two read-only trees; the tree layer
 * compares and turns only those. Everyone else, and every case in which the hints could be incomplete
 * (no `since` after a crash), walks both trees side by side.
 *
 * With `since`, what was written after that snapshot to a path that did not differ before is left as it
 * is: nobody can keep others from writing during a rollback, and such files fare as with cp.
 */
import { randomBytes } from 'node:crypto';
import { GhostsnapError } from '../../core/errors.ts';
import type { SnapshotId } from '../../core/ids.ts';
import type { RawPath } from '../../core/raw-path.ts';
import type { TreeChange } from '../../core/tree-change.ts';
import { applyPlannedPaths } from '../apply-planned.ts';
import type {
  ApplyOptions,
  ApplyResult,
  CompareOptions,
  PlannedPath,
  TreeRef,
} from '../backend.ts';
import { type DirectoryTree, openDirectoryTree } from '../directory-tree.ts';
import { PathSet } from '../path-set.ts';
import { provenSubtrees } from '../proven-subtrees.ts';
import { syncFsAsync } from '../syscalls-data-linux.ts';
import { closeFd } from '../syscalls-linux.ts';
import { applyTree } from '../tree-apply.ts';
import { compareTrees } from '../tree-compare.ts';
import type { TreeEvidence } from '../tree-evidence.ts';
import { changedPaths } from './changed-paths.ts';
import { recreateFrom } from './recreate-workspace.ts';
import { removeIn } from './remove-subvolume.ts';
import { snapshotPath, takeSnapshot } from './snapshots.ts';
import { familyEvidence } from './unchanged.ts';
import type { WorkspaceDirectory } from './workspace-directory.ts';

/** @throws GhostsnapError SNAPSHOT_NOT_FOUND, WORKSPACE_GONE, WORKSPACE_REPLACED */
export function openWorkspaceTree(directory: WorkspaceDirectory, ref: TreeRef): DirectoryTree {
  if (ref !== 'live') return openDirectoryTree(snapshotPath(directory, ref), ref);
  // The proof and the tree are two opens of the path; what is walked is proven, not the name.
  const fd = directory.openLive();
  try {
    return openDirectoryTree(`/proc/self/fd/${fd}`, 'live');
  } finally {
    closeFd(fd);
  }
}

export async function* compareWorkspaceTrees(
  directory: WorkspaceDirectory,
  trees: { readonly from: TreeRef; readonly to: TreeRef },
  options: CompareOptions,
): AsyncGenerator<TreeChange> {
  using from = openWorkspaceTree(directory, trees.from);
  using to = openWorkspaceTree(directory, trees.to);
  const candidates = await candidatesFor(directory, trees);
  const evidence = familyEvidence(directory, [trees.from, trees.to]);
  const isWhole = candidates === null && (options.paths ?? []).length === 0;
  yield* compareTrees({
    from,
    to,
    ...(isWhole ? await withProvenSubtrees(evidence, { from, to }, options.signal) : evidence),
    ...(candidates === null ? {} : { candidates }),
    ...rootsOf(options.paths),
    ...(options.mtimes === undefined ? {} : { mtimes: options.mtimes }),
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    ...(options.onProgress === undefined ? {} : { onProgress: options.onProgress }),
  });
}

function rootsOf(paths: readonly RawPath[] | undefined): { subtreeRoots?: PathSet } {
  return paths === undefined || paths.length === 0 ? {} : { subtreeRoots: new PathSet(paths) };
}

/** null: look at everything. */
async function candidatesFor(
  directory: WorkspaceDirectory,
  { from, to }: { readonly from: TreeRef; readonly to: TreeRef },
): Promise<PathSet | null> {
  if (process.geteuid?.() !== 0 || from === to) return null;
  if (from !== 'live' && to !== 'live') return await changedPaths(directory, { from, to });
  const name = `compare_${process.pid}_${randomBytes(6).toString('hex')}`;
  try {
    await takeSnapshot(directory, name);
  } catch (error) {
    // A swap file or a full pool forbids a snapshot, not looking.
    if (error instanceof GhostsnapError && error.kind !== 'conflict') return null;
    throw error;
  }
  try {
    const pair = { from: from === 'live' ? name : from, to: to === 'live' ? name : to };
    return await changedPaths(directory, pair);
  } finally {
    await removeIn(directory, name);
  }
}

/** @throws GhostsnapError as `Backend.applyInPlace` */
export async function applySnapshotInPlace(
  directory: WorkspaceDirectory,
  target: SnapshotId,
  options: ApplyOptions,
): Promise<ApplyResult> {
  using source = openDirectoryTree(snapshotPath(directory, target), target);
  const { since, paths, ...work } = options;
  const fd = await openLiveOrRecreate(directory, target, paths);
  try {
    const livePath = `/proc/self/fd/${fd}`;
    const candidates =
      since === undefined ? null : await changedPaths(directory, { from: since, to: target });
    const evidence = familyEvidence(directory, [target]);
    const isWhole = candidates === null && (paths ?? []).length === 0;
    using live = openDirectoryTree(livePath, 'live');
    const applied = await applyTree({
      livePath,
      source,
      ...(isWhole
        ? await withProvenSubtrees(evidence, { from: live, to: source }, work.signal)
        : evidence),
      ...(candidates === null ? {} : { candidates }),
      ...rootsOf(paths),
      ...work,
    });
    // The caller records the end next: a power loss after that may not bring back a half-turned tree.
    if (applied.changes > 0) await syncFsAsync(fd);
    return applied;
  } finally {
    closeFd(fd);
  }
}

/** The evidence, and the subtrees in which it leaves nothing to compare: found on every processor. */
async function withProvenSubtrees(
  evidence: TreeEvidence,
  trees: { readonly from: DirectoryTree; readonly to: DirectoryTree },
  signal: AbortSignal | undefined,
): Promise<TreeEvidence> {
  const trustedBeforeMs = evidence.inodesTrustedBeforeMs;
  if (trustedBeforeMs === undefined) return evidence;
  const cancel = signal === undefined ? {} : { signal };
  const proven = await provenSubtrees({ ...trees, trustedBeforeMs, ...cancel });
  return { ...evidence, sameSubtree: (path) => proven.has(path) };
}

/** @throws GhostsnapError as `Backend.applyPlanned` */
export async function applyPlannedToLive(
  directory: WorkspaceDirectory,
  snapshot: SnapshotId,
  planned: readonly PlannedPath[],
  options: ApplyOptions,
): Promise<ApplyResult> {
  using source = openDirectoryTree(snapshotPath(directory, snapshot), snapshot);
  const fd = directory.openLive();
  try {
    const livePath = `/proc/self/fd/${fd}`;
    using live = openDirectoryTree(livePath, 'live');
    const trees = { live, snapshot: source };
    const applied = await applyPlannedPaths({ livePath, ...trees, planned, ...options });
    // As with a whole tree: the caller records the end next.
    if (applied.changes > 0) await syncFsAsync(fd);
    return applied;
  } finally {
    closeFd(fd);
  }
}

/**
 * `rm -rf` of the workspace's own directory removes the subvolume as well. The whole tree then comes
 * back as a clone, put where the directory was; for single paths there is nothing to put them into.
 */
async function openLiveOrRecreate(
  directory: WorkspaceDirectory,
  target: SnapshotId,
  paths: readonly RawPath[] | undefined,
): Promise<number> {
  try {
    return directory.openLive();
  } catch (error) {
    const isGone = error instanceof GhostsnapError && error.code === 'WORKSPACE_GONE';
    if (!isGone || (paths !== undefined && paths.length > 0)) throw error;
  }
  await recreateFrom(directory, target);
  return directory.openLive();
}
