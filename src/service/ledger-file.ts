/**
 * The ledger's file: made whole or not at all, and looked at before it is believed.
 *
 * It says whose each workspace is. One that was cut off, or was put together from two, must not pass for a
 * new one: then every workspace would be the local tenant's without anybody having said so. A new one is
 * therefore made under another name and renamed, so that an empty file is always a damaged one. Whoever
 * starts over on purpose moves the file and what belongs to it away.
 */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { GhostsnapError } from '../core/errors.ts';

const FORMAT = 1;
/** 'gsld' */
const APPLICATION_ID = 0x67736c64;

/** What SQLite keeps beside a database until it is closed in order. */
const BESIDE = ['-wal', '-shm', '-journal'] as const;

/** Primary result codes of SQLite: the low byte. */
const SQLITE_ERROR = 1;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_NOTADB = 26;
const DAMAGED: ReadonlySet<number> = new Set([SQLITE_ERROR, SQLITE_CORRUPT, SQLITE_NOTADB]);

/** @throws GhostsnapError FORMAT_TOO_NEW, LEDGER_CORRUPT, POOL_FULL, IO */
export function openLedgerFile(file: string, schema: string): DatabaseSync {
  return codedLedger(file, () => {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    if (!isThere(file)) makeLedgerFile(file, schema);
    else assertNotCutOff(file);
    const database = new DatabaseSync(file);
    try {
      // Alone with it, so the log's index need not be mapped: a page of it that a full disk or a quota
      // refuses would end the process.
      database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA temp_store = 2;');
      assertFormat(database, file);
      // Without a full sync a commit to the log is not on the disk.
      database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;');
      assertWhole(database, file);
      return database;
    } catch (error) {
      database.close();
      throw error;
    }
  });
}

/** Failures of SQLite as what they mean for the ledger; everything else passes. */
export function codedLedger<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof GhostsnapError) throw error;
    throw ledgerFailure(error, file);
  }
}

function makeLedgerFile(file: string, schema: string): void {
  // A log without its file holds what a new file would take for its own.
  const left = BESIDE.find((suffix) => suffix !== '-shm' && isThere(file + suffix));
  if (left !== undefined) throw corrupt(file, `it is gone, and ${file}${left} is there`);
  const made = `${file}.new`;
  for (const suffix of ['', ...BESIDE]) rmSync(made + suffix, { force: true });
  const database = new DatabaseSync(made);
  try {
    database.exec(`PRAGMA synchronous = FULL; BEGIN IMMEDIATE; ${schema}
      PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${FORMAT}; COMMIT;`);
  } finally {
    database.close();
  }
  renameSync(made, file);
  // The name is on disk before anything is written under it.
  const fd = openSync(dirname(file), 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Only what was looked for and is not there: a disk that can't tell is no reason to make a new ledger. */
function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** Bytes of a database's head, where its page size and the number of its pages are: big endian. */
const HEAD_BYTES = 32;
const PAGE_SIZE_AT = 16;
const PAGES_AT = 28;

/** SQLite rounds a file's length up to whole pages, and reads what is missing of the last one as zeros. */
function assertNotCutOff(file: string): void {
  const { size } = statSync(file);
  if (size < HEAD_BYTES) throw corrupt(file, `it has ${size} bytes`);
  // Pages that are in a log need not be in the file yet.
  if ((statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0) return;
  const head = Buffer.alloc(HEAD_BYTES);
  const fd = openSync(file, 'r');
  try {
    readSync(fd, head, 0, HEAD_BYTES, 0);
  } finally {
    closeSync(fd);
  }
  const wholeBytes = head.readUInt16BE(PAGE_SIZE_AT) * head.readUInt32BE(PAGES_AT);
  if (size < wholeBytes) throw corrupt(file, `it has ${size} of its ${wholeBytes} bytes`);
}

function assertFormat(database: DatabaseSync, file: string): void {
  const number = (pragma: string): number => {
    const row = database.prepare(`PRAGMA ${pragma}`).get() as Record<string, number>;
    return row[pragma] ?? 0;
  };
  const format = number('user_version');
  if (number('application_id') !== APPLICATION_ID || format < 1) {
    throw corrupt(file, 'it is another program’s, or was overwritten');
  }
  if (format <= FORMAT) return;
  throw new GhostsnapError('FORMAT_TOO_NEW', `A newer ghostsnap wrote ${file}`, {
    hint: 'Use the version that wrote it, or a newer one.',
    data: { file, format },
  });
}

/** Every page of it. */
function assertWhole(database: DatabaseSync, file: string): void {
  const found = database.prepare('PRAGMA quick_check').all() as {
    readonly quick_check: string;
  }[];
  const wrong = found.map((row) => row.quick_check).filter((text) => text !== 'ok');
  if (wrong.length > 0) throw corrupt(file, wrong[0] ?? '');
}

function corrupt(file: string, why: string, cause?: unknown): GhostsnapError {
  return new GhostsnapError('LEDGER_CORRUPT', `The service's ledger is damaged, ${why}: ${file}`, {
    hint: 'Bring it back from a backup; or move it and what lies beside it (-wal, -shm) away: then every workspace is the tenant "local", and no answer is repeated.',
    data: { file },
    ...(cause === undefined ? {} : { cause }),
  });
}

function ledgerFailure(cause: unknown, file: string): unknown {
  const said = cause instanceof Error ? cause.message : String(cause);
  const result = primaryResult(cause);
  if (result !== null && DAMAGED.has(result)) return corrupt(file, said, cause);
  const code = result === SQLITE_FULL ? 'POOL_FULL' : 'IO';
  return new GhostsnapError(code, `The service's ledger failed: ${said}: ${file}`, {
    hint: 'Look whether its disk is full or damaged.',
    data: { file },
    cause,
  });
}

/** null: it is not SQLite that failed. */
function primaryResult(error: unknown): number | null {
  const isOfSqlite = error instanceof Error && 'errcode' in error;
  return isOfSqlite && typeof error.errcode === 'number' ? error.errcode & 0xff : null;
}
