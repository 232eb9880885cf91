/**
 * Replaying the event log into projections: what a rebuild writes and a verification compares with.
 */
import type { Event } from '../core/event.ts';
import { emptyState, encodeState, foldEvent } from '../core/fold-event.ts';
import type { WorkspaceState } from '../core/state.ts';
import { type EventLogRef, readAllEvents } from './event-log.ts';
import { projectEvent, projectState } from './projection.ts';
import { corruptCatalog, isSqliteFailure } from './sqlite-failure.ts';
import type { Statements } from './statements.ts';

/**
 * Folds and projects all events of one workspace.
 * @param from where the events are
 * @param into where the projections go; the same connection, or another with a row of the same number
 * @throws GhostsnapError CATALOG_CORRUPT when an event is missing, unreadable or cannot follow
 */
export function replayWorkspace(
  from: Statements,
  into: Statements,
  log: EventLogRef,
): WorkspaceState {
  let state = emptyState(log.workspace);
  for (const event of readAllEvents(from, log)) {
    state = replayEvent(into, log, state, event);
  }
  projectState(into, log.number, { state, text: encodeState(state) });
  return state;
}

function replayEvent(
  into: Statements,
  log: EventLogRef,
  state: WorkspaceState,
  event: Event,
): WorkspaceState {
  try {
    const next = foldEvent(state, event);
    projectEvent(into, log.number, state, event);
    return next;
  } catch (error) {
    // What SQLite says of its file is another matter.
    if (isSqliteFailure(error)) throw error;
    // In a commit a failed fold is a bug of ours; of an event that was read it means a damaged file, as
    // does one that lacks a field which a column needs.
    const what = `Event ${event.sequence} of ${log.workspace} does not follow the ones before it`;
    throw corruptCatalog(log.file, what, error);
  }
}

/** The workspaces of a catalog, by number. */
export function listLogs(statements: Statements, file: string): EventLogRef[] {
  return statements.all('SELECT number, id FROM workspaces ORDER BY number').map((row) => ({
    number: row.number as number,
    workspace: row.id as EventLogRef['workspace'],
    file,
  }));
}
