/**
 * The catalog on one SQLite connection: events and their projections, one transaction a commit.
 *
 * The log, the projections and the stored state never disagree: every commit folds its events over the
 * stored state and asserts that the caller came to the same one. Reads see the last commit, also while
 * another process writes (WAL). Nothing here knows what a snapshot is on disk.
 */
import type { DatabaseSync } from 'node:sqlite';
import { sayStep } from '../backend/labelled-step.ts';
import { assert, GhostsnapError } from '../core/errors.ts';
import type { Event } from '../core/event.ts';
import { emptyState, encodeState, foldEvent } from '../core/fold-event.ts';
import type { CallId, SnapshotId, WorkspaceId } from '../core/ids.ts';
import type { WorkspaceState } from '../core/state.ts';
import type {
  CallQuery,
  CallRow,
  Catalog,
  OperationRow,
  PromptRow,
  SessionRow,
  SnapshotQuery,
  SnapshotRow,
  UnattributedRow,
  WorkspaceRow,
} from '../engine/ports.ts';
import {
  readCall,
  readCalls,
  readPrompts,
  readSession,
  readSessions,
  readUnattributed,
} from './agent-rows.ts';
import { type CatalogReserve, mayUseReserve } from './catalog-reserve.ts';
import {
  OPERATION_COLUMNS,
  operationRowOf,
  SNAPSHOT_COLUMNS,
  snapshotRowOf,
  stateOf,
  WORKSPACE_COLUMNS,
  workspaceRowOf,
} from './catalog-rows.ts';
import { appendEvent, readEvents } from './event-log.ts';
import { insertWorkspace, projectEvent, projectState } from './projection.ts';
import { catalogFailure } from './sqlite-failure.ts';
import { Statements } from './statements.ts';

/** What a writer that commits for others does, in the order it was given. */
export type CatalogWrite =
  | {
      readonly type: 'commit';
      readonly workspace: WorkspaceId;
      readonly events: readonly Event[];
      readonly state: WorkspaceState;
    }
  | { readonly type: 'stamp'; readonly workspace: WorkspaceId; readonly stamp: string };

/** Every id is ASCII below '~': the range from a prefix to the prefix and '~' holds what starts with it. */
const AFTER_EVERY_ID = '~';
const NO_LIMIT = -1;

const NUMBER_OF = 'SELECT number FROM workspaces WHERE id = ?1';
const IN_WORKSPACE = `workspace = (${NUMBER_OF})`;
const SQL = {
  stored: 'SELECT number, sequence, state FROM workspaces WHERE id = ?',
  sequence: 'SELECT number, sequence FROM workspaces WHERE id = ?',
  workspaces: `SELECT ${WORKSPACE_COLUMNS} FROM workspaces ORDER BY id`,
  workspace: `SELECT ${WORKSPACE_COLUMNS} FROM workspaces WHERE id = ?`,
  snapshots: `SELECT ${SNAPSHOT_COLUMNS} FROM snapshots
    WHERE ${IN_WORKSPACE} AND id < ?2 ORDER BY id DESC LIMIT ?3`,
  snapshot: `SELECT ${SNAPSHOT_COLUMNS} FROM snapshots WHERE ${IN_WORKSPACE} AND id = ?2`,
  ids: `SELECT id FROM snapshots
    WHERE ${IN_WORKSPACE} AND id >= ?2 AND id < ?3 ORDER BY id LIMIT ?4`,
  label: `SELECT id FROM snapshots
    WHERE ${IN_WORKSPACE} AND label = ?2 ORDER BY id DESC LIMIT 1`,
  history: `SELECT position, snapshot FROM history
    WHERE ${IN_WORKSPACE} AND position >= ?2 AND position < ?3 ORDER BY position`,
  operations: `SELECT ${OPERATION_COLUMNS} FROM operations
    WHERE ${IN_WORKSPACE} ORDER BY id DESC LIMIT ?2`,
  stamp: 'SELECT stamp FROM workspaces WHERE id = ?',
  setStamp: 'UPDATE workspaces SET stamp = ? WHERE id = ?',
} as const;

