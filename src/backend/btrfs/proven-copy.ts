/**
 * A copy of a directory that is proven equal before anybody relies on it.
 *
 * Copies, compares, copies what changed meanwhile, a bounded number of times; the copy counts when a
 * whole comparison found nothing. What is written to the original from the beginning of that comparison
 * to the exchange, and afterwards through a descriptor that was held, is carried over. Used by the
 * conversion into a subvolume, by the move into a pool, and by both ways back.
 */
import { GhostsnapError } from '../../core/errors.ts';
import { displayPath, rawFromText } from '../../core/raw-path.ts';
import type { TreeChange } from '../../core/tree-change.ts';
import type { TreeEntry } from '../../core/tree-entry.ts';
import type { Progress, UncoveredPath, WorkOptions } from '../backend.ts';
import { copyTree } from '../copy-tree.ts';
import { openDirectoryTree } from '../directory-tree.ts';
import { listUncovered } from '../list-uncovered.ts';
import { PathSet } from '../path-set.ts';
import { AT_FDCWD } from '../syscalls-linux.ts';
import { Statx } from '../syscalls-statx-linux.ts';
import { applyTree } from '../tree-apply.ts';
import { compareTrees } from '../tree-compare.ts';
import { NO_EVIDENCE } from './unchanged.ts';
import type { WorkspaceDirectory } from './workspace-directory.ts';

/** A tree that still changes after so many rounds is being written to all the time. */
const ROUNDS_MAX = 5;

export interface CopyJob {
  readonly fromPath: string;
  /** Exists and is empty. */
  readonly toPath: string;
  readonly work: WorkOptions;
}

/**
 * Refuses what a copy would leave behind or tear: nested subvolumes, mounts, unreadable paths.
 * @throws GhostsnapError WORKSPACE_NESTED, CAPTURE_FAILED
 */
export async function assertCopyable(path: string, work: WorkOptions): Promise<void> {
  using tree = openDirectoryTree(path, 'live');
  const found: readonly UncoveredPath[] = await listUncovered(tree, signalOf(work));
  const nested = found.find(({ reason }) => reason === 'subvolume' || reason === 'mount');
  if (nested !== undefined) {
    const inner = displayPath(nested.path);
    throw new GhostsnapError(
      'WORKSPACE_NESTED',
      `A ${nested.reason} lies inside ${path}: ${inner}`,
      {
        data: { path, inner, reason: nested.reason },
        hint: 'Move or unmount it, or use the store backend ("--backend store").',
      },
    );
  }
  const unreadable = found.find(({ reason }) => reason === 'unreadable');
  if (unreadable === undefined) return;
  const inner = displayPath(unreadable.path);
  throw new GhostsnapError('CAPTURE_FAILED', `A path can't be read by this user: ${inner}`, {
    data: { path, inner },
    hint: 'Give your user read access to it, or run the command as root.',
  });
}

/**
 * Fills `toPath`, and returns when a comparison of everything has found no difference.
 * @returns when that comparison began, for `carryOverLateWrites`: a file that it had passed already may
 *   have been written to again
 * @throws GhostsnapError TREE_CHANGED, VERIFY_FAILED, POOL_FULL, INTERRUPTED
 */
export async function makeProvenCopy(job: CopyJob): Promise<bigint> {
  await copyTree({
    fromPath: job.fromPath,
    toPath: job.toPath,
    reflink: 'auto',
    ...signalOf(job.work),
    ...progressOf(job.work),
  });
  let last: TreeChange | null = null;
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    const sinceNs = nowNs();
    const difference = await firstDifference(job);
    if (difference === null) return sinceNs;
    if (last?.path === difference.path && last.kind === difference.kind) {
      // The same thing twice, with a copy in between, is not somebody writing.
      if (round > 1) throw notEqual(job, difference);
    }
    last = difference;
    await bringOver(job, null);
  }
  throw new GhostsnapError(
    'TREE_CHANGED',
    `Files keep changing while they are copied: ${job.fromPath}`,
    {
      data: { path: job.fromPath, changed: displayPath(last?.path ?? '') },
      hint: 'Stop what writes there, then run the same command again.',
    },
  );
}

