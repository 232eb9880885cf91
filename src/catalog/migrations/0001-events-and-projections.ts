/**
 * Version 1: the event log and its projections.
 *
 * `events` is the truth and only ever grows. `workspaces` gives each workspace a small number, so that
 * the rows of millions of snapshots need not repeat its id; its other columns, `snapshots`, `operations`
 * and `history` follow from the events and can be made again from them.
 */
import type { Migration } from './migration.ts';

export const eventsAndProjections: Migration = {
  version: 1,
  run: (database) => database.exec(SCHEMA),
};

const SCHEMA = `
CREATE TABLE workspaces (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  path TEXT NOT NULL,
  backend TEXT NOT NULL,
  pool TEXT NOT NULL,
  status TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  state TEXT NOT NULL,
  stamp TEXT NOT NULL
) STRICT;

CREATE TABLE events (
  workspace INTEGER NOT NULL,
  sequence INTEGER NOT NULL,
  at_ms INTEGER NOT NULL,
  type TEXT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (workspace, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE snapshots (
  workspace INTEGER NOT NULL,
  id TEXT NOT NULL,
  created_at_ms INTEGER NOT NULL,
  role TEXT NOT NULL,
  parent TEXT,
  label TEXT,
  tool TEXT,
  session TEXT,
  call TEXT,
  pinned INTEGER NOT NULL,
  PRIMARY KEY (workspace, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX snapshots_by_label ON snapshots (workspace, label, id) WHERE label IS NOT NULL;

CREATE TABLE operations (
  workspace INTEGER NOT NULL,
  id TEXT NOT NULL,
  kind TEXT NOT NULL,
  target TEXT NOT NULL,
  precautionary TEXT NOT NULL,
  mode TEXT NOT NULL,
  started_at_ms INTEGER NOT NULL,
  ended_at_ms INTEGER,
  outcome TEXT NOT NULL,
  changes INTEGER,
  paths TEXT NOT NULL,
  token TEXT NOT NULL,
  PRIMARY KEY (workspace, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE history (
  workspace INTEGER NOT NULL,
  position INTEGER NOT NULL,
  snapshot TEXT NOT NULL,
  PRIMARY KEY (workspace, position)
) STRICT, WITHOUT ROWID;

CREATE INDEX history_by_snapshot ON history (workspace, snapshot);
`;