type Durability = Parameters<Catalog['commit']>[3];

export interface SqliteCatalogOptions {
  readonly database: DatabaseSync;
  /** For messages. */
  readonly file: string;
  readonly reserve: CatalogReserve;
}

export class SqliteCatalog implements Catalog {
  readonly #database: DatabaseSync;
  readonly #file: string;
  readonly #reserve: CatalogReserve;
  readonly #statements: Statements;
  #durability: Durability | null = null;
  #hasLog: boolean | null = null;
  /**
   * The state that was read or written last. The log only grows and gives one state for each length: while a
   * workspace's sequence is this one's, its text need not be read again.
   */
  #known: WorkspaceState | null = null;

  constructor(options: SqliteCatalogOptions) {
    this.#database = options.database;
    this.#file = options.file;
    this.#reserve = options.reserve;
    this.#statements = new Statements(options.database);
  }

  loadState(workspace: WorkspaceId): WorkspaceState | null {
    return this.#read(() => this.#stored(workspace))?.state ?? null;
  }

  commit(
    workspace: WorkspaceId,
    events: readonly Event[],
    state: WorkspaceState,
    durability: Durability,
  ): void {
    assert(events.length > 0, 'a commit has events');
    const isEssential = mayUseReserve(events);
    if (!this.#reserve.ensure() && !isEssential) throw this.#reserveMissing();
    try {
      this.#commitOnce(workspace, events, state, durability);
    } catch (error) {
      const failure = catalogFailure(error, this.#file);
      const isFull = failure instanceof GhostsnapError && failure.code === 'POOL_FULL';
      if (!isFull || !isEssential || !this.#reserve.giveUp()) throw failure;
      this.#write(() => this.#commitOnce(workspace, events, state, durability));
    }
  }

  settle(): null {
    return null;
  }

  settleSync(): void {}

  /** Writes of many workspaces in one transaction. False: one of them can't be, and nothing was written. */
  tryWriteTogether(writes: readonly CatalogWrite[], durability: Durability): boolean {
    if (!this.#reserve.ensure()) return false;
    try {
      this.#inTransaction(durability, () => {
        for (const write of writes) this.#writeOne(write);
      });
      return true;
    } catch {
      // Whose failure it was, and whether it may use the reserve, is found out one by one.
      return false;
    }
  }

  /** @throws GhostsnapError as `commit` and `saveStamp` */
  writeAlone(write: CatalogWrite, durability: Durability): void {
    if (write.type === 'stamp') this.saveStamp(write.workspace, write.stamp);
    else this.commit(write.workspace, write.events, write.state, durability);
  }

  listWorkspaces(): readonly WorkspaceRow[] {
    return this.#read(() => this.#statements.all(SQL.workspaces).map(workspaceRowOf));
  }

  workspaceRow(workspace: WorkspaceId): WorkspaceRow | null {
    const row = this.#read(() => this.#statements.get(SQL.workspace, workspace));
    return row === undefined ? null : workspaceRowOf(row);
  }

  listSnapshots(workspace: WorkspaceId, query: SnapshotQuery = {}): readonly SnapshotRow[] {
    const before = query.before ?? AFTER_EVERY_ID;
    const limit = query.limit ?? NO_LIMIT;
    return this.#read(() =>
      this.#statements.all(SQL.snapshots, workspace, before, limit).map(snapshotRowOf),
    );
  }

  snapshotIds(workspace: WorkspaceId): readonly SnapshotId[] {
    return this.#ids(workspace, '', NO_LIMIT);
  }

  snapshot(workspace: WorkspaceId, id: SnapshotId): SnapshotRow | null {
    const row = this.#read(() => this.#statements.get(SQL.snapshot, workspace, id));
    return row === undefined ? null : snapshotRowOf(row);
  }

  findByPrefix(workspace: WorkspaceId, prefix: string, limit: number): readonly SnapshotId[] {
    return this.#ids(workspace, prefix, limit);
  }

  findByLabel(workspace: WorkspaceId, label: string): SnapshotId | null {
    const row = this.#read(() => this.#statements.get(SQL.label, workspace, label));
    return row === undefined ? null : (row.id as SnapshotId);
  }

  history(
    workspace: WorkspaceId,
    from: number,
    to: number,
  ): readonly { position: number; id: SnapshotId }[] {
    const rows = this.#read(() => this.#statements.all(SQL.history, workspace, from, to));
    return rows.map((row) => ({
      position: row.position as number,
      id: row.snapshot as SnapshotId,
    }));
  }

  listOperations(workspace: WorkspaceId, limit: number): readonly OperationRow[] {
    const rows = this.#read(() => this.#statements.all(SQL.operations, workspace, limit));
    return rows.map((row) => operationRowOf(row, this.#file));
  }

  listSessions(workspace: WorkspaceId, limit: number): readonly SessionRow[] {
    return this.#read(() => readSessions(this.#statements, workspace, limit));
  }

  session(workspace: WorkspaceId, session: string): SessionRow | null {
    return this.#read(() => readSession(this.#statements, workspace, session));
  }

  listPrompts(
    workspace: WorkspaceId,
    query: { readonly session?: string; readonly limit?: number },
  ): readonly PromptRow[] {
    return this.#read(() => readPrompts(this.#statements, workspace, query));
  }

  listCalls(workspace: WorkspaceId, query: CallQuery = {}): readonly CallRow[] {
    return this.#read(() => readCalls(this.#statements, workspace, query));
  }

  call(workspace: WorkspaceId, call: CallId): CallRow | null {
    return this.#read(() => readCall(this.#statements, workspace, call));
  }

  listUnattributed(workspace: WorkspaceId, limit: number): readonly UnattributedRow[] {
    return this.#read(() => readUnattributed(this.#statements, workspace, limit));
  }

  events(workspace: WorkspaceId, afterSequence: number, limit: number): readonly Event[] {
    return this.#read(() => {
      const row = this.#statements.get(SQL.stored, workspace);
      if (row === undefined) return [];
      const log = { number: row.number as number, workspace, file: this.#file };
      return readEvents(this.#statements, log, afterSequence, limit);
    });
  }

  loadStamp(workspace: WorkspaceId): string {
    const row = this.#read(() => this.#statements.get(SQL.stamp, workspace));
    return row === undefined ? '' : String(row.stamp);
  }

  saveStamp(workspace: WorkspaceId, stamp: string): void {
    const save = (): void => {
      this.#setDurability('process-crash');
      this.#statements.run(SQL.setStamp, stamp, workspace);
    };
    try {
      this.#write(save);
    } catch (error) {
      if (!(error instanceof GhostsnapError) || error.code !== 'POOL_FULL') throw error;
      // A stamp that is not saved only costs a comparison at the next open, and opening must work on a
      // full disk. But '' asks for that comparison, and may not be lost.
      if (stamp !== '') return;
      if (!this.#reserve.giveUp()) throw error;
      this.#write(save);
    }
  }

  [Symbol.dispose](): void {
    if (this.#database.isOpen) this.#database.close();
  }

  #commitOnce(
    workspace: WorkspaceId,
    events: readonly Event[],
    state: WorkspaceState,
    durability: Durability,
  ): void {
    this.#inTransaction(durability, () => this.#append(workspace, events, state));
  }

  #inTransaction(durability: Durability, work: () => void): void {
    this.#setDurability(durability);
    this.#statements.run('BEGIN IMMEDIATE');
    try {
      work();
      sayStep('catalog:written');
      this.#statements.run('COMMIT');
      sayStep('catalog:committed');
    } catch (error) {
      // It may be a state that is not stored now, and whose sequence another process will give to its own.
      this.#known = null;
      // A full disk may have rolled back by itself.
      if (this.#database.isTransaction) this.#statements.run('ROLLBACK');
      throw error;
    }
  }

  #writeOne(write: CatalogWrite): void {
    if (write.type === 'commit') this.#append(write.workspace, write.events, write.state);
    else this.#statements.run(SQL.setStamp, write.stamp, write.workspace);
  }

  #append(workspace: WorkspaceId, events: readonly Event[], state: WorkspaceState): void {
    const stored = this.#stored(workspace);
    let folded = stored?.state ?? emptyState(workspace);
    this.#assertFollows(workspace, events, folded.sequence);
    const number = stored?.number ?? insertWorkspace(this.#statements, workspace);
    for (const event of events) {
      appendEvent(this.#statements, number, event);
      projectEvent(this.#statements, number, folded, event);
      folded = foldEvent(folded, event);
    }
    const text = encodeState(folded);
    assert(text === encodeState(state), 'the state is the fold of the events');
    projectState(this.#statements, number, { state: folded, text });
    this.#known = folded;
  }

  /** null: unknown workspace. */
  #stored(
    workspace: WorkspaceId,
  ): { readonly number: number; readonly state: WorkspaceState } | null {
    if (this.#known?.workspace === workspace) {
      const row = this.#statements.get(SQL.sequence, workspace);
      if (row?.sequence === this.#known.sequence) {
        return { number: row.number as number, state: this.#known };
      }
    }
    const row = this.#statements.get(SQL.stored, workspace);
    if (row === undefined) return null;
    this.#known = stateOf(row, this.#file);
    return { number: row.number as number, state: this.#known };
  }

  #assertFollows(workspace: WorkspaceId, events: readonly Event[], sequence: number): void {
    const first = events[0]?.sequence ?? 0;
    if (first === sequence + 1) return;
    const found = `its log is at ${sequence}, not at ${first - 1}`;
    throw new GhostsnapError(
      'WORKSPACE_BUSY',
      `Another process changed the workspace ${workspace} meanwhile: ${found}.`,
      { hint: 'Run the command again.', data: { workspace, sequence, expected: first - 1 } },
    );
  }

  /**
   * In WAL mode NORMAL leaves a commit to the next sync, FULL syncs the log at the end of each. The log is
   * one file and synced whole: a FULL commit makes every earlier one durable as well. With a rollback journal
   * (`catalog-journal.ts`) less than FULL could tear the file. The setting is the connection's and may not
   * change inside a transaction.
   */
  #setDurability(durability: Durability): void {
    if (this.#durability === durability) return;
    this.#hasLog ??= this.#statements.get('PRAGMA journal_mode')?.journal_mode === 'wal';
    const isFull = durability === 'power-loss' || !this.#hasLog;
    this.#statements.run(`PRAGMA synchronous = ${isFull ? 'FULL' : 'NORMAL'}`);
    this.#durability = durability;
  }

  #ids(workspace: WorkspaceId, prefix: string, limit: number): readonly SnapshotId[] {
    const end = prefix + AFTER_EVERY_ID;
    const rows = this.#read(() => this.#statements.all(SQL.ids, workspace, prefix, end, limit));
    return rows.map((row) => row.id as SnapshotId);
  }

  #reserveMissing(): GhostsnapError {
    return new GhostsnapError(
      'POOL_FULL',
      `The disk that holds the catalog has no room for more: ${this.#file}`,
      {
        hint: 'Remove snapshots with "ghostsnap prune" or free space on that disk, then try again.',
        data: { file: this.#file },
      },
    );
  }

  #read<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw catalogFailure(error, this.#file);
    }
  }

  #write(work: () => void): void {
    this.#read(work);
  }
}
