/**
 * Kept answers in a SQLite file that never waits for the disk.
 *
 * It is written on the thread that every tool call waits for, several hundred times a second, so nothing
 * here syncs while the service runs: no commit and no checkpoint. What the kernel holds survives the
 * process, and nothing survives the power: a file that another boot of the machine wrote is believed only
 * when it was closed in order, which syncs it. Otherwise, or when it is damaged, it begins anew, empty.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { GhostsnapError } from '../core/errors.ts';
import type { AnswerStore, KeptAnswer } from './answer-store.ts';

const FORMAT = 1;
/** 'gsan' */
const APPLICATION_ID = 0x6773616e;

const SCHEMA = `
CREATE TABLE answers (
  number INTEGER PRIMARY KEY,
  request TEXT NOT NULL UNIQUE,
  fingerprint TEXT NOT NULL,
  body TEXT NOT NULL,
  at_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE written_by (boot TEXT NOT NULL, closed INTEGER NOT NULL) STRICT;
`;

/** Answers that one call forgets: well below a millisecond's work. */
const FORGET_BATCH = 512;

export interface AnswersFile {
  readonly file: string;
  /** Another one after each start of the machine. */
  readonly bootId: string;
}

export interface OpenedAnswers {
  readonly answers: AnswerStore;
  /** Answers of before were not believed; why, for the log. null: they are there, or there were none. */
  readonly forgotten: string | null;
}

/** @throws GhostsnapError IO when no file can be made there */
export function openAnswers(place: AnswersFile): OpenedAnswers {
  const { file } = place;
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    const distrust = distrustOf(place);
    if (distrust !== null) {
      for (const end of ['', '-wal', '-shm']) rmSync(`${file}${end}`, { force: true });
    }
    return { answers: new SqliteAnswers(place), forgotten: distrust };
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : String(cause);
    throw new GhostsnapError('IO', `The service cannot keep answers: ${said}: ${file}`, {
      hint: 'Look whether its disk is full or damaged.',
      data: { file },
      cause,
    });
  }
}

/** Why what is there is not believed; null: it may be opened, or there is nothing yet. */
function distrustOf({ file, bootId }: AnswersFile): string | null {
  try {
    using database = new DatabaseSync(file);
    const { user_version: format } = database.prepare('PRAGMA user_version').get() as {
      user_version: number;
    };
    if (format === 0) return null;
    if (format !== FORMAT) return `another version wrote them (format ${format})`;
    const by = database.prepare('SELECT boot, closed FROM written_by').get();
    if (by === undefined) return 'they do not say who wrote them';
    return by.closed === 1 || by.boot === bootId ? null : 'the machine went down under them';
  } catch (error) {
    return `they are not readable: ${error instanceof Error ? error.message : String(error)}`;
  }
}

class SqliteAnswers implements AnswerStore {
  readonly #file: string;
  readonly #database: DatabaseSync;
  readonly #find: StatementSync;
  readonly #keep: StatementSync;
  readonly #newest: StatementSync;
  readonly #forget: StatementSync;

  constructor({ file, bootId }: AnswersFile) {
    this.#file = file;
    const database = new DatabaseSync(file);
    this.#database = database;
    // Nobody else reads it: alone, a transaction asks the kernel for no locks.
    database.exec(`PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL; PRAGMA temp_store = 2;`);
    prepareSchema(database);
    // On disk before the first write that may not be: until it is closed again nobody else believes it.
    database.exec('BEGIN IMMEDIATE; DELETE FROM written_by');
    database.prepare('INSERT INTO written_by VALUES (?, 0)').run(bootId);
    database.exec('COMMIT; PRAGMA wal_checkpoint(TRUNCATE); PRAGMA synchronous = OFF');
    this.#find = database.prepare('SELECT * FROM answers WHERE request = ?');
    this.#keep = database.prepare(
      'INSERT OR REPLACE INTO answers (request, fingerprint, body, at_ms) VALUES (?, ?, ?, ?)',
    );
    this.#newest = database.prepare('SELECT max(number) AS n FROM answers');
    this.#forget = database.prepare(
      `DELETE FROM answers WHERE number IN (
         SELECT number FROM answers ORDER BY number LIMIT ${FORGET_BATCH}
       ) AND (at_ms < ? OR number <= ?)`,
    );
  }

  answer(request: string): KeptAnswer | null {
    const row = this.#find.get(request);
    if (row === undefined) return null;
    const { fingerprint, body, at_ms: atMs } = row;
    return {
      ...{ request, fingerprint: String(fingerprint), body: String(body), atMs: Number(atMs) },
    };
  }

  keepAnswers(answers: readonly KeptAnswer[]): void {
    this.#database.exec('BEGIN');
    try {
      for (const { request, fingerprint, body, atMs } of answers) {
        this.#keep.run(request, fingerprint, body, atMs);
      }
      this.#database.exec('COMMIT');
    } catch (error) {
      // A commit that failed has ended its transaction, or has not.
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error;
    }
  }

  forgetAnswers(beforeMs: number, countMax: number): void {
    // Numbers are given in the order of time: what is beyond the count is below a number.
    const newest = Number(this.#newest.get()?.n ?? 0);
    this.#forget.run(beforeMs, newest - countMax);
  }

  /** In order: all of it reaches the disk, then the mark that it has. */
  [Symbol.dispose](): void {
    const database = this.#database;
    try {
      database.exec('PRAGMA synchronous = FULL; PRAGMA wal_checkpoint(TRUNCATE)');
      syncFile(this.#file);
      database.exec('UPDATE written_by SET closed = 1; PRAGMA wal_checkpoint(TRUNCATE)');
    } finally {
      database.close();
    }
  }
}

function prepareSchema(database: DatabaseSync): void {
  const { user_version: format } = database.prepare('PRAGMA user_version').get() as {
    user_version: number;
  };
  if (format === FORMAT) return;
  database.exec(`BEGIN IMMEDIATE; ${SCHEMA}
    PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${FORMAT}; COMMIT;`);
}

/** Pages that earlier checkpoints left to the kernel. */
function syncFile(file: string): void {
  const fd = openSync(file, 'r+');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
