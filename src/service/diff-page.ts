/**
 * A diff, a page at a time, in bounded memory and without anything kept between two pages.
 *
 * Both sides are named by ids in the cursor, so that pages between two snapshots are one diff whatever is
 * taken meanwhile. Each page walks again up to where the last one ended: what was passed over costs a
 * comparison of stats and no answer.
 */
import type { InputOf, OutputOf } from '../api/schema/operations.ts';
import { isSnapshotId, type SnapshotId } from '../core/ids.ts';
import { comparePaths, type RawPath } from '../core/raw-path.ts';
import type { Workspace } from '../engine/workspace-api.ts';
import { decodeCursor, encodeCursor } from './page-cursor.ts';
import { type ChangeView, changeViewOf } from './wire-views.ts';

interface DiffPlace {
  readonly from: SnapshotId;
  readonly to: SnapshotId | 'live';
  /** Of the last change of the page before, a unit a byte. */
  readonly path: string;
}

const PAGE_DEFAULT = 100;

/** @throws GhostsnapError SNAPSHOT_NOT_FOUND, BAD_ARGUMENT, INTERRUPTED */
export async function diffPage(
  workspace: Workspace,
  input: InputOf<'diff'>,
  signal: AbortSignal,
): Promise<OutputOf<'diff'>> {
  const place = input.cursor === undefined ? null : decodeCursor(input.cursor, parsePlace);
  const from = place?.from ?? workspace.resolve(input.from);
  const to = place?.to ?? (input.to === 'live' ? 'live' : workspace.resolve(input.to));
  const limit = input.limit ?? PAGE_DEFAULT;
  const changes: ChangeView[] = [];
  let last: string | null = null;
  const paths = input.paths === undefined ? {} : { paths: input.paths };
  for await (const change of workspace.diff(from, to, { ...paths, signal })) {
    if (place !== null && comparePaths(change.path, place.path as RawPath) <= 0) continue;
    if (changes.length === limit && last !== null) {
      return { from, to, changes, nextCursor: encodeCursor({ from, to, path: last }) };
    }
    changes.push(changeViewOf(change));
    last = change.path;
  }
  return { from, to, changes, nextCursor: null };
}

function parsePlace(value: unknown): DiffPlace | null {
  if (typeof value !== 'object' || value === null) return null;
  const { from, to, path } = value as Record<string, unknown>;
  if (typeof from !== 'string' || typeof to !== 'string' || typeof path !== 'string') return null;
  if (!isSnapshotId(from) || (to !== 'live' && !isSnapshotId(to))) return null;
  return { from, to, path };
}
