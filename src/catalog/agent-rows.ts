/**
 * Reading the tables about agents: sessions, prompts, calls, changes without a call.
 */
import type { CallId, PromptId, SnapshotId, WorkspaceId } from '../core/ids.ts';
import type {
  CallQuery,
  CallRow,
  PromptRow,
  SessionRow,
  UnattributedRow,
} from '../engine/ports.ts';
import type { Row, Statements } from './statements.ts';

/** Every id is ASCII below '~'. */
const AFTER_EVERY_ID = '~';
const NO_LIMIT = -1;

const IN_WORKSPACE = 'workspace = (SELECT number FROM workspaces WHERE id = ?1)';
const SQL = {
  sessions: `SELECT * FROM sessions WHERE ${IN_WORKSPACE} ORDER BY started_sequence DESC LIMIT ?2`,
  session: `SELECT * FROM sessions WHERE ${IN_WORKSPACE} AND id = ?2`,
  prompts: `SELECT * FROM prompts WHERE ${IN_WORKSPACE} ORDER BY id DESC LIMIT ?2`,
  promptsOf: `SELECT * FROM prompts
    WHERE ${IN_WORKSPACE} AND session = ?3 ORDER BY id DESC LIMIT ?2`,
  calls: `SELECT * FROM calls WHERE ${IN_WORKSPACE} AND id < ?3 ORDER BY id DESC LIMIT ?2`,
  callsOf: `SELECT * FROM calls
    WHERE ${IN_WORKSPACE} AND id < ?3 AND session = ?4 ORDER BY id DESC LIMIT ?2`,
  call: `SELECT * FROM calls WHERE ${IN_WORKSPACE} AND id = ?2`,
  unattributed: `SELECT * FROM unattributed
    WHERE ${IN_WORKSPACE} ORDER BY snapshot DESC LIMIT ?2`,
} as const;

export function readSessions(
  statements: Statements,
  workspace: WorkspaceId,
  limit: number,
): readonly SessionRow[] {
  return statements.all(SQL.sessions, workspace, limit).map(sessionRowOf);
}

export function readSession(
  statements: Statements,
  workspace: WorkspaceId,
  session: string,
): SessionRow | null {
  const row = statements.get(SQL.session, workspace, session);
  return row === undefined ? null : sessionRowOf(row);
}

export function readPrompts(
  statements: Statements,
  workspace: WorkspaceId,
  query: { readonly session?: string; readonly limit?: number },
): readonly PromptRow[] {
  const limit = query.limit ?? NO_LIMIT;
  const rows =
    query.session === undefined
      ? statements.all(SQL.prompts, workspace, limit)
      : statements.all(SQL.promptsOf, workspace, limit, query.session);
  return rows.map((row) => ({
    prompt: row.id as PromptId,
    session: row.session as string,
    text: row.text as string,
    atMs: row.at_ms as number,
  }));
}

export function readCalls(
  statements: Statements,
  workspace: WorkspaceId,
  query: CallQuery,
): readonly CallRow[] {
  const limit = query.limit ?? NO_LIMIT;
  const before = query.before ?? AFTER_EVERY_ID;
  const rows =
    query.session === undefined
      ? statements.all(SQL.calls, workspace, limit, before)
      : statements.all(SQL.callsOf, workspace, limit, before, query.session);
  return rows.map(callRowOf);
}

export function readCall(
  statements: Statements,
  workspace: WorkspaceId,
  call: CallId,
): CallRow | null {
  const row = statements.get(SQL.call, workspace, call);
  return row === undefined ? null : callRowOf(row);
}

export function readUnattributed(
  statements: Statements,
  workspace: WorkspaceId,
  limit: number,
): readonly UnattributedRow[] {
  return statements.all(SQL.unattributed, workspace, limit).map((row) => ({
    snapshot: row.snapshot as SnapshotId,
    since: row.since as CallId,
    atMs: row.at_ms as number,
  }));
}

function sessionRowOf(row: Row): SessionRow {
  return {
    session: row.id as string,
    harness: row.harness as string,
    parent: row.parent as string | null,
    startedAtMs: row.started_at_ms as number,
    endedAtMs: row.ended_at_ms as number | null,
  };
}

function callRowOf(row: Row): CallRow {
  return {
    call: row.id as CallId,
    session: row.session as string,
    prompt: row.prompt as PromptId | null,
    tool: row.tool as string,
    input: row.input as string,
    key: row.key as string,
    snapshot: row.snapshot as SnapshotId | null,
    readOnly: row.read_only === 1,
    unprotected: row.unprotected as string | null,
    overlaps: JSON.parse(String(row.overlaps)) as readonly CallId[],
    begunAtMs: row.begun_at_ms as number,
    endedAtMs: row.ended_at_ms as number | null,
    outcome: row.outcome as CallRow['outcome'],
    changes: changesOf(row),
    judged: row.judged === null ? null : (JSON.parse(String(row.judged)) as CallRow['judged']),
  };
}

function changesOf(row: Row): CallRow['changes'] {
  const { added, deleted, modified, digest } = row;
  if (digest === null) return null;
  return {
    added: added as number,
    deleted: deleted as number,
    modified: modified as number,
    digest: digest as string,
  };
}
