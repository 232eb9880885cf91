/**
 * The ledger in a SQLite file of its own.
 *
 * Each write is committed with a sync: a workspace that a platform was told of must not be forgotten. There
 * is one a workspace's life or two, and reading asks the kernel for no locks: nobody else has the file open.
 */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { GhostsnapError } from '../core/errors.ts';
import type { SnapshotId, WorkspaceId } from '../core/ids.ts';
import type { HostedWorkspace, Ledger } from './ledger.ts';

const FORMAT = 1;
/** 'gsld' */
const APPLICATION_ID = 0x67736c64;

const SCHEMA = `
CREATE TABLE workspaces (
  id TEXT PRIMARY KEY,
  tenant TEXT NOT NULL,
  name TEXT,
  path TEXT NOT NULL,
  pool TEXT NOT NULL,
  backend TEXT NOT NULL,
  template TEXT,
  template_snapshot TEXT,
  status TEXT NOT NULL,
  created_at_ms INTEGER NOT NULL,
  request TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX workspaces_by_tenant ON workspaces (tenant, id);
CREATE UNIQUE INDEX workspaces_by_name ON workspaces (tenant, name) WHERE name IS NOT NULL;
CREATE INDEX workspaces_by_request ON workspaces (request) WHERE request <> '';
CREATE INDEX workspaces_unfinished ON workspaces (status) WHERE status <> 'active';
`;

/** @throws GhostsnapError FORMAT_TOO_NEW, FORMAT_UNKNOWN, IO */
export function openLedger(file: string): Ledger {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const database = new DatabaseSync(file);
  try {
    // Alone with it, so the log's index need not be mapped: a page of it that a full disk or a quota refuses
    // would end the process.
    database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;');
    database.exec('PRAGMA synchronous = NORMAL; PRAGMA temp_store = 2;');
    prepareSchema(database, file);
    return new SqliteLedger(database);
  } catch (error) {
    database.close();
    throw error instanceof GhostsnapError ? error : ledgerFailure(error, file);
  }
}

function prepareSchema(database: DatabaseSync, file: string): void {
  const { user_version: format } = database.prepare('PRAGMA user_version').get() as {
    user_version: number;
  };
  if (format === FORMAT) return;
  if (format > FORMAT) {
    throw new GhostsnapError('FORMAT_TOO_NEW', `A newer ghostsnap wrote ${file}`, {
      hint: 'Use the version that wrote it, or a newer one.',
      data: { file, format },
    });
  }
  database.exec(`BEGIN IMMEDIATE; ${SCHEMA}
    PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${FORMAT}; COMMIT;`);
}

function ledgerFailure(cause: unknown, file: string): GhostsnapError {
  const said = cause instanceof Error ? cause.message : String(cause);
  return new GhostsnapError('IO', `The service's ledger failed: ${said}: ${file}`, {
    hint: 'Look whether its disk is full or damaged.',
    data: { file },
    cause,
  });
}

type Row = Record<string, string | number | null>;

class SqliteLedger implements Ledger {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  workspace(id: WorkspaceId): HostedWorkspace | null {
    return hosted(this.#get('SELECT * FROM workspaces WHERE id = ?', id));
  }

  list(
    tenant: string,
    query: { readonly after: WorkspaceId | null; readonly limit: number },
  ): readonly HostedWorkspace[] {
    const sql = 'SELECT * FROM workspaces WHERE tenant = ? AND id > ? ORDER BY id LIMIT ?';
    return this.#all(sql, tenant, query.after ?? '', query.limit);
  }

  findByName(tenant: string, name: string): HostedWorkspace | null {
    const sql = 'SELECT * FROM workspaces WHERE tenant = ? AND name = ?';
    return hosted(this.#get(sql, tenant, name));
  }

  count(tenant: string): number {
    const row = this.#get('SELECT count(*) AS n FROM workspaces WHERE tenant = ?', tenant);
    return Number(row?.n ?? 0);
  }

  findByRequest(request: string): HostedWorkspace | null {
    return hosted(this.#get('SELECT * FROM workspaces WHERE request = ?', request));
  }

  unfinished(): readonly HostedWorkspace[] {
    return this.#all("SELECT * FROM workspaces WHERE status <> 'active' ORDER BY id");
  }

  insert(row: HostedWorkspace): void {
    this.#insert(row);
  }

  insertAll(rows: readonly HostedWorkspace[]): void {
    this.#inTransaction(() => {
      for (const row of rows) this.#insert(row);
    });
  }

  setStatus(id: WorkspaceId, status: HostedWorkspace['status']): void {
    this.#prepare('UPDATE workspaces SET status = ? WHERE id = ?').run(status, id);
  }

  remove(id: WorkspaceId): void {
    this.#prepare('DELETE FROM workspaces WHERE id = ?').run(id);
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }

  #insert(row: HostedWorkspace): void {
    const { id, tenant, name, path, pool, backend, template, status } = row;
    const taken = this.#get(
      'SELECT id FROM workspaces WHERE tenant = ? AND name = ?',
      tenant,
      name,
    );
    if (taken !== undefined) {
      throw new GhostsnapError('WORKSPACE_EXISTS', `There is a workspace ${name} already.`, {
        hint: 'Take another name, or use that one.',
        data: { name: name ?? '', workspace: String(taken.id) },
      });
    }
    const from = [template?.workspace ?? null, template?.snapshot ?? null];
    const values = [id, tenant, name, path, pool, backend, ...from, status];
    this.#prepare('INSERT INTO workspaces VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)').run(
      ...values,
      row.createdAtMs,
      row.request,
    );
  }

  #inTransaction(write: () => void): void {
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      write();
      this.#database.exec('COMMIT');
    } catch (error) {
      // A commit that failed has ended its transaction, or has not: both are said by an error here.
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error;
    }
  }

  #get(sql: string, ...values: readonly (string | number | null)[]): Row | undefined {
    return this.#prepare(sql).get(...values) as Row | undefined;
  }

  #all(sql: string, ...values: readonly (string | number | null)[]): readonly HostedWorkspace[] {
    const rows = this.#prepare(sql).all(...values) as Row[];
    return rows.flatMap((row) => hosted(row) ?? []);
  }

  #prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const made = this.#database.prepare(sql);
    this.#statements.set(sql, made);
    return made;
  }
}

function hosted(row: Row | undefined): HostedWorkspace | null {
  if (row === undefined) return null;
  const { template, template_snapshot: snapshot, name } = row;
  return {
    id: row.id as WorkspaceId,
    tenant: String(row.tenant),
    name: name === null || name === undefined ? null : String(name),
    path: String(row.path),
    pool: String(row.pool),
    backend: row.backend === 'store' ? 'store' : 'btrfs',
    template:
      typeof template === 'string' && typeof snapshot === 'string'
        ? { workspace: template as WorkspaceId, snapshot: snapshot as SnapshotId }
        : null,
    status: row.status as HostedWorkspace['status'],
    createdAtMs: Number(row.created_at_ms),
    request: String(row.request),
  };
}
