/**
 * Comparing trees of a workspace and turning the live one into a snapshot.
 *
 * The tree layer does both; what the store adds is evidence: hashes between two snapshots, the index
 * between a snapshot and the live tree. With `since`, the snapshot that was just taken, only the paths
 * in which it differs from the target are looked at, so the cost is that of the difference.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { SnapshotId } from '../../core/ids.ts';
import { type RawPath, rawFromText } from '../../core/raw-path.ts';
import type { TreeChange } from '../../core/tree-change.ts';
import { applyPlannedPaths } from '../apply-planned.ts';
import type {
  ApplyOptions,
  ApplyResult,
  CompareOptions,
  PlannedPath,
  TreeReader,
  TreeRef,
  WorkspaceRef,
} from '../backend.ts';
import { DirectoryTree, openDirectoryTree } from '../directory-tree.ts';
import { giveBackLeftOpen, OpenedModes } from '../opened-modes.ts';
import { PathSet } from '../path-set.ts';
import { syncFsAsync } from '../syscalls-data-linux.ts';
import { AT_FDCWD, closeFd, O_DIRECTORY, O_RDONLY, openAt } from '../syscalls-linux.ts';
import { applyTree } from '../tree-apply.ts';
import { compareTrees } from '../tree-compare.ts';
import type { TreeEvidence } from '../tree-evidence.ts';
import { differingEntries } from './differing-entries.ts';
import { IndexLookup } from './index-lookup.ts';
import type { LiveState } from './live-state.ts';
import { evidenceOfLive, evidenceOfTwo, NO_EVIDENCE } from './manifest-evidence.ts';
import { readManifest } from './manifest-files.ts';
import { ManifestTree } from './manifest-tree.ts';
import { ObjectFiles } from './object-files.ts';
import type { StatIndex } from './stat-index.ts';
import { inoOf } from './stat-record.ts';
import { objectsPath, workspacePaths } from './store-layout.ts';
import { directoriesToLookAt } from './unmoved-directories.ts';
import { requireWorkspace } from './workspace-record.ts';

/** @throws GhostsnapError SNAPSHOT_NOT_FOUND, SNAPSHOT_CORRUPT, FORMAT_TOO_NEW */
export function openManifestTree(
  ref: WorkspaceRef,
  id: SnapshotId,
  liveIno?: (path: RawPath) => number,
): ManifestTree {
  const manifest = readManifest(ref, id);
  return new ManifestTree(manifest, new ObjectFiles(objectsPath(ref.poolRoot)), liveIno);
}

/** @throws GhostsnapError as `openManifestTree`; WORKSPACE_GONE, WORKSPACE_REPLACED */
export function openStoreTree(ref: WorkspaceRef, tree: TreeRef): TreeReader {
  if (tree !== 'live') return openManifestTree(ref, tree);
  requireWorkspace(ref);
  return openDirectoryTree(ref.path, 'live');
}

export async function* compareStoreTrees(
  ref: WorkspaceRef,
  state: LiveState,
  trees: { readonly from: TreeRef; readonly to: TreeRef },
  options: CompareOptions,
): AsyncGenerator<TreeChange> {
  using held = new DisposableStack();
  const from = held.use(openStoreTree(ref, trees.from));
  const to = held.use(openStoreTree(ref, trees.to));
  const { paths, ...rest } = options;
  const evidence = await evidenceFor(ref, state, held, from, to);
  yield* compareTrees({ from, to, ...evidence, ...rootsOf(paths), ...rest });
}

function rootsOf(paths: readonly RawPath[] | undefined): { subtreeRoots?: PathSet } {
  return paths === undefined || paths.length === 0 ? {} : { subtreeRoots: new PathSet(paths) };
}

async function evidenceFor(
  ref: WorkspaceRef,
  state: LiveState,
  held: DisposableStack,
  from: TreeReader,
  to: TreeReader,
): Promise<TreeEvidence> {
  if (from instanceof ManifestTree && to instanceof ManifestTree) return evidenceOfTwo(from, to);
  const other = from instanceof ManifestTree ? from : to;
  if (!(other instanceof ManifestTree)) return NO_EVIDENCE;
  const index = state.usableIndex();
  if (index === null) return NO_EVIDENCE;
  const captured = held.use(openManifestTree(ref, index.snapshot));
  const live = other === from ? to : from;
  const lookup = new IndexLookup(index);
  const side = live === to ? 'to' : 'from';
  const evidence = evidenceOfLive({ index: lookup, captured, other, live: side });
  if (!(live instanceof DirectoryTree)) return evidence;
  const suspects = await suspectsIn(live, index);
  return suspects === null ? evidence : { ...evidence, ...subtreesOf(index, suspects, other) };
}

