/**
 * Checking a catalog: SQLite's own structure, then every projection against a replay of the events.
 *
 * Nothing is changed. The replay goes into a database in memory with the same schema, and the tables are
 * compared row by row in the order of their keys, so that memory holds the replay and no more.
 */
import { DatabaseSync } from 'node:sqlite';
import { GhostsnapError } from '../core/errors.ts';
import { listLogs, replayWorkspace } from './catalog-replay.ts';
import { migrate } from './migrate.ts';
import { openDatabase } from './open-catalog.ts';
import { insertWorkspace } from './projection.ts';
import { catalogFailure } from './sqlite-failure.ts';
import { Statements } from './statements.ts';

/** The columns that follow from events, in key order; a stamp does not. */
const COMPARED = [
  ['workspaces', 'number, id, path, backend, pool, status, sequence, state', 'number'],
  ['snapshots', '*', 'workspace, id'],
  ['operations', '*', 'workspace, id'],
  ['history', '*', 'workspace, position'],
  ['sessions', '*', 'workspace, id'],
  ['prompts', '*', 'workspace, id'],
  ['calls', '*', 'workspace, id'],
  ['unattributed', '*', 'workspace, snapshot'],
] as const;

const PROBLEMS_MAX = 20;
const BUSY_TIMEOUT_MS = 10_000;

/**
 * What is wrong, a sentence each, at most 20; empty: the catalog is sound.
 * @throws GhostsnapError FORMAT_TOO_NEW, NOT_PERMITTED, LOCKED, IO; damage is returned, not thrown
 */
export function verifyCatalog(options: { readonly file: string }): readonly string[] {
  const { file } = options;
  try {
    using database = openDatabase({ file, access: 'readonly', busyTimeoutMs: BUSY_TIMEOUT_MS });
    // One read transaction: a writer in between must not look like a difference.
    database.exec('BEGIN');
    const structure = checkStructure(database);
    return structure.length > 0 ? structure : compareWithReplay(database, file);
  } catch (error) {
    const failure = catalogFailure(error, file);
    if (failure instanceof GhostsnapError && failure.code === 'CATALOG_CORRUPT') {
      return [failure.message];
    }
    throw failure;
  }
}

function checkStructure(database: DatabaseSync): string[] {
  // Unlike quick_check it also compares the indexes with their tables.
  const rows = database.prepare(`PRAGMA integrity_check(${PROBLEMS_MAX})`).all();
  return rows.map((row) => String(row.integrity_check)).filter((text) => text !== 'ok');
}

function compareWithReplay(database: DatabaseSync, file: string): string[] {
  using replayed = new DatabaseSync(':memory:');
  migrate(replayed);
  const from = new Statements(database);
  const into = new Statements(replayed);
  replayed.exec('BEGIN');
  for (const log of listLogs(from, file)) {
    insertWorkspace(into, log.workspace, log.number);
    replayWorkspace(from, into, log);
  }
  const problems: string[] = [];
  for (const [table, columns, key] of COMPARED) {
    const sql = `SELECT ${columns} FROM ${table} ORDER BY ${key}`;
    const difference = firstDifference(from.iterate(sql), into.iterate(sql));
    if (difference !== null) problems.push(`The table ${table} ${difference}.`);
  }
  return problems;
}

/** Stops at the first difference: what follows it would only repeat it. */
function firstDifference(stored: Iterable<unknown>, replayed: Iterable<unknown>): string | null {
  const left = stored[Symbol.iterator]();
  const right = replayed[Symbol.iterator]();
  for (;;) {
    const a = left.next();
    const b = right.next();
    if (a.done === true && b.done === true) return null;
    const text = a.done === true ? 'nothing' : JSON.stringify(a.value);
    const expected = b.done === true ? 'nothing' : JSON.stringify(b.value);
    if (text !== expected) return `holds ${text} where the events give ${expected}`;
  }
}
