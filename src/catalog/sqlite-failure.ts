/**
 * From an SQLite result code to the error a person reads.
 *
 * One table says which code each result gets. SQLite reports a full disk in several ways (as FULL when a
 * page is written, as an I/O error or "can't open" when the shared index or the log is made) and a quota
 * that is used up as an I/O error only, so the vague ones ask the filesystem. What a system call beside SQLite
 * failed with gets the code that its errno has everywhere; all else passes unchanged: it is a bug.
 */
import { closeSync, constants, fsyncSync, openSync, statfsSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { errnoOf, toGhostsnapError } from '../backend/syscall-failure.ts';
import { type ErrorCode, GhostsnapError } from '../core/errors.ts';
import { rawFromText } from '../core/raw-path.ts';

const SQLITE_ERROR = 1;
const SQLITE_PERM = 3;
const SQLITE_BUSY = 5;
const SQLITE_LOCKED = 6;
const SQLITE_READONLY = 8;
const SQLITE_IOERR = 10;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;
const SQLITE_NOTADB = 26;

/** The primary code is the low byte of an extended one. */
const PRIMARY_MASK = 0xff;

interface Meaning {
  readonly code: ErrorCode;
  readonly message: (file: string) => string;
  readonly hint: string;
}

const CORRUPT: Meaning = {
  code: 'CATALOG_CORRUPT',
  message: (file) => `The catalog is damaged: ${file}`,
  hint: 'Run "ghostsnap recover": it sets the file aside and rebuilds the catalog from the disk.',
};
const DENIED: Meaning = {
  code: 'NOT_PERMITTED',
  message: (file) => `The catalog may not be written by this user: ${file}`,
  hint: 'Run the command as the user who owns the file, or give your user access to its directory.',
};
const FULL: Meaning = {
  code: 'POOL_FULL',
  message: (file) => `The disk that holds the catalog is full: ${file}`,
  hint: 'Remove snapshots with "ghostsnap prune" or free space on that disk, then try again.',
};
const BUSY: Meaning = {
  code: 'LOCKED',
  message: (file) => `Another process is writing the catalog and did not finish: ${file}`,
  hint: 'Try again when it has ended.',
};
const IO: Meaning = {
  code: 'IO',
  message: (file) => `The catalog could not be read or written: ${file}`,
  hint: 'Look at the kernel log ("dmesg") for errors of the disk.',
};

const MEANINGS: ReadonlyMap<number, Meaning> = new Map([
  [SQLITE_PERM, DENIED],
  [SQLITE_READONLY, DENIED],
  [SQLITE_BUSY, BUSY],
  [SQLITE_LOCKED, BUSY],
  [SQLITE_CORRUPT, CORRUPT],
  [SQLITE_NOTADB, CORRUPT],
  [SQLITE_FULL, FULL],
]);

/** Below this many free bytes a vague I/O error is taken for a full disk: SQLite's shared index grows by 32 KiB. */
const FREE_BYTES_MIN = 64 * 1024;

/**
 * The GhostsnapError for a failed SQLite call on `file`: LOCKED, CATALOG_CORRUPT, POOL_FULL,
 * NOT_PERMITTED, IO; BAD_ARGUMENT where it was closed. A failed system call gets its errno's code; any
 * other error comes back as it is.
 */
export function catalogFailure(error: unknown, file: string): unknown {
  if (isClosed(error)) {
    return new GhostsnapError('BAD_ARGUMENT', 'The workspace was closed.', {
      hint: 'Open it again.',
      data: { file },
      cause: error,
    });
  }
  const result = sqliteResultOf(error);
  if (result === null) {
    return toGhostsnapError(error, { what: 'Using the catalog', path: rawFromText(file) });
  }
  const meaning = meaningOf(result & PRIMARY_MASK, file);
  if (meaning === null) return error;
  return new GhostsnapError(meaning.code, meaning.message(file), {
    hint: meaning.hint,
    data: { file, sqlite: result },
    cause: error,
  });
}

/** CATALOG_CORRUPT for content that is readable and wrong. `what` is a sentence without its full stop. */
export function corruptCatalog(file: string, what: string, cause?: unknown): GhostsnapError {
  return new GhostsnapError('CATALOG_CORRUPT', `${what}: ${file}`, {
    hint: CORRUPT.hint,
    data: { file },
    ...(cause === undefined ? {} : { cause }),
  });
}

/** What node:sqlite says of every call after `close()`. */
function isClosed(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_INVALID_STATE';
}

/** SQLite itself refused: its file, its lock, its disk. A value that no column takes is none of these. */
export function isSqliteFailure(error: unknown): boolean {
  return sqliteResultOf(error) !== null;
}

/** The extended result code of an error of node:sqlite; null for any other error. */
function sqliteResultOf(error: unknown): number | null {
  if (!(error instanceof Error) || !('code' in error) || !('errcode' in error)) return null;
  if (error.code !== 'ERR_SQLITE_ERROR' || typeof error.errcode !== 'number') return null;
  return error.errcode;
}

function meaningOf(primary: number, file: string): Meaning | null {
  const meaning = MEANINGS.get(primary);
  if (meaning !== undefined) return meaning;
  if (primary === SQLITE_IOERR || primary === SQLITE_CANTOPEN) {
    return isDiskFull(file) ? FULL : IO;
  }
  // A statement that does not fit the schema: the file says it has our format and has not.
  return primary === SQLITE_ERROR ? CORRUPT : null;
}

function isDiskFull(file: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(dirname(file));
    return bavail * bsize < FREE_BYTES_MIN || isQuotaUsedUp(dirname(file));
  } catch {
    // The directory itself is gone or closed to us: that is not a full disk.
    return false;
  }
}

/** `O_TMPFILE`: a file that never has a name, and is gone when it is closed. */
const NAMELESS = constants.O_DIRECTORY | 0o20000000;

/** Only trying tells: no call says what is left of a quota to whoever writes under it. */
function isQuotaUsedUp(directory: string): boolean {
  let fd = -1;
  try {
    fd = openSync(directory, constants.O_WRONLY | NAMELESS, 0o600);
    writeSync(fd, Buffer.alloc(FREE_BYTES_MIN, 1));
    fsyncSync(fd);
    return false;
  } catch (error) {
    return errnoOf(error) === 'EDQUOT';
  } finally {
    if (fd >= 0) closeSync(fd);
  }
}
