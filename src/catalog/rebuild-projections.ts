/**
 * Making the projections again from the events, in one transaction: a kill leaves the old ones.
 *
 * Stamps are forgotten as well, so that the next open compares every workspace with the disk.
 */
import { sayStep } from '../backend/labelled-step.ts';
import { listLogs, replayWorkspace } from './catalog-replay.ts';
import { openDatabase } from './open-catalog.ts';
import { catalogFailure } from './sqlite-failure.ts';
import { Statements } from './statements.ts';

export interface RebuildOptions {
  readonly file: string;
  readonly busyTimeoutMs?: number;
}

const BUSY_TIMEOUT_MS = 10_000;

const PROJECTED_TABLES = [
  'snapshots',
  'operations',
  'history',
  'sessions',
  'prompts',
  'calls',
  'unattributed',
] as const;

/**
 * Repeating it changes nothing more.
 * @returns the number of workspaces that were rebuilt
 * @throws GhostsnapError CATALOG_CORRUPT when the events themselves are damaged; LOCKED
 */
export function rebuildProjections(options: RebuildOptions): number {
  const { file } = options;
  const busyTimeoutMs = options.busyTimeoutMs ?? BUSY_TIMEOUT_MS;
  using database = openDatabase({ file, access: 'writable', busyTimeoutMs });
  const statements = new Statements(database);
  try {
    database.exec('BEGIN IMMEDIATE');
    for (const table of PROJECTED_TABLES) {
      database.exec(`DELETE FROM ${table}`);
    }
    database.exec("UPDATE workspaces SET stamp = ''");
    const logs = listLogs(statements, file);
    for (const log of logs) replayWorkspace(statements, statements, log);
    sayStep('rebuild:replayed');
    database.exec('COMMIT');
    sayStep('rebuild:committed');
    return logs.length;
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK');
    throw catalogFailure(error, file);
  }
}
