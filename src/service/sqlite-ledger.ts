/**
 * The ledger in a SQLite file of its own.
 *
 * Each write is committed with a sync: a workspace that a platform was told of must not be forgotten. There
 * is one a workspace's life or two, and reading asks the kernel for no locks: nobody else has the file open.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { GhostsnapError } from '../core/errors.ts';
import type { SnapshotId, WorkspaceId } from '../core/ids.ts';
import type { HostedWorkspace, Ledger } from './ledger.ts';
import { codedLedger, openLedgerFile } from './ledger-file.ts';

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

/** @throws GhostsnapError FORMAT_TOO_NEW, LEDGER_CORRUPT, POOL_FULL, IO */
export function openLedger(file: string): Ledger {
  return new SqliteLedger(openLedgerFile(file, SCHEMA), file);
}

type Row = Record<string, string | number | null>;

class SqliteLedger implements Ledger {
  readonly #database: DatabaseSync;
  /** For messages. */
  readonly #file: string;
  readonly #statements = new Map<string, StatementSync>();
  /**
   * The row that was asked for last: a request asks for its workspace's two or three times, for whose it is,
   * whether it may be worked on and where it is. Forgotten before anything is written.
   */
  #latest: HostedWorkspace | null = null;

  constructor(database: DatabaseSync, file: string) {
    this.#database = database;
    this.#file = file;
  }

  workspace(id: WorkspaceId): HostedWorkspace | null {
    if (this.#latest?.id !== id) {
      this.#latest = hosted(this.#get('SELECT * FROM workspaces WHERE id = ?', id));
    }
    return this.#latest;
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
    const sql = "SELECT * FROM workspaces WHERE request = ? AND status <> 'deleting'";
    return hosted(this.#get(sql, request));
  }

  unfinished(): readonly HostedWorkspace[] {
    return this.#all("SELECT * FROM workspaces WHERE status <> 'active' ORDER BY id");
  }

  insert(row: HostedWorkspace): void {
    this.#coded(() => this.#insert(row));
  }

  insertAll(rows: readonly HostedWorkspace[]): void {
    this.#coded(() =>
      this.#inTransaction(() => {
        for (const row of rows) this.#insert(row);
      }),
    );
  }

  setStatus(id: WorkspaceId, status: HostedWorkspace['status']): void {
    this.#latest = null;
    const update = this.#prepare('UPDATE workspaces SET status = ? WHERE id = ?');
    this.#coded(() => update.run(status, id));
  }

  remove(id: WorkspaceId): void {
    this.#latest = null;
    const remove = this.#prepare('DELETE FROM workspaces WHERE id = ?');
    this.#coded(() => remove.run(id));
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

  #coded<T>(work: () => T): T {
    return codedLedger(this.#file, work);
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
    return this.#coded(() => this.#prepare(sql).get(...values)) as Row | undefined;
  }

  #all(sql: string, ...values: readonly (string | number | null)[]): readonly HostedWorkspace[] {
    const rows = this.#coded(() => this.#prepare(sql).all(...values)) as Row[];
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
