/**
 * How SQLite keeps a catalog's commits whole: a log that goes with an index that is mapped into memory (WAL),
 * or, where the kernel may refuse a page of that mapping, a rollback journal, which maps nothing.
 *
 * A store into a mapped page that the filesystem can't write back ends the process with SIGBUS: no error,
 * no message. On a full btrfs `mapped-index.ts` prevents that. In a btrfs subvolume with a limit nothing can:
 * each page that is dirtied counts against the limit's metadata, also one that is written in place. So
 * nothing is mapped there, and a limit that is reached is an error with a code.
 *
 * The mode lies in the file, and every process follows it. It is changed by whoever opens the file alone,
 * back as well when the limit is gone. A limit that is set while processes have the catalog open with a
 * mapping reaches those no more.
 */
import { closeSync, constants, openSync, readSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { namesIfThere, readTextIfThere } from '../backend/if-there.ts';
import { errnoOf } from '../backend/syscall-failure.ts';
import {
  BTRFS_MAGIC,
  btrfsFilesystemId,
  btrfsSubvolumeId,
} from '../backend/syscalls-inode-linux.ts';

export type CatalogJournal = 'log' | 'rollback';

/** What a catalog in this directory must have. */
export function journalFor(file: string): CatalogJournal {
  const directory = dirname(file);
  if (statfsSync(directory).type !== BTRFS_MAGIC) return 'log';
  const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const groups = `/sys/fs/btrfs/${uuidOf(btrfsFilesystemId(fd))}/qgroups`;
    const own = `0_${btrfsSubvolumeId(fd)}`;
    // Which groups of a higher level a subvolume is in, only root may ask: any that has a limit counts.
    const counts = namesIfThere(groups).filter((name) => name === own || /^[1-9]\d*_/.test(name));
    return counts.some((name) => hasLimit(`${groups}/${name}`)) ? 'rollback' : 'log';
  } finally {
    closeSync(fd);
  }
}

function uuidOf(hex: string): string {
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

function hasLimit(group: string): boolean {
  const flags = readTextIfThere(`${group}/limit_flags`);
  return flags !== null && Number(flags) !== 0;
}

/** Two bytes of SQLite's header say how a file must be written and read. */
const WRITE_VERSION_AT = 18;
const LOG_VERSION = 2;

/** null: there is no such file, or nothing in it yet. */
export function journalOf(file: string): CatalogJournal | null {
  const version = Buffer.alloc(1);
  let fd: number;
  try {
    fd = openSync(file, 'r');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return null;
    throw error;
  }
  try {
    if (readSync(fd, version, 0, 1, WRITE_VERSION_AT) === 0) return null;
    return version[0] === LOG_VERSION ? 'log' : 'rollback';
  } finally {
    closeSync(fd);
  }
}

/**
 * Brings an open, unused connection and its file to `wanted`, as far as that can be. Where others have
 * the file open it stays as it is; where there is no room to change it, this connection works on it alone and
 * keeps the index in memory of its own.
 */
export function settleJournal(
  database: DatabaseSync,
  found: CatalogJournal,
  wanted: CatalogJournal,
): void {
  if (wanted === 'rollback' && found === 'log') leaveLog(database);
  else if (wanted === 'rollback') database.exec('PRAGMA journal_mode = TRUNCATE');
  else if (found === 'rollback') tryMode(database, 'WAL');
}

function leaveLog(database: DatabaseSync): void {
  // Before the first access: only then is the index not mapped.
  database.exec('PRAGMA locking_mode = EXCLUSIVE');
  const outcome = tryMode(database, 'TRUNCATE');
  if (outcome === 'no-room') return;
  database.exec('PRAGMA locking_mode = NORMAL');
  // The lock goes with the next access.
  if (outcome === 'changed') database.prepare('SELECT count(*) FROM sqlite_schema').get();
}

const SQLITE_BUSY = 5;
const PRIMARY_MASK = 0xff;

function tryMode(database: DatabaseSync, mode: 'WAL' | 'TRUNCATE'): 'changed' | 'busy' | 'no-room' {
  try {
    const { journal_mode: now } = database.prepare(`PRAGMA journal_mode = ${mode}`).get() ?? {};
    return String(now).toUpperCase() === mode ? 'changed' : 'busy';
  } catch (error) {
    if (!(error instanceof Error) || !('errcode' in error)) throw error;
    return (Number(error.errcode) & PRIMARY_MASK) === SQLITE_BUSY ? 'busy' : 'no-room';
  }
}