/** Directories of the live tree that are not proven to be as indexed; null: nothing is known. */
async function suspectsIn(live: DirectoryTree, index: StatIndex): Promise<PathSet | null> {
  const steps = directoriesToLookAt(live, index);
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done === true) return step.value;
    await nextTurn();
  }
}

/** A subtree without a suspect is what the index's snapshot has there: one object, or another. */
function subtreesOf(
  index: StatIndex,
  suspects: PathSet,
  other: ManifestTree,
): Pick<TreeEvidence, 'sameSubtree'> {
  const isAsIndexed = (path: RawPath): boolean =>
    path === '' ? suspects.size === 0 : suspects.find(path) === undefined;
  return {
    sameSubtree: (path) =>
      isAsIndexed(path) && index.blocks.get(path)?.id === (other.stored(path)?.child ?? ''),
  };
}

/** @throws GhostsnapError as `Backend.applyInPlace` */
export async function applyInPlace(
  ref: WorkspaceRef,
  state: LiveState,
  target: SnapshotId,
  options: ApplyOptions,
): Promise<ApplyResult> {
  using held = new DisposableStack();
  const { since, paths, ...work } = options;
  requireWorkspace(ref);
  const { openedModes: announcement } = workspacePaths(ref.poolRoot, ref.id);
  giveBackLeftOpen({ announcement, livePath: ref.path });
  const opened = held.use(new OpenedModes({ announcement, livePath: ref.path }));
  opened.openRoot();
  // Opened now: the target may be a root that its owner closed.
  const liveFd = openAt(AT_FDCWD, rawFromText(ref.path), O_RDONLY | O_DIRECTORY);
  held.defer(() => closeFd(liveFd));
  const index = state.usableIndex();
  const isIndexed = index !== null && index.snapshot === since;
  const lookup = index === null ? null : new IndexLookup(index);
  const liveIno = isIndexed ? (path: RawPath) => inodeIn(lookup, path) : undefined;
  const source = held.use(openManifestTree(ref, target, liveIno));
  // One tree of each snapshot for the evidence and for the candidates: a walk asks both of them about
  // the same directory, which is then read once.
  const captured = index === null ? null : held.use(openManifestTree(ref, index.snapshot));
  const evidence =
    lookup === null || captured === null
      ? NO_EVIDENCE
      : evidenceOfLive({ index: lookup, captured, other: source, live: 'from' });
  const candidates =
    isIndexed && captured !== null ? { candidates: differingEntries(captured, source) } : {};
  const applied = await applyTree({
    livePath: ref.path,
    source,
    ...evidence,
    ...candidates,
    ...rootsOf(paths),
    ...work,
  });
  if (paths === undefined || paths.length === 0) opened.settleRoot(source.root().mode);
  // The caller records the end next: a power loss after that may not bring back a half-turned tree.
  if (applied.changes > 0) await syncFsAsync(liveFd);
  return applied;
}

/** @throws GhostsnapError as `Backend.applyPlanned` */
export async function applyPlannedInStore(
  ref: WorkspaceRef,
  snapshot: SnapshotId,
  planned: readonly PlannedPath[],
  options: ApplyOptions,
): Promise<ApplyResult> {
  using held = new DisposableStack();
  requireWorkspace(ref);
  const { openedModes: announcement } = workspacePaths(ref.poolRoot, ref.id);
  giveBackLeftOpen({ announcement, livePath: ref.path });
  held.use(new OpenedModes({ announcement, livePath: ref.path })).openRoot();
  const liveFd = openAt(AT_FDCWD, rawFromText(ref.path), O_RDONLY | O_DIRECTORY);
  held.defer(() => closeFd(liveFd));
  const trees = {
    live: held.use(openDirectoryTree(ref.path, 'live')),
    snapshot: held.use(openManifestTree(ref, snapshot)),
  };
  const applied = await applyPlannedPaths({ livePath: ref.path, ...trees, planned, ...options });
  // As with a whole tree: the caller records the end next.
  if (applied.changes > 0) await syncFsAsync(liveFd);
  return applied;
}

/** The inode number that a directory had when the index saw it; 0 when it did not. */
function inodeIn(lookup: IndexLookup | null, path: RawPath): number {
  const found = lookup?.find(path) ?? null;
  return found === null ? 0 : inoOf(found.block.records, found.at);
}
