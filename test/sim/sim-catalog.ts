/**
 * The catalog in memory: the reference for what the projections mean, with faults before each commit.
 * Every commit is checked against a fold of the events: state and log never disagree.
 */
import { strict as assert } from 'node:assert';
import { GhostsnapError } from '../../src/core/errors.ts';
import type { Event } from '../../src/core/event.ts';
import { emptyState, encodeState, foldEvent } from '../../src/core/fold-event.ts';
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
import type { SimFaults } from './sim-faults.ts';

type Draft<T> = { -readonly [K in keyof T]: T[K] };

interface Book {
  state: WorkspaceState;
  readonly events: Event[];
  readonly snapshots: Map<SnapshotId, Draft<SnapshotRow>>;
  readonly operations: Draft<OperationRow>[];
  history: (SnapshotId | null)[];
  stamp: string;
  readonly agents: SimAgents;
}

export class SimCatalog implements Catalog {
  readonly #faults: SimFaults;
  readonly #books = new Map<WorkspaceId, Book>();

  constructor(faults: SimFaults) {
    this.#faults = faults;
  }

  loadState(workspace: WorkspaceId): WorkspaceState | null {
    const { state } = this.#book(workspace);
    return state.sequence === 0 ? null : state;
  }

  commit(workspace: WorkspaceId, events: readonly Event[], state: WorkspaceState): void {
    this.#faults.step('commit:before');
    const book = this.#book(workspace);
    let folded = book.state;
    for (const event of events) {
      if (event.sequence !== folded.sequence + 1) {
        throw new GhostsnapError('WORKSPACE_BUSY', 'Another engine wrote to this workspace.');
      }
      project(book, folded, event);
      folded = foldEvent(folded, event);
    }
    assert.equal(encodeState(state), encodeState(folded), 'the state is the fold of the events');
    book.events.push(...events);
    book.state = folded;
    this.#faults.step('commit:after');
  }

  listWorkspaces(): readonly WorkspaceRow[] {
    return [...this.#books.keys()].flatMap((id) => this.workspaceRow(id) ?? []);
  }

  workspaceRow(workspace: WorkspaceId): WorkspaceRow | null {
    const { status } = this.#book(workspace).state;
    return { workspace, path: `/${workspace}`, backend: 'memory', status };
  }

  listSnapshots(workspace: WorkspaceId, query: SnapshotQuery = {}): readonly SnapshotRow[] {
    const rows = [...this.#book(workspace).snapshots.values()]
      .filter((row) => query.before === undefined || row.id < query.before)
      .sort((a, b) => (a.id < b.id ? 1 : -1));
    return rows.slice(0, query.limit ?? rows.length);
  }

  snapshotIds(workspace: WorkspaceId): readonly SnapshotId[] {
    return [...this.#book(workspace).snapshots.keys()].sort();
  }

  snapshot(workspace: WorkspaceId, id: SnapshotId): SnapshotRow | null {
    return this.#book(workspace).snapshots.get(id) ?? null;
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
    return this.#book(workspace)
      .history.slice(from, to)
      .flatMap((id, index) => (id === null ? [] : [{ position: from + index, id }]));
  }

  listOperations(workspace: WorkspaceId, limit: number): readonly OperationRow[] {
    return this.#book(workspace).operations.toReversed().slice(0, limit);
  }

  listSessions(workspace: WorkspaceId, limit: number): readonly SessionRow[] {
    return this.#book(workspace).agents.sessions(limit);
  }

  session(workspace: WorkspaceId, session: string): SessionRow | null {
    return this.#book(workspace).agents.session(session);
  }

  listPrompts(
    workspace: WorkspaceId,
    query: { readonly session?: string; readonly limit?: number },
  ): readonly PromptRow[] {
    return this.#book(workspace).agents.prompts(query);
  }

  listCalls(workspace: WorkspaceId, query: CallQuery = {}): readonly CallRow[] {
    return this.#book(workspace).agents.calls(query);
  }

  call(workspace: WorkspaceId, call: CallId): CallRow | null {
    return this.listCalls(workspace).find((row) => row.call === call) ?? null;
  }

  listUnattributed(workspace: WorkspaceId, limit: number): readonly UnattributedRow[] {
    return this.#book(workspace).agents.unattributed(limit);
  }

  events(workspace: WorkspaceId, afterSequence: number, limit: number): readonly Event[] {
    return this.#book(workspace).events.slice(afterSequence, afterSequence + limit);
  }

  loadStamp(workspace: WorkspaceId): string {
    return this.#book(workspace).stamp;
  }

  saveStamp(workspace: WorkspaceId, stamp: string): void {
    this.#book(workspace).stamp = stamp;
  }

  [Symbol.dispose](): void {}

  #book(workspace: WorkspaceId): Book {
    let book = this.#books.get(workspace);
    if (book === undefined) {
      const state = emptyState(workspace);
      book = {
        state,
        events: [],
        snapshots: new Map(),
        operations: [],
        history: [],
        stamp: '',
        agents: new SimAgents(),
      };
      this.#books.set(workspace, book);
    }
    return book;
  }
}

function project(book: Book, before: WorkspaceState, event: Event): void {
  book.agents.project(event);
  const step = historyStep(before, event);
  if (step !== null) book.history = [...book.history.slice(0, step.cutFrom), ...step.append];
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
  book.history = book.history.map((id) => (id !== null && ids.includes(id) ? null : id));
}
