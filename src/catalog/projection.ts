/**
 * What an event does to the projections: the tables that follow from the events.
 *
 * Applying the same events to empty tables gives the same rows, whoever does it and when: a commit, a
 * rebuild and a verification all come through here. Applied in sequence order, inside a transaction of
 * the caller's. Positions of the undo history are `historyStep`'s, the same arithmetic as the state's.
 */
import type { Event } from '../core/event.ts';
import { historyStep } from '../core/history.ts';
import type { SnapshotId, WorkspaceId } from '../core/ids.ts';
import type { WorkspaceState } from '../core/state.ts';
import { forgetAgents, isAgentEvent, projectAgentEvent } from './agent-projection.ts';
import type { Statements } from './statements.ts';

const INSERT_WORKSPACE = `
INSERT INTO workspaces (number, id, path, backend, pool, status, sequence, state, stamp)
VALUES (?, ?, '', '', '', '', 0, '', '') RETURNING number`;
const SET_STATE = 'UPDATE workspaces SET status = ?, sequence = ?, state = ? WHERE number = ?';
const SET_ORIGIN = 'UPDATE workspaces SET path = ?, backend = ?, pool = ? WHERE number = ?';
const SET_PATH = 'UPDATE workspaces SET path = ? WHERE number = ?';
// A snapshot that was lost and is found again is recorded anew.
const INSERT_SNAPSHOT = `
INSERT OR REPLACE INTO snapshots
  (workspace, id, created_at_ms, role, parent, label, tool, session, call, pinned)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0)`;
const DELETE_SNAPSHOT = 'DELETE FROM snapshots WHERE workspace = ? AND id = ?';
const DELETE_SNAPSHOTS = 'DELETE FROM snapshots WHERE workspace = ?';
const SET_LABEL = 'UPDATE snapshots SET label = ? WHERE workspace = ? AND id = ?';
const SET_PINNED = 'UPDATE snapshots SET pinned = ? WHERE workspace = ? AND id = ?';
const INSERT_OPERATION = `
INSERT INTO operations
  (workspace, id, kind, target, precautionary, mode, started_at_ms, outcome, paths, token)
VALUES (?, ?, ?, ?, ?, ?, ?, 'in-flight', ?, ?)`;
const END_OPERATION = `
UPDATE operations SET ended_at_ms = ?, outcome = ?, changes = ? WHERE workspace = ? AND id = ?`;
const CUT_HISTORY = 'DELETE FROM history WHERE workspace = ? AND position >= ?';
const INSERT_HISTORY = 'INSERT INTO history (workspace, position, snapshot) VALUES (?, ?, ?)';
const DELETE_FROM_HISTORY = 'DELETE FROM history WHERE workspace = ? AND snapshot = ?';

/** Makes the row of a workspace that is new, before its first event. Its number, the next free one if null. */
export function insertWorkspace(
  statements: Statements,
  id: WorkspaceId,
  number: number | null = null,
): number {
  return Number(statements.get(INSERT_WORKSPACE, number, id)?.number);
}

/** Stores the state that the events lead to. */
/** @param text the state's canonical text */
export function projectState(
  statements: Statements,
  number: number,
  { state, text }: { readonly state: WorkspaceState; readonly text: string },
): void {
  statements.run(SET_STATE, state.status, state.sequence, text, number);
}

/**
 * @param number the workspace's row
 * @param before the state before `event`
 */
export function projectEvent(
  statements: Statements,
  number: number,
  before: WorkspaceState,
  event: Event,
): void {
  if (isAgentEvent(event)) {
    projectAgentEvent(statements, number, event);
    return;
  }
  projectHistory(statements, number, before, event);
  switch (event.type) {
    case 'workspace.created':
      statements.run(SET_ORIGIN, event.path, event.backend, event.pool, number);
      return;
    case 'workspace.rebound':
      statements.run(SET_PATH, event.path, number);
      return;
    case 'workspace.destroyed':
      statements.run(DELETE_SNAPSHOTS, number);
      statements.run(CUT_HISTORY, number, 0);
      forgetAgents(statements, number);
      return;
    case 'snapshot.created': {
      const { id, atMs, role, parent, label, tool, session, call } = event;
      const given = [role, parent, label, tool, session, call];
      statements.run(INSERT_SNAPSHOT, number, id, atMs, ...given);
      return;
    }
    case 'snapshot.labelled':
      statements.run(SET_LABEL, event.label, number, event.id);
      return;
    case 'snapshot.pinned':
      statements.run(SET_PINNED, 1, number, event.id);
      return;
    case 'snapshot.unpinned':
      statements.run(SET_PINNED, 0, number, event.id);
      return;
    case 'snapshot.lost':
      forget(statements, number, event.id);
      return;
    case 'snapshots.deleted':
      for (const id of event.ids) forget(statements, number, id);
      return;
    case 'turn.started': {
      const { operation, kind, target, precautionary, mode, atMs, paths, token } = event;
      const values = [operation, kind, target, precautionary, mode, atMs];
      statements.run(INSERT_OPERATION, number, ...values, JSON.stringify(paths), token);
      return;
    }
    case 'turn.completed':
      endOperation(statements, number, event, event.changes);
      return;
    case 'turn.abandoned':
      endOperation(statements, number, event, null);
      return;
    case 'workspace.activated':
    case 'workspace.destroying':
    case 'snapshots.deleting':
      return;
  }
}

function projectHistory(
  statements: Statements,
  number: number,
  before: WorkspaceState,
  event: Event,
): void {
  const step = historyStep(before, event);
  if (step === null) return;
  if (step.cutFrom < before.historyLength) statements.run(CUT_HISTORY, number, step.cutFrom);
  for (const [index, id] of step.append.entries()) {
    statements.run(INSERT_HISTORY, number, step.cutFrom + index, id);
  }
}

function forget(statements: Statements, number: number, id: SnapshotId): void {
  statements.run(DELETE_SNAPSHOT, number, id);
  statements.run(DELETE_FROM_HISTORY, number, id);
}

function endOperation(
  statements: Statements,
  number: number,
  event: Extract<Event, { type: 'turn.completed' | 'turn.abandoned' }>,
  changes: number | null,
): void {
  const outcome = event.type === 'turn.completed' ? 'completed' : 'abandoned';
  statements.run(END_OPERATION, event.atMs, outcome, changes, number, event.operation);
}
