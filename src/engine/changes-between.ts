/**
 * What may have changed the tree between two snapshots: tool calls that ran meanwhile, turns, and changes
 * that no call made.
 *
 * Ids of one workspace are ordered among each other, so which call began before which snapshot is exact.
 * An end has only its millisecond: where that decides nothing, the calls that overlap say it, and what
 * still cannot be told apart is counted in.
 */
import { type SnapshotId, type Ulid, ulidOf, ulidTimeMs } from '../core/ids.ts';
import { callInfo, promptInfo, sessionInfo } from './agent-info.ts';
import type { CallInfo, PromptInfo, SessionInfo } from './call-results.ts';
import type { CallRow, OperationRow } from './ports.ts';
import type { WorkspaceSession } from './workspace-session.ts';

/** One call, with whose it was. */
export interface CallOfSession {
  readonly call: CallInfo;
  readonly session: SessionInfo | null;
  readonly prompt: PromptInfo | null;
}

export interface ChangesBetween {
  /** Oldest first; calls that only read are not among them. */
  readonly calls: readonly CallOfSession[];
  /** Rollbacks, restores, undos: oldest first. */
  readonly operations: readonly OperationRow[];
  /** A change that no call made was found between them. */
  readonly unattributed: boolean;
}

export interface Span {
  readonly from: SnapshotId;
  readonly to: SnapshotId;
}

/** Rows read at once, and looked through at most. */
const PAGE = 512;
const ROWS_SEARCHED = 100_000;

export function changesBetween(session: WorkspaceSession, span: Span): ChangesBetween {
  const { catalog } = session.ports;
  const { id } = session.ref;
  const [from, to] = [ulidOf(span.from), ulidOf(span.to)];
  const isBetween = (ulid: Ulid): boolean => ulid > from && ulid < to;
  const rows = callsBefore(session, to);
  return {
    calls: rows
      .filter((row) => isBetween(ulidOf(row.call)) || ranOn(row, rows, span.from))
      .map((row) => ofSession(session, row)),
    operations: catalog
      .listOperations(id, ROWS_SEARCHED)
      .filter((row) => isBetween(ulidOf(row.operation)) && row.outcome === 'completed')
      .reverse(),
    unattributed: catalog
      .listUnattributed(id, ROWS_SEARCHED)
      .some(({ snapshot }) => snapshot > span.from && snapshot <= span.to),
  };
}

/** Calls that may change things and began before the moment, oldest first. */
function callsBefore(session: WorkspaceSession, moment: Ulid): readonly CallRow[] {
  const { catalog } = session.ports;
  const found: CallRow[] = [];
  for (let before: CallRow['call'] | null = null, read = 0; read < ROWS_SEARCHED; ) {
    const page: readonly CallRow[] = catalog.listCalls(session.ref.id, {
      limit: PAGE,
      ...(before === null ? {} : { before }),
    });
    found.push(...page.filter((row) => !row.readOnly && ulidOf(row.call) < moment));
    before = page.at(-1)?.call ?? null;
    read += page.length;
    if (page.length < PAGE) break;
  }
  return found.reverse();
}

/** Whether a call that began before `from` may still have run after it. */
function ranOn(row: CallRow, rows: readonly CallRow[], from: SnapshotId): boolean {
  if (ulidOf(row.call) > ulidOf(from)) return false;
  if (row.endedAtMs === null) return true;
  const fromMs = ulidTimeMs(ulidOf(from));
  if (row.endedAtMs !== fromMs) return row.endedAtMs > fromMs;
  const next = rows.find(({ snapshot }) => snapshot === from);
  return next === undefined || next.overlaps.includes(row.call);
}

function ofSession(session: WorkspaceSession, row: CallRow): CallOfSession {
  const { catalog } = session.ports;
  const { id } = session.ref;
  const whose = catalog.session(id, row.session);
  const prompt =
    row.prompt === null
      ? undefined
      : catalog
          .listPrompts(id, { session: row.session, limit: ROWS_SEARCHED })
          .find((one) => one.prompt === row.prompt);
  return {
    call: callInfo(row),
    session: whose === null ? null : sessionInfo(whose),
    prompt: prompt === undefined ? null : promptInfo(prompt),
  };
}
