/**
 * The catalog in memory: the reference for what the projections mean, with faults around each commit.
 *
 * The store is shared; a catalog is one process's view of it. Every commit is checked against a fold of
 * its events. Events are kept as the text that would be on disk, and every few of them are parsed,
 * folded onto the last checkpoint and compared with the state, so that replay is proven for all of
 * them while no log grows.
 */
import { strict as assert } from 'node:assert';
import { GhostsnapError } from '../../src/core/errors.ts';
import type { Event } from '../../src/core/event.ts';
import { emptyState, encodeState, foldEvent, foldEvents } from '../../src/core/fold-event.ts';
import { historyStep } from '../../src/core/history.ts';
import type { CallId, SnapshotId, WorkspaceId } from '../../src/core/ids.ts';
import type { WorkspaceState } from '../../src/core/state.ts';
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
} from '../../src/engine/ports.ts';
import { SimAgents } from './sim-agents.ts';
import type { SimHost } from './sim-process.ts';

type Draft<T> = { -readonly [K in keyof T]: T[K] };

/** Events between two replays. */
const REPLAY_EVERY = 16;
/** More than the engine ever looks back. */
const OPERATIONS_KEPT = 16;

interface Book {
  state: WorkspaceState;
  /** The state as text after everything that was replayed. */
  checkpoint: string;
  /** As text: those since the checkpoint, or all. */
  events: string[];
  /** How many of `events` lie before the checkpoint. */
  replayed: number;
  readonly snapshots: Map<SnapshotId, Draft<SnapshotRow>>;
  operations: Draft<OperationRow>[];
  /** By position; pruned entries are absent. */
  readonly history: Map<number, SnapshotId>;
  stamp: string;
  readonly agents: SimAgents;
}

interface StoreOptions {
  /** Called after each event is in the store. */
  readonly onEvent?: (event: Event, text: string) => void;
  /** 'since-replay': memory does not grow with the run, and `events` can't be asked for. */
  readonly keepEvents?: 'all' | 'since-replay';
}

export class SimCatalogStore {
  readonly #books = new Map<WorkspaceId, Book>();
  readonly #options: StoreOptions;

  constructor(options: StoreOptions = {}) {
    this.#options = options;
  }

  book(workspace: WorkspaceId): Book {
    let book = this.#books.get(workspace);
    if (book === undefined) {
      const state = emptyState(workspace);
      book = {
        ...{ state, checkpoint: encodeState(state), events: [], replayed: 0 },
        ...{
          snapshots: new Map(),
          history: new Map(),
          operations: [],
          stamp: '',
          agents: new SimAgents(),
        },
      };
      this.#books.set(workspace, book);
    }
    return book;
  }

  append(book: Book, event: Event): void {
    project(book, event);
    book.state = foldEvent(book.state, event);
    const text = JSON.stringify(event);
    book.events.push(text);
    if (book.events.length - book.replayed >= REPLAY_EVERY) this.replay(book);
    this.#options.onEvent?.(event, text);
  }

  /** Folds the log as a later process would read it: the same state, byte for byte. */
  replay(book: Book): void {
    const events = book.events.slice(book.replayed).map((text) => JSON.parse(text) as Event);
    const replayed = encodeState(foldEvents(JSON.parse(book.checkpoint) as WorkspaceState, events));
    assert.equal(replayed, encodeState(book.state), 'replay gives the identical state');
    book.checkpoint = replayed;
    if (this.#options.keepEvents === 'since-replay') book.events = [];
    book.replayed = book.events.length;
  }
}

export class SimCatalog implements Catalog {
  readonly #store: SimCatalogStore;
  protected readonly host: SimHost;

  constructor(store: SimCatalogStore, host: SimHost) {
    this.#store = store;
    this.host = host;
  }

  loadState(workspace: WorkspaceId): WorkspaceState | null {
    const { state } = this.book(workspace);
    return state.sequence === 0 ? null : state;
  }

  commit(workspace: WorkspaceId, events: readonly Event[], state: WorkspaceState): void {
    this.host.stepAlone(workspace, 'commit:before');
    const book = this.#store.book(workspace);
    const first = events[0];
    if (first !== undefined && first.sequence !== book.state.sequence + 1) {
      throw new GhostsnapError('WORKSPACE_BUSY', 'Another engine wrote to this workspace.');
    }
    for (const event of events) this.#store.append(book, event);
    assert.equal(
      encodeState(state),
      encodeState(book.state),
      'the state is the fold of the events',
    );
    this.host.step('commit:after');
  }

  settle(_workspace: WorkspaceId): Promise<void> | null {
    return null;
  }

  settleSync(_workspace: WorkspaceId): void {}

  /** Every question comes through here. */
  protected book(workspace: WorkspaceId): Book {
    return this.#store.book(workspace);
  }

  listWorkspaces(): readonly WorkspaceRow[] {
    throw new Error('This is not simulated.');
  }

  workspaceRow(workspace: WorkspaceId): WorkspaceRow | null {
    const { status } = this.book(workspace).state;
    return { workspace, path: `/${workspace}`, backend: 'memory', status };
  }

