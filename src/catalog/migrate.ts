/**
 * Bringing a catalog file to this program's format.
 *
 * The format's version is SQLite's `user_version`; `application_id` says that the file is ours. All steps
 * run in one transaction, so that a kill leaves the old format or the new one. A file of a later version
 * or of another program is refused untouched.
 */
import type { DatabaseSync } from 'node:sqlite';
import { sayStep } from '../backend/labelled-step.ts';
import { GhostsnapError } from '../core/errors.ts';
import { eventsAndProjections } from './migrations/0001-events-and-projections.ts';
import { toolCalls } from './migrations/0002-tool-calls.ts';
import { judgedCalls } from './migrations/0003-judged-calls.ts';
import type { Migration } from './migrations/migration.ts';
import { corruptCatalog } from './sqlite-failure.ts';

/** "ghos" in ASCII. */
export const APPLICATION_ID = 0x67686f73;

export const MIGRATIONS: readonly Migration[] = [eventsAndProjections, toolCalls, judgedCalls];

export interface CatalogFormat {
  readonly applicationId: number;
  /** 0: nothing was written yet. */
  readonly version: number;
}

export function readFormat(database: DatabaseSync): CatalogFormat {
  const row = database
    .prepare('SELECT application_id, user_version FROM pragma_application_id, pragma_user_version')
    .get();
  return {
    applicationId: Number(row?.application_id),
    version: Number(row?.user_version),
  };
}

export function latestVersion(migrations: readonly Migration[] = MIGRATIONS): number {
  return migrations.at(-1)?.version ?? 0;
}

/**
 * Nothing is written.
 * @returns 'current', 'older' (migrate it), or 'empty' (a new file)
 * @throws GhostsnapError FORMAT_TOO_NEW, CATALOG_CORRUPT for another program's file
 */
export function checkFormat(
  database: DatabaseSync,
  file: string,
  migrations: readonly Migration[] = MIGRATIONS,
): 'current' | 'older' | 'empty' {
  const { applicationId, version } = readFormat(database);
  if (applicationId === 0 && version === 0 && countTables(database) === 0) return 'empty';
  if (applicationId !== APPLICATION_ID || version < 1) {
    throw corruptCatalog(file, 'The file is a database of another program, not a catalog');
  }
  const latest = latestVersion(migrations);
  if (version > latest) {
    throw new GhostsnapError(
      'FORMAT_TOO_NEW',
      `The catalog has format ${version}, this program knows formats up to ${latest}: ${file}`,
      { hint: 'Upgrade ghostsnap; nothing was changed.', data: { file, version, latest } },
    );
  }
  return version === latest ? 'current' : 'older';
}

/**
 * Runs the steps that are missing, in one transaction. Two processes may do it at once: the second
 * waits for the first and finds nothing left.
 */
export function migrate(
  database: DatabaseSync,
  migrations: readonly Migration[] = MIGRATIONS,
): void {
  const latest = latestVersion(migrations);
  database.exec('BEGIN IMMEDIATE');
  try {
    const { version } = readFormat(database);
    // Another process, perhaps of a later version of this program, may have been here since the check.
    if (version < latest) {
      for (const migration of migrations) {
        if (migration.version > version) migration.run(database);
        sayStep(`migrate:to-${migration.version}`);
      }
      database.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
      database.exec(`PRAGMA user_version = ${latest}`);
    }
    database.exec('COMMIT');
    sayStep('migrate:committed');
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK');
    throw error;
  }
}

function countTables(database: DatabaseSync): number {
  return Number(database.prepare('SELECT count(*) AS tables FROM sqlite_schema').get()?.tables);
}
