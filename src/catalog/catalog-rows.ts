/**
 * From the projections' rows to the values that the engine reads. The tables are STRICT, so a column
 * holds the type it was declared with; what was written there came through the core.
 */
import type { OperationId, SnapshotId, WorkspaceId } from '../core/ids.ts';
import type { WorkspaceState } from '../core/state.ts';
import type { OperationRow, SnapshotRow, WorkspaceRow } from '../engine/ports.ts';
import { corruptCatalog } from './sqlite-failure.ts';
import type { Row } from './statements.ts';

export const SNAPSHOT_COLUMNS =
  'id, created_at_ms, role, parent, label, tool, session, call, pinned';
export const OPERATION_COLUMNS =
  'id, kind, target, precautionary, mode, started_at_ms, ended_at_ms, outcome, changes, paths, token';
export const WORKSPACE_COLUMNS = 'id, path, backend, status';

export function snapshotRowOf(row: Row): SnapshotRow {
  return {
    id: row.id as SnapshotId,
    createdAtMs: row.created_at_ms as number,
    role: row.role as SnapshotRow['role'],
    parent: row.parent as SnapshotId | null,
    label: row.label as string | null,
    tool: row.tool as string | null,
    session: row.session as string | null,
    call: row.call as string | null,
    pinned: row.pinned === 1,
  };
}

export function operationRowOf(row: Row, file: string): OperationRow {
  return {
    operation: row.id as OperationId,
    kind: row.kind as OperationRow['kind'],
    target: row.target as SnapshotId,
    precautionary: row.precautionary as SnapshotId,
    mode: row.mode as OperationRow['mode'],
    startedAtMs: row.started_at_ms as number,
    endedAtMs: row.ended_at_ms as number | null,
    outcome: row.outcome as OperationRow['outcome'],
    changes: row.changes as number | null,
    paths: parseJson(row.paths, file) as readonly string[],
    token: row.token as string,
  };
}

export function workspaceRowOf(row: Row): WorkspaceRow {
  return {
    workspace: row.id as WorkspaceId,
    path: row.path as string,
    backend: row.backend as string,
    status: row.status as WorkspaceRow['status'],
  };
}

/** @throws GhostsnapError CATALOG_CORRUPT */
export function stateOf(row: Row, file: string): WorkspaceState {
  const stored = parseJson(row.state, file) as WorkspaceState;
  // The canonical text leaves it out where nothing is armed.
  return { ...stored, armed: stored.armed ?? null };
}

function parseJson(text: unknown, file: string): unknown {
  try {
    return JSON.parse(String(text));
  } catch (error) {
    throw corruptCatalog(file, 'A row of the catalog is not readable', error);
  }
}