function notEqual(job: CopyJob, difference: TreeChange): GhostsnapError {
  const at = displayPath(difference.path);
  const what = [difference.kind, ...difference.fields].join(' ');
  return new GhostsnapError(
    'VERIFY_FAILED',
    `The copy of ${job.fromPath} differs (${what}): ${at}`,
    {
      data: { path: at, kind: difference.kind, fields: difference.fields },
      hint: 'Run the command as the owner of all files, or as root.',
    },
  );
}

async function firstDifference(job: CopyJob): Promise<TreeChange | null> {
  using from = openDirectoryTree(job.toPath, 'live');
  using to = openDirectoryTree(job.fromPath, 'live');
  const options = { from, to, ...NO_EVIDENCE, ...signalOf(job.work) };
  for await (const change of compareTrees(options)) {
    if (change.kind !== 'uncovered') return change;
  }
  return null;
}

/**
 * `only` is exactly what is brought over. As mere candidates the paths would bring their whole directory:
 * a copy has other inodes than its original, and work on the copy since would be turned back.
 */
async function bringOver(job: CopyJob, only: PathSet | null): Promise<void> {
  using source = openDirectoryTree(job.fromPath, 'live');
  await applyTree({
    livePath: job.toPath,
    source,
    ...NO_EVIDENCE,
    ...(only === null ? {} : { subtreeRoots: only }),
    ...signalOf(job.work),
  });
}

/** Timestamps of older kernels stand still for a tick; equal files are no candidates anyway. */
const TICK_NS = 10_000_000n;

/** By the clock that local filesystems date a change with. */
export function nowNs(): bigint {
  return BigInt(Date.now()) * 1_000_000n;
}

/**
 * After the exchange: what was written to the original since `sinceNs` is brought over to the copy.
 * Differences that come from work on the copy are left alone, and a name that only the copy has is never
 * removed. Of a file that was worked on in both, the later state counts.
 */
export async function carryOverLateWrites(job: CopyJob, sinceNs: bigint): Promise<void> {
  const late = new PathSet();
  using from = openDirectoryTree(job.toPath, 'live');
  using to = openDirectoryTree(job.fromPath, 'live');
  for await (const { kind, path, from: copy, to: original } of compareTrees({
    ...{ from, to, ...NO_EVIDENCE },
  })) {
    if (kind === 'uncovered' || original === null || original.type === 'dir') continue;
    if (original.ctimeNs < sinceNs - TICK_NS || wasWorkedOnSince(copy, original)) continue;
    late.add(path);
  }
  if (late.size > 0) await bringOver(job, late);
}

/**
 * Bringing a file over gives the copy the original's mtime: one that is later comes from work on the copy.
 * The ctime alone says nothing, as it is later by having been brought over; the mtime alone may have been set.
 */
function wasWorkedOnSince(copy: TreeEntry | null, original: TreeEntry): boolean {
  return copy !== null && copy.mtimeNs > original.mtimeNs && copy.ctimeNs > original.ctimeNs;
}

/** Since when the original may hold what the copy that the record tells of does not. */
export function provenSinceNs({ record, path }: WorkspaceDirectory): bigint {
  if (record.provenNs !== undefined) return BigInt(record.provenNs);
  // Written by an earlier version, right after the comparison.
  return new Statx().read(AT_FDCWD, rawFromText(`${path}/workspace.json`)).ctimeNs;
}

function signalOf(work: WorkOptions): { signal?: AbortSignal } {
  return work.signal === undefined ? {} : { signal: work.signal };
}

function progressOf(work: WorkOptions): { onProgress?: Progress } {
  return work.onProgress === undefined ? {} : { onProgress: work.onProgress };
}
