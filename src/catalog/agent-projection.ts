/**
 * What the events about agents do to their tables: sessions, prompts, calls, changes without a call.
 *
 * Same rules as for the other projections: the same events give the same rows. An overlap is written
 * into both calls, so that either row says it.
 */
import type { Event } from '../core/event.ts';
import type { Statements } from './statements.ts';

/** A session that is started again was resumed: its first harness and parent stay. */
const START_SESSION = `
INSERT INTO sessions (workspace, id, harness, parent, started_at_ms, started_sequence)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET started_at_ms = excluded.started_at_ms,
  started_sequence = excluded.started_sequence, ended_at_ms = NULL`;
const END_SESSION = 'UPDATE sessions SET ended_at_ms = ? WHERE workspace = ? AND id = ?';
const INSERT_PROMPT =
  'INSERT INTO prompts (workspace, id, session, text, at_ms) VALUES (?, ?, ?, ?, ?)';
const INSERT_CALL = `
INSERT INTO calls (workspace, id, session, prompt, tool, input, key, snapshot, read_only,
  unprotected, overlaps, begun_at_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;
const ADD_OVERLAP = `
UPDATE calls SET overlaps = json_insert(overlaps, '$[#]', ?) WHERE workspace = ? AND id = ?`;
const END_CALL = 'UPDATE calls SET ended_at_ms = ?, outcome = ? WHERE workspace = ? AND id = ?';
const MEASURE_CALL = `
UPDATE calls SET added = ?, deleted = ?, modified = ?, digest = ? WHERE workspace = ? AND id = ?`;
const JUDGE_CALL = 'UPDATE calls SET judged = ? WHERE workspace = ? AND id = ?';
const INSERT_UNATTRIBUTED = `
INSERT OR REPLACE INTO unattributed (workspace, snapshot, since, at_ms) VALUES (?, ?, ?, ?)`;

type AgentEvent = Extract<
  Event,
  { type: `session.${string}` | `prompt.${string}` | `call.${string}` | `change.${string}` }
>;

export function isAgentEvent(event: Event): event is AgentEvent {
  return /^(?:session|prompt|call|change)\./.test(event.type);
}

/** @param number the workspace's row */
export function projectAgentEvent(statements: Statements, number: number, event: AgentEvent): void {
  const { atMs } = event;
  switch (event.type) {
    case 'session.started': {
      const { session, harness, parent, sequence } = event;
      statements.run(START_SESSION, number, session, harness, parent, atMs, sequence);
      return;
    }
    case 'session.ended':
      statements.run(END_SESSION, atMs, number, event.session);
      return;
    case 'prompt.submitted':
      statements.run(INSERT_PROMPT, number, event.prompt, event.session, event.text, atMs);
      return;
    case 'call.begun':
      beginCall(statements, number, event);
      return;
    case 'call.ended':
      statements.run(END_CALL, atMs, event.outcome, number, event.call);
      return;
    case 'call.measured': {
      const { added, deleted, modified, digest, call } = event;
      statements.run(MEASURE_CALL, added, deleted, modified, digest, number, call);
      return;
    }
    case 'call.judged': {
      const { action, findings, operation, call } = event;
      const judged = JSON.stringify({ action, findings, operation });
      statements.run(JUDGE_CALL, judged, number, call);
      return;
    }
    case 'change.unattributed':
      statements.run(INSERT_UNATTRIBUTED, number, event.snapshot, event.since, atMs);
      return;
  }
}

/** A destroyed workspace keeps its events and nothing else. */
export function forgetAgents(statements: Statements, number: number): void {
  for (const table of ['sessions', 'prompts', 'calls', 'unattributed'] as const) {
    statements.run(`DELETE FROM ${table} WHERE workspace = ?`, number);
  }
}

function beginCall(
  statements: Statements,
  number: number,
  event: Extract<AgentEvent, { type: 'call.begun' }>,
): void {
  const { call, session, prompt, tool, input, key, snapshot, unprotected, overlaps } = event;
  const facts = [session, prompt, tool, input, key, snapshot, event.readOnly ? 1 : 0, unprotected];
  statements.run(INSERT_CALL, number, call, ...facts, JSON.stringify(overlaps), event.atMs);
  for (const other of overlaps) statements.run(ADD_OVERLAP, call, number, other);
}
