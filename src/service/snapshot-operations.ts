/** Snapshots: take one, list them. */
import type { InputOf, OutputOf } from '../api/schema/operations.ts';
import { isSnapshotId, type SnapshotId } from '../core/ids.ts';
import type { Workspace } from '../engine/workspace-api.ts';
import type { CallContext } from './call-context.ts';
import { decodeCursor, encodeCursor } from './page-cursor.ts';
import { snapshotViewOf, uncoveredViews } from './wire-views.ts';

const PAGE_DEFAULT = 100;

export async function takeSnapshot(
  workspace: Workspace,
  input: InputOf<'takeSnapshot'>,
  { signal, trace }: CallContext,
): Promise<OutputOf<'takeSnapshot'>> {
  const { label = null, tool = null, session = null, call = null } = input;
  const taken = await workspace.snapshot({ signal, trace, label, tool, session, call });
  const { durationMs, adopted } = taken;
  const snapshot = snapshotViewOf(workspace.show(taken.id));
  return { snapshot, durationMs, adopted, uncovered: uncoveredViews(taken.uncovered) };
}

export function listSnapshots(
  workspace: Workspace,
  { named, before: first, cursor, limit = PAGE_DEFAULT }: InputOf<'listSnapshots'>,
): OutputOf<'listSnapshots'> {
  if (named !== undefined) {
    return { snapshots: [snapshotViewOf(workspace.show(named))], nextCursor: null };
  }
  const before = cursor === undefined ? first : decodeCursor(cursor, parseId);
  const found = workspace.list({
    limit: limit + 1,
    ...(before === undefined ? {} : { before }),
  });
  const snapshots = found.slice(0, limit).map(snapshotViewOf);
  const last = found.length > limit ? snapshots.at(-1) : undefined;
  return { snapshots, nextCursor: last === undefined ? null : encodeCursor(last.id) };
}

function parseId(value: unknown): SnapshotId | null {
  return typeof value === 'string' && isSnapshotId(value) ? value : null;
}
