/**
 * The catalog of a service: commits of many workspaces land together, written by a thread of their own.
 *
 * Reading stays on this thread's connection. A workspace's state is known here as soon as it is
 * committed; every other question about a workspace that has commits on their way waits, blocking, until
 * they have landed, so that no answer is ever older than what was committed. The path of a tool call asks
 * none of those. A commit that failed is told by the next `settle` of its workspace, and nothing that
 * was committed to it after that one has landed either.
 */
import type { Event } from '../core/event.ts';
import type { CallId, SnapshotId, WorkspaceId } from '../core/ids.ts';
import type { WorkspaceState } from '../core/state.ts';
import type { CallQuery, Catalog, SnapshotQuery } from '../engine/ports.ts';
import { CatalogWriter, type WriteGroup } from './catalog-writer.ts';
import { openCatalog } from './open-catalog.ts';
import type { CatalogWrite } from './sqlite-catalog.ts';

type Durability = Parameters<Catalog['commit']>[3];

/** The last commit of a workspace that has not landed. */
interface Pending {
  readonly group: WriteGroup;
  readonly state: WorkspaceState | null;
}

/**
 * @param file absolute path of `catalog.db`; its directory exists
 * @throws GhostsnapError as `openCatalog`
 */
export function openGroupedCatalog(options: { readonly file: string }): Catalog {
  // First, so that the file is there, and of this format, when the thread opens it.
  const reader = openCatalog(options);
  return new GroupedCatalog(options.file, reader);
}

class GroupedCatalog implements Catalog {
  readonly #reader: Catalog;
  readonly #writer: CatalogWriter;
  readonly #pending = new Map<WorkspaceId, Pending>();
  /** The first failure of each workspace that nobody has asked for yet. */
  readonly #failures = new Map<WorkspaceId, Error>();

  constructor(file: string, reader: Catalog) {
    this.#reader = reader;
    this.#writer = new CatalogWriter({
      file,
      onLanded: (write, group, failure) => this.#landed(write, group, failure),
    });
  }

  loadState(workspace: WorkspaceId): WorkspaceState | null {
    const pending = this.#pending.get(workspace);
    return pending?.state ?? this.#reading(workspace).loadState(workspace);
  }

  commit(
    workspace: WorkspaceId,
    events: readonly Event[],
    state: WorkspaceState,
    durability: Durability,
  ): void {
    const group = this.#writer.add({ type: 'commit', workspace, events, state }, durability);
    this.#pending.set(workspace, { group, state });
  }

  settle(workspace: WorkspaceId): Promise<void> | null {
    const pending = this.#pending.get(workspace);
    if (pending !== undefined) {
      return pending.group.landing.then(() => this.#throwFailure(workspace));
    }
    this.#throwFailure(workspace);
    return null;
  }

  settleSync(workspace: WorkspaceId): void {
    this.#wait(workspace);
    this.#throwFailure(workspace);
  }

  listWorkspaces(): ReturnType<Catalog['listWorkspaces']> {
    for (const workspace of [...this.#pending.keys()]) this.#wait(workspace);
    return this.#reader.listWorkspaces();
  }

  workspaceRow(workspace: WorkspaceId): ReturnType<Catalog['workspaceRow']> {
    return this.#reading(workspace).workspaceRow(workspace);
  }

  listSnapshots(
    workspace: WorkspaceId,
    query?: SnapshotQuery,
  ): ReturnType<Catalog['listSnapshots']> {
    return this.#reading(workspace).listSnapshots(workspace, query);
  }

  snapshotIds(workspace: WorkspaceId): readonly SnapshotId[] {
    return this.#reading(workspace).snapshotIds(workspace);
  }

  snapshot(workspace: WorkspaceId, id: SnapshotId): ReturnType<Catalog['snapshot']> {
    return this.#reading(workspace).snapshot(workspace, id);
  }

  findByPrefix(workspace: WorkspaceId, prefix: string, limit: number): readonly SnapshotId[] {
    return this.#reading(workspace).findByPrefix(workspace, prefix, limit);
  }

  findByLabel(workspace: WorkspaceId, label: string): SnapshotId | null {
    return this.#reading(workspace).findByLabel(workspace, label);
  }

  history(workspace: WorkspaceId, from: number, to: number): ReturnType<Catalog['history']> {
    return this.#reading(workspace).history(workspace, from, to);
  }

  listOperations(workspace: WorkspaceId, limit: number): ReturnType<Catalog['listOperations']> {
    return this.#reading(workspace).listOperations(workspace, limit);
  }

  listSessions(workspace: WorkspaceId, limit: number): ReturnType<Catalog['listSessions']> {
    return this.#reading(workspace).listSessions(workspace, limit);
  }

  session(workspace: WorkspaceId, session: string): ReturnType<Catalog['session']> {
    return this.#reading(workspace).session(workspace, session);
  }

  listPrompts(
    workspace: WorkspaceId,
    query: { readonly session?: string; readonly limit?: number },
  ): ReturnType<Catalog['listPrompts']> {
    return this.#reading(workspace).listPrompts(workspace, query);
  }

  listCalls(workspace: WorkspaceId, query?: CallQuery): ReturnType<Catalog['listCalls']> {
    return this.#reading(workspace).listCalls(workspace, query);
  }

  call(workspace: WorkspaceId, call: CallId): ReturnType<Catalog['call']> {
    return this.#reading(workspace).call(workspace, call);
  }

  listUnattributed(workspace: WorkspaceId, limit: number): ReturnType<Catalog['listUnattributed']> {
    return this.#reading(workspace).listUnattributed(workspace, limit);
  }

  events(workspace: WorkspaceId, afterSequence: number, limit: number): readonly Event[] {
    return this.#reading(workspace).events(workspace, afterSequence, limit);
  }

  loadStamp(workspace: WorkspaceId): string {
    return this.#reading(workspace).loadStamp(workspace);
  }

  /** After the commits that it speaks of. */
  saveStamp(workspace: WorkspaceId, stamp: string): void {
    const group = this.#writer.add({ type: 'stamp', workspace, stamp }, 'process-crash');
    this.#pending.set(workspace, { group, state: this.#pending.get(workspace)?.state ?? null });
  }

  [Symbol.dispose](): void {
    this.#writer.close();
    this.#reader[Symbol.dispose]();
  }

  #reading(workspace: WorkspaceId): Catalog {
    this.#wait(workspace);
    return this.#reader;
  }

  #wait(workspace: WorkspaceId): void {
    const pending = this.#pending.get(workspace);
    if (pending !== undefined) this.#writer.waitFor(pending.group.number);
  }

  #landed({ workspace }: CatalogWrite, group: number, failure: Error | null): void {
    if (failure !== null && !this.#failures.has(workspace)) {
      this.#failures.set(workspace, failure);
    }
    if (this.#pending.get(workspace)?.group.number === group) this.#pending.delete(workspace);
  }

  #throwFailure(workspace: WorkspaceId): void {
    const failure = this.#failures.get(workspace);
    if (failure === undefined) return;
    this.#failures.delete(workspace);
    this.#writer.told(workspace);
    throw failure;
  }
}
