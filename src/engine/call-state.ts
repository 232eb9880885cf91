/**
 * The state that a tool call left behind.
 *
 * Snapshots are taken before things happen, so a call's result is the first snapshot after its end, or
 * the live tree when there is none yet. That holds only while nothing in between was pruned or turned:
 * where it cannot be known, it is an error, never a guess.
 */
import { GhostsnapError } from '../core/errors.ts';
import { type SnapshotId, ulidOf, ulidTimeMs } from '../core/ids.ts';
import type { CallRow, SnapshotRow } from './ports.ts';
import type { WorkspaceSession } from './workspace-session.ts';

/** Operations looked at for one that turned the tree in between. */
const OPERATIONS_SEARCHED = 1000;

/**
 * @throws GhostsnapError WORKSPACE_BUSY while the call has not ended; SNAPSHOT_NOT_FOUND when its states
 *   are not kept (any more)
 */
export function stateAfterCall(session: WorkspaceSession, row: CallRow): SnapshotId | 'live' {
  if (row.endedAtMs === null) {
    throw new GhostsnapError('WORKSPACE_BUSY', `The call ${row.call} has not ended.`, {
      hint: 'Wait for its end, or end its session.',
    });
  }
  const { catalog } = session.ports;
  const { snapshot } = row;
  if (snapshot === null || catalog.snapshot(session.ref.id, snapshot) === null) {
    throw notKept(row, 'the state before it');
  }
  const later = snapshotsAfter(session, snapshot);
  const endedAtMs = endOf(row, later);
  const after = later.find(({ id }) => ulidTimeMs(ulidOf(id)) >= endedAtMs);
  const reached = after === undefined ? Number.POSITIVE_INFINITY : ulidTimeMs(ulidOf(after.id));
  const isTurned = catalog
    .listOperations(session.ref.id, OPERATIONS_SEARCHED)
    .some(({ startedAtMs }) => startedAtMs >= endedAtMs && startedAtMs < reached);
  const parent = after === undefined ? catalog.loadState(session.ref.id)?.head : after.parent;
  const isKnown = parent === snapshot || later.some(({ id }) => id === parent);
  if (isTurned || !isKnown) throw notKept(row, 'the state after it');
  return after?.id ?? 'live';
}

/** Nobody reported the end of such a call: what it did is in the next snapshot at the latest. */
function endOf(row: CallRow, later: readonly SnapshotRow[]): number {
  const next = later[0];
  if (row.outcome !== 'unknown' || next === undefined) return row.endedAtMs ?? 0;
  return Math.min(row.endedAtMs ?? 0, ulidTimeMs(ulidOf(next.id)));
}

const PAGE = 256;

/** Oldest first. */
function snapshotsAfter(session: WorkspaceSession, id: SnapshotId): readonly SnapshotRow[] {
  const { catalog } = session.ports;
  const found: SnapshotRow[] = [];
  for (let before: SnapshotId | null = null; ; ) {
    const page: readonly SnapshotRow[] = catalog.listSnapshots(session.ref.id, {
      limit: PAGE,
      ...(before === null ? {} : { before }),
    });
    const newer = page.filter((row) => row.id > id);
    found.push(...newer);
    const last = page.at(-1);
    if (last === undefined || newer.length < page.length) return found.reverse();
    before = last.id;
  }
}

function notKept(row: CallRow, what: string): GhostsnapError {
  return new GhostsnapError(
    'SNAPSHOT_NOT_FOUND',
    `What the call ${row.call} did is not known any more: ${what} is not kept.`,
    {
      hint: 'See what is kept with "ghostsnap log --flat", and compare with "ghostsnap diff".',
      data: { call: row.call },
    },
  );
}