  listSnapshots(workspace: WorkspaceId, query: SnapshotQuery = {}): readonly SnapshotRow[] {
    const rows = [...this.book(workspace).snapshots.values()]
      .filter((row) => query.before === undefined || row.id < query.before)
      .sort((a, b) => (a.id < b.id ? 1 : -1));
    return rows.slice(0, query.limit ?? rows.length);
  }

  snapshotIds(workspace: WorkspaceId): readonly SnapshotId[] {
    return [...this.book(workspace).snapshots.keys()].sort();
  }

  snapshot(workspace: WorkspaceId, id: SnapshotId): SnapshotRow | null {
    return this.book(workspace).snapshots.get(id) ?? null;
  }

  findByPrefix(workspace: WorkspaceId, prefix: string, limit: number): readonly SnapshotId[] {
    return this.snapshotIds(workspace)
      .filter((id) => id.startsWith(prefix))
      .slice(0, limit);
  }

  findByLabel(workspace: WorkspaceId, label: string): SnapshotId | null {
    return this.listSnapshots(workspace).find((row) => row.label === label)?.id ?? null;
  }

  history(
    workspace: WorkspaceId,
    from: number,
    to: number,
  ): readonly { position: number; id: SnapshotId }[] {
    const { history } = this.book(workspace);
    const entries: { position: number; id: SnapshotId }[] = [];
    for (let position = from; position < to; position += 1) {
      const id = history.get(position);
      if (id !== undefined) entries.push({ position, id });
    }
    return entries;
  }

  listOperations(workspace: WorkspaceId, limit: number): readonly OperationRow[] {
    return this.book(workspace).operations.toReversed().slice(0, limit);
  }

  listSessions(workspace: WorkspaceId, limit: number): readonly SessionRow[] {
    return this.book(workspace).agents.sessions(limit);
  }

  session(workspace: WorkspaceId, session: string): SessionRow | null {
    return this.book(workspace).agents.session(session);
  }

  listPrompts(
    workspace: WorkspaceId,
    query: { readonly session?: string; readonly limit?: number },
  ): readonly PromptRow[] {
    return this.book(workspace).agents.prompts(query);
  }

  listCalls(workspace: WorkspaceId, query: CallQuery = {}): readonly CallRow[] {
    return this.book(workspace).agents.calls(query);
  }

  call(workspace: WorkspaceId, call: CallId): CallRow | null {
    return this.listCalls(workspace).find((row) => row.call === call) ?? null;
  }

  listUnattributed(workspace: WorkspaceId, limit: number): readonly UnattributedRow[] {
    return this.book(workspace).agents.unattributed(limit);
  }

  events(workspace: WorkspaceId, afterSequence: number, limit: number): readonly Event[] {
    const { events, state } = this.book(workspace);
    // What was folded into the checkpoint may be gone: the list begins with a later one then.
    const before = state.sequence - events.length;
    const from = Math.max(0, afterSequence - before);
    return events.slice(from, from + limit).map((text) => JSON.parse(text) as Event);
  }

  loadStamp(workspace: WorkspaceId): string {
    return this.book(workspace).stamp;
  }

  saveStamp(workspace: WorkspaceId, stamp: string): void {
    this.host.stepAlone(workspace, 'save-stamp');
    this.book(workspace).stamp = stamp;
  }

  [Symbol.dispose](): void {}
}

function project(book: Book, event: Event): void {
  book.agents.project(event);
  const step = historyStep(book.state, event);
  if (step !== null) {
    for (let at = step.cutFrom; at < book.state.historyLength; at += 1) book.history.delete(at);
    for (const [index, id] of step.append.entries()) book.history.set(step.cutFrom + index, id);
  }
  switch (event.type) {
    case 'snapshot.created': {
      const { id, role, parent, label, tool, session, call } = event;
      const createdAtMs = event.atMs;
      const row = { id, createdAtMs, role, parent, label, tool, session, call, pinned: false };
      book.snapshots.set(id, row);
      return;
    }
    case 'snapshot.lost':
      forget(book, [event.id]);
      return;
    case 'snapshots.deleted':
      forget(book, event.ids);
      return;
    case 'snapshot.labelled': {
      const row = book.snapshots.get(event.id);
      if (row !== undefined) row.label = event.label;
      return;
    }
    case 'snapshot.pinned':
    case 'snapshot.unpinned': {
      const row = book.snapshots.get(event.id);
      if (row !== undefined) row.pinned = event.type === 'snapshot.pinned';
      return;
    }
    case 'turn.started': {
      const { operation, kind, target, precautionary, mode, paths, token } = event;
      const startedAtMs = event.atMs;
      const open = { endedAtMs: null, outcome: 'in-flight', changes: null } as const;
      book.operations.push({
        ...{ operation, kind, target, precautionary, mode, paths, token, startedAtMs },
        ...open,
      });
      book.operations = book.operations.slice(-OPERATIONS_KEPT);
      return;
    }
    case 'turn.completed':
    case 'turn.abandoned': {
      const row = book.operations.at(-1);
      if (row === undefined) return;
      row.endedAtMs = event.atMs;
      row.outcome = event.type === 'turn.completed' ? 'completed' : 'abandoned';
      return;
    }
    default:
  }
}

function forget(book: Book, ids: readonly SnapshotId[]): void {
  for (const id of ids) book.snapshots.delete(id);
  for (const [position, id] of book.history) if (ids.includes(id)) book.history.delete(position);
}
