/**
 * Version 2: sessions of agents, prompts, tool calls and changes without one, as projections.
 *
 * The stored states get the list of calls in flight that states have since; it comes last, so that the
 * text is what `encodeState` gives. A state that is damaged is left to verification.
 */
import type { Migration } from './migration.ts';

export const toolCalls: Migration = {
  version: 2,
  run: (database) => database.exec(SCHEMA),
};

const SCHEMA = `
CREATE TABLE sessions (
  workspace INTEGER NOT NULL,
  id TEXT NOT NULL,
  harness TEXT NOT NULL,
  parent TEXT,
  started_at_ms INTEGER NOT NULL,
  ended_at_ms INTEGER,
  started_sequence INTEGER NOT NULL,
  PRIMARY KEY (workspace, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_by_start ON sessions (workspace, started_sequence);

CREATE TABLE prompts (
  workspace INTEGER NOT NULL,
  id TEXT NOT NULL,
  session TEXT NOT NULL,
  text TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  PRIMARY KEY (workspace, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX prompts_by_session ON prompts (workspace, session, id);

CREATE TABLE calls (
  workspace INTEGER NOT NULL,
  id TEXT NOT NULL,
  session TEXT NOT NULL,
  prompt TEXT,
  tool TEXT NOT NULL,
  input TEXT NOT NULL,
  key TEXT NOT NULL,
  snapshot TEXT,
  read_only INTEGER NOT NULL,
  unprotected TEXT,
  overlaps TEXT NOT NULL,
  begun_at_ms INTEGER NOT NULL,
  ended_at_ms INTEGER,
  outcome TEXT,
  added INTEGER,
  deleted INTEGER,
  modified INTEGER,
  digest TEXT,
  PRIMARY KEY (workspace, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX calls_by_session ON calls (workspace, session, id);

CREATE TABLE unattributed (
  workspace INTEGER NOT NULL,
  snapshot TEXT NOT NULL,
  since TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  PRIMARY KEY (workspace, snapshot)
) STRICT, WITHOUT ROWID;

UPDATE workspaces SET state = json_set(state, '$.calls', json('[]')) WHERE json_valid(state);
`;
