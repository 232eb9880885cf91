/**
 * Undo and redo: walking the history of states.
 *
 * Undo goes to the newest earlier state that differs from the live tree, redo to the next later one.
 * States that look the same are passed over: nobody types `undo` to see nothing happen. Differences in
 * mtime alone do not count, and neither does what no turn of this user could give back, as the owner of
 * another user's file: a state that is reached as far as permitted would be gone to again and again.
 * Every step is a turn with its own precautionary snapshot.
 */
import { GhostsnapError } from '../core/errors.ts';
import type { SnapshotId } from '../core/ids.ts';
import type { TreeChange } from '../core/tree-change.ts';
import type { WorkspaceSession } from './workspace-session.ts';

export interface HistoryTarget {
  readonly target: SnapshotId;
  readonly position: number;
}

/** Entries are read in pages of this many, newest first. */
const PAGE = 64;

/** Inside `session.run`. @throws GhostsnapError NOTHING_TO_UNDO */
export async function findUndoTarget(session: WorkspaceSession): Promise<HistoryTarget> {
  const { historyLength, cursor } = session.state;
  // While the cursor stands on an entry, the live tree may have been edited since: then undo goes there first.
  const end = cursor === historyLength ? historyLength : cursor + 1;
  const { catalog } = session.ports;
  const differs = differenceFromLive(session);
  for (let to = end; to > 0; to -= PAGE) {
    const page = catalog.history(session.ref.id, Math.max(0, to - PAGE), to);
    for (const entry of page.toReversed()) {
      if (await differs(entry.id)) return { target: entry.id, position: entry.position };
    }
  }
  throw new GhostsnapError('NOTHING_TO_UNDO', `Nothing to undo in ${session.ref.path}`, {
    hint: 'Every kept earlier state equals the live tree; "ghostsnap log" lists them.',
  });
}

/** Inside `session.run`. @throws GhostsnapError NOTHING_TO_REDO */
export async function findRedoTarget(session: WorkspaceSession): Promise<HistoryTarget> {
  const { historyLength, cursor } = session.state;
  if (cursor === historyLength) throw nothingToRedo(session, 'nothing was undone');
  const { catalog } = session.ports;
  const differs = differenceFromLive(session);
  const here = catalog.history(session.ref.id, cursor, cursor + 1)[0];
  if (here !== undefined && (await differs(here.id))) {
    throw nothingToRedo(session, 'the workspace changed since the undo');
  }
  for (let from = cursor + 1; from < historyLength; from += PAGE) {
    for (const entry of catalog.history(
      session.ref.id,
      from,
      Math.min(from + PAGE, historyLength),
    )) {
      if (await differs(entry.id)) return { target: entry.id, position: entry.position };
    }
  }
  throw nothingToRedo(session, 'the live tree is at the last state');
}

/** Looks into a state only where it is not proven to be the one before, which was the live tree. */
function differenceFromLive(session: WorkspaceSession): (id: SnapshotId) => Promise<boolean> {
  const { backend } = session.ports;
  let same: SnapshotId | null = null;
  return async (id) => {
    if (same !== null && backend.areProvenSame(session.ref, same, id)) return false;
    if (await differsFromLive(session, id)) return true;
    same = id;
    return false;
  };
}

async function differsFromLive(session: WorkspaceSession, id: SnapshotId): Promise<boolean> {
  const changes = session.ports.backend.compare(session.ref, id, 'live', { mtimes: false });
  for await (const change of changes) {
    if (change.kind === 'uncovered') continue;
    if (session.ports.backend.properties.canGiveOwners || !isBeyondReach(change)) return true;
  }
  return false;
}

/** A difference that stays after every turn of a user who may neither give files away nor make devices. */
function isBeyondReach({ kind, fields, from }: TreeChange): boolean {
  if (kind === 'metadata') return fields.every((field) => field === 'owner' || field === 'mtime');
  return kind === 'deleted' && (from?.type === 'chardev' || from?.type === 'blockdev');
}

function nothingToRedo(session: WorkspaceSession, why: string): GhostsnapError {
  return new GhostsnapError('NOTHING_TO_REDO', `Nothing to redo: ${why}, in ${session.ref.path}`, {
    hint: 'Go to any state with "ghostsnap rollback ID"; "ghostsnap log" lists them.',
  });
}
