/**
 * A faithful copy of a whole directory: what a comparison of the two finds equal.
 *
 * The target is turned into the source by the same code that turns a workspace back, so there is
 * one way in which attributes, holes and hard links are carried over. A copy that was stopped is
 * finished by calling it again.
 */
import { ROOT_PATH } from '../core/raw-path.ts';
import type { ApplyResult, WorkOptions } from './backend.ts';
import { countEntries } from './count-entries.ts';
import { openDirectoryTree } from './directory-tree.ts';
import { applyTree } from './tree-apply.ts';

export interface CopyTreeRequest extends WorkOptions {
  readonly fromPath: string;
  /** A directory that exists; what it holds and the source does not is removed. */
  readonly toPath: string;
  /** 'never': every byte is copied. Default 'auto': blocks are shared where the filesystem can. */
  readonly reflink?: 'auto' | 'never';
}

export interface CopyTreeResult {
  /** Entries that were made or changed. */
  readonly entries: number;
  /** What could not be carried over exactly. */
  readonly notes: ApplyResult['notes'];
}

/** @throws GhostsnapError RESTORE_FAILED, POOL_FULL, INTERRUPTED, IO */
export async function copyTree(request: CopyTreeRequest): Promise<CopyTreeResult> {
  const { fromPath, toPath, onProgress, signal } = request;
  using source = openDirectoryTree(fromPath, 'live');
  source.reflink = request.reflink ?? 'auto';
  const total = onProgress === undefined ? null : countEntries(source, ROOT_PATH);
  const result = await applyTree({
    livePath: toPath,
    source,
    sameContent: () => 'unknown',
    ...(onProgress === undefined ? {} : { onProgress: (done: number) => onProgress(done, total) }),
    ...(signal === undefined ? {} : { signal }),
  });
  return { entries: result.changes, notes: result.notes };
}
