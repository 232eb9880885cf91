/**
 * Opening a catalog file.
 *
 * Opening an existing file reads its header and nothing else: statements, pragmas and the reserve come
 * when they are needed. A missing file is made by a writer, in a way that a kill leaves either nothing
 * or a catalog; a file of another format or another program is refused and not touched.
 */
import { closeSync, fsyncSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { isThere } from '../backend/is-there.ts';
import { toGhostsnapError } from '../backend/syscall-failure.ts';
import { GhostsnapError } from '../core/errors.ts';
import { rawFromText } from '../core/raw-path.ts';
import type { Catalog } from '../engine/ports.ts';
import { type CatalogJournal, journalFor, journalOf, settleJournal } from './catalog-journal.ts';
import { CatalogReserve, RESERVE_BYTES } from './catalog-reserve.ts';
import { makeMappedIndex } from './mapped-index.ts';
import { checkFormat, migrate } from './migrate.ts';
import { SqliteCatalog } from './sqlite-catalog.ts';
import { catalogFailure, corruptCatalog } from './sqlite-failure.ts';

export interface OpenCatalogOptions {
  /** Absolute path of `catalog.db`; its directory exists. */
  readonly file: string;
  /** 'readonly': for readers while somebody else writes; the file must exist. Default 'writable'. */
  readonly access?: 'writable' | 'readonly';
  /** How long a commit waits for another writer before it is LOCKED. */
  readonly busyTimeoutMs?: number;
  /** Size of the reserve for a full disk; 0: none. */
  readonly reserveBytes?: number;
}

/** A commit takes tens of microseconds, a checkpoint milliseconds: who takes ten seconds is stuck. */
const BUSY_TIMEOUT_MS = 10_000;

/**
 * @throws GhostsnapError CATALOG_CORRUPT (damaged, another program's, or missing for 'readonly'),
 *   FORMAT_TOO_NEW, LOCKED, NOT_PERMITTED, POOL_FULL, IO
 */
export function openCatalog(options: OpenCatalogOptions): Catalog {
  return openSqliteCatalog(options);
}

/** The same, with what the catalog's own parts need of it. */
export function openSqliteCatalog(options: OpenCatalogOptions): SqliteCatalog {
  const { file } = options;
  const access = options.access ?? 'writable';
  const busyTimeoutMs = options.busyTimeoutMs ?? BUSY_TIMEOUT_MS;
  const reserve = new CatalogReserve(file, options.reserveBytes ?? RESERVE_BYTES);
  const database = openOnFullDisk({ file, access, busyTimeoutMs }, reserve);
  return new SqliteCatalog({ database, file, reserve });
}

/** Even reading needs a little room, for the index that SQLite's connections share. */
function openOnFullDisk(request: DatabaseRequest, reserve: CatalogReserve): DatabaseSync {
  try {
    return openDatabase(request);
  } catch (error) {
    const isFull = error instanceof GhostsnapError && error.code === 'POOL_FULL';
    if (!isFull || !reserve.giveUpForOpening()) throw error;
    return openDatabase(request);
  }
}

export interface DatabaseRequest {
  readonly file: string;
  readonly access: 'writable' | 'readonly';
  readonly busyTimeoutMs: number;
}

/** A connection to a file of the current format; a writer makes or upgrades it first. */
export function openDatabase(request: DatabaseRequest): DatabaseSync {
  const { file, access, busyTimeoutMs } = request;
  let database: DatabaseSync | null = null;
  try {
    if (!isThere(file)) {
      if (access === 'readonly') throw corruptCatalog(file, 'The catalog is missing');
      makeEmptyFile(file);
    }
    const [found, wanted] = [journalOf(file), journalFor(file)];
    if (wanted === 'log') makeMappedIndex(file);
    database = new DatabaseSync(file, {
      readOnly: access === 'readonly',
      timeout: busyTimeoutMs,
      enableForeignKeyConstraints: false,
    });
    if (access === 'writable') settleJournal(database, found ?? wanted, wanted);
    prepareFormat(database, request, wanted);
    return database;
  } catch (error) {
    if (database?.isOpen === true) database.close();
    throw catalogFailure(error, file);
  }
}

/** SQLite would make it readable to all; its log and index take the same mode. */
function makeEmptyFile(file: string): void {
  try {
    closeSync(openSync(file, 'a', 0o600));
  } catch (error) {
    throw toGhostsnapError(error, { what: 'Making the catalog', path: rawFromText(file) });
  }
}

function prepareFormat(
  database: DatabaseSync,
  request: DatabaseRequest,
  journal: CatalogJournal,
): void {
  const { file, access } = request;
  const found = checkFormat(database, file);
  if (found === 'current') return;
  if (access === 'readonly') {
    throw corruptCatalog(file, 'The catalog is empty or of an older format and was opened to read');
  }
  // WAL before the tables: a file that has tables has it, and opening need not ask.
  if (found === 'empty' && journal === 'log') setWalMode(database, request.busyTimeoutMs);
  migrate(database);
  // Without this a power loss could keep the workspace and lose the name of its catalog.
  if (found === 'empty') syncDirectory(dirname(file));
}

const RETRY_MS = 5;

/**
 * Two processes may make the file at once. SQLite does not wait for the lock that changes the mode, so
 * waiting is done here.
 */
function setWalMode(database: DatabaseSync, busyTimeoutMs: number): void {
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (let waitedMs = 0; ; waitedMs += RETRY_MS) {
    try {
      database.exec('PRAGMA journal_mode = WAL');
      return;
    } catch (error) {
      const isBusy = error instanceof Error && 'errcode' in error && error.errcode === 5;
      if (!isBusy || waitedMs >= busyTimeoutMs) throw error;
      Atomics.wait(pause, 0, 0, RETRY_MS);
    }
  }
}

function syncDirectory(directory: string): void {
  const fd = openSync(directory, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
