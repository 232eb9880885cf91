/**
 * What the engine needs from outside, as interfaces. Adapters implement them; the daemon and the CLI
 * hand them in. The engine never reads a clock, the environment or a random source by itself.
 */
import type {
  CallChanges,
  CallFacts,
  CallJudgement,
  CallOutcome,
  Event,
  SnapshotRole,
} from '../core/event.ts';
import type { CallId, OperationId, PromptId, SnapshotId, WorkspaceId } from '../core/ids.ts';
import type { TurnKind, TurnMode, WorkspaceState } from '../core/state.ts';
import type { MetricName, Outcome, SpanName } from '../core/telemetry-names.ts';
import type { TraceContext } from '../core/trace-context.ts';

export interface Clock {
  /** Milliseconds since the epoch. */
  nowMs(): number;
  /** Milliseconds from some fixed point, never stepping back; for durations. */
  monotonicMs(): number;
}

export interface Entropy {
  /** Fills and returns a buffer that is valid until the next call. */
  ulidRandom(): Uint8Array;
}

/** One snapshot as the catalog knows it. */
export interface SnapshotRow {
  readonly id: SnapshotId;
  readonly createdAtMs: number;
  readonly role: SnapshotRole;
  readonly parent: SnapshotId | null;
  readonly label: string | null;
  readonly tool: string | null;
  readonly session: string | null;
  readonly call: string | null;
  readonly pinned: boolean;
}

/** One operation of the log that undo, redo and people walk. */
export interface OperationRow {
  readonly operation: OperationId;
  readonly kind: TurnKind;
  readonly target: SnapshotId;
  readonly precautionary: SnapshotId;
  readonly mode: TurnMode;
  readonly startedAtMs: number;
  readonly endedAtMs: number | null;
  readonly outcome: 'completed' | 'abandoned' | 'in-flight';
  readonly changes: number | null;
  readonly paths: readonly string[];
  /** The backend's token from `turn.started`. */
  readonly token: string;
}

export interface WorkspaceRow {
  readonly workspace: WorkspaceId;
  readonly path: string;
  readonly backend: string;
  readonly status: WorkspaceState['status'];
}

export interface SessionRow {
  readonly session: string;
  readonly harness: string;
  readonly parent: string | null;
  /** Of the last start: a session may be resumed. */
  readonly startedAtMs: number;
  readonly endedAtMs: number | null;
}

export interface PromptRow {
  readonly prompt: PromptId;
  readonly session: string;
  readonly text: string;
  readonly atMs: number;
}

export interface CallRow extends CallFacts {
  readonly call: CallId;
  readonly begunAtMs: number;
  readonly endedAtMs: number | null;
  /** null: in flight. */
  readonly outcome: CallOutcome | null;
  /** Calls that were in flight at the same time, begun before or after. */
  readonly overlaps: readonly CallId[];
  /** null: not counted. */
  readonly changes: CallChanges | null;
  /** null: not judged, or nothing was found. */
  readonly judged: CallJudgement | null;
}

/** A change that was found where no call had been. */
export interface UnattributedRow {
  readonly snapshot: SnapshotId;
  readonly since: CallId;
  readonly atMs: number;
}

/** Newest first. */
export interface CallQuery {
  readonly session?: string;
  readonly limit?: number;
  readonly before?: CallId;
}

export interface SnapshotQuery {
  /** At most this many, newest first. */
  readonly limit?: number;
  readonly before?: SnapshotId;
}

/**
 * Events and their projections. Synchronous: nothing may come between a decision and its record.
 * Reading works while another process writes.
 *
 * A command commits where it stands: tens of microseconds, and the commit has landed when the call
 * returns. A service's catalog lets commits of many workspaces share a transaction on another thread:
 * then a commit lands later, in the order it was given, and `settle` says when. Until then it may be lost
 * with the process, as a 'process-crash' commit may be with the power. So an operation is acknowledged only
 * after `settle`, and an effect that its record must precede waits for it as well. Every reading
 * method shows what this object has committed, landed or not.
 */
export interface Catalog extends Disposable {
  /** The state after the last event; null: unknown workspace. */
  loadState(workspace: WorkspaceId): WorkspaceState | null;

  /**
   * Appends events, updates projections and stores the state, in one transaction.
   * @param durability 'power-loss': on disk on return. 'process-crash': survives this process, may be
   *   lost with the power (then recovery finds the snapshot on disk).
   * @throws GhostsnapError LOCKED when another writer does not finish in time; WORKSPACE_BUSY when the
   *   first event does not follow the stored sequence (nothing is written).
   */
  commit(
    workspace: WorkspaceId,
    events: readonly Event[],
    state: WorkspaceState,
    durability: 'power-loss' | 'process-crash',
  ): void;

  /**
   * Waits until everything that was committed to the workspace has landed as its durability promises.
   * null: it has. After a failure nothing of what was committed since is in the catalog.
   * @throws GhostsnapError what `commit` throws, of the first that failed; said once
   */
  settle(workspace: WorkspaceId): Promise<void> | null;
  /** The same, blocking this thread. */
  settleSync(workspace: WorkspaceId): void;

  listWorkspaces(): readonly WorkspaceRow[];
  workspaceRow(workspace: WorkspaceId): WorkspaceRow | null;
  /** Newest first. */
  listSnapshots(workspace: WorkspaceId, query?: SnapshotQuery): readonly SnapshotRow[];
  /** Every id, in id order. */
  snapshotIds(workspace: WorkspaceId): readonly SnapshotId[];
  snapshot(workspace: WorkspaceId, id: SnapshotId): SnapshotRow | null;
  /** Ids that start with `prefix` (at most `limit`), in id order. */
  findByPrefix(workspace: WorkspaceId, prefix: string, limit: number): readonly SnapshotId[];
  /** Newest snapshot with exactly this label. */
  findByLabel(workspace: WorkspaceId, label: string): SnapshotId | null;
  /** Undo history, positions `from` (inclusive) to `to` (exclusive); pruned snapshots are absent. */
  history(
    workspace: WorkspaceId,
    from: number,
    to: number,
  ): readonly { position: number; id: SnapshotId }[];
  /** Newest first. */
  listOperations(workspace: WorkspaceId, limit: number): readonly OperationRow[];
  /** Newest start first. */
  listSessions(workspace: WorkspaceId, limit: number): readonly SessionRow[];
  session(workspace: WorkspaceId, session: string): SessionRow | null;
  /** Newest first, of one session or of all. */
  listPrompts(
    workspace: WorkspaceId,
    query: { readonly session?: string; readonly limit?: number },
  ): readonly PromptRow[];
  /** Newest first. */
  listCalls(workspace: WorkspaceId, query?: CallQuery): readonly CallRow[];
  call(workspace: WorkspaceId, call: CallId): CallRow | null;
  /** Newest first. */
  listUnattributed(workspace: WorkspaceId, limit: number): readonly UnattributedRow[];
  /** In sequence order, in pages. */
  events(workspace: WorkspaceId, afterSequence: number, limit: number): readonly Event[];

  /** The backend's `snapshotsStamp` when catalog and disk were last seen equal; '' when never. */
  loadStamp(workspace: WorkspaceId): string;
  saveStamp(workspace: WorkspaceId, stamp: string): void;
}

/** A lock that dies with its process. Dispose to release. */
export interface Lock extends Disposable {
  readonly name: string;
  /**
   * The holder before died with the lock, or left it unsettled: what it was doing may be on disk and not
   * in the catalog.
   */
  readonly isInherited: boolean;
  /**
   * Nobody but the same `holder` has had the lock since it released it: what it knew then still holds.
   * False also when that cannot be known.
   */
  readonly isContinued: boolean;
  /** The next holder is told what a holder that died would have told it. */
  leaveUnsettled(): void;
}

export interface LockOptions {
  /** Milliseconds to wait for another process; 0: at once or not at all. */
  readonly waitMs: number;
  /** Shown to those who wait. */
  readonly purpose: string;
  /** A number of whoever asks, for `isContinued`; not 0. */
  readonly holder?: number;
}

export interface Locks {
  /** @throws GhostsnapError LOCKED, naming the holder's process id and what it does. */
  acquire(name: string, options: LockOptions & { signal?: AbortSignal }): Promise<Lock>;
  /** Blocks this thread while waiting. */
  acquireSync(name: string, options: LockOptions): Lock;
}

/**
 * Where it is said what happened and how long it took. Every method may be called on the hottest path: it
 * never throws, never waits, and where nothing is traced it allocates nothing. Whoever reads what was said
 * may be slow, hung or gone; what is lost then is counted, and nobody here notices.
 *
 * A span without children is said in one call, `span`, and gets an id of its own. One with children asks
 * `begin` for a context first, hands that to them, and says `end`:
 * ```ts
 * const startNs = telemetry.nowNs();
 * const open = telemetry.begin(trace);
 * ... await work(open) ...
 * telemetry.end(SPAN.callBegin, open, startNs, OUTCOME.ok);
 * ```
 */
export interface Telemetry {
  /** Nanoseconds on a clock that never steps back; 0 when nobody listens. */
  nowNs(): number;
  /**
   * A context below `parent`; for none the first one of a new trace, if this one is to be sampled.
   * undefined: there is no trace. Passing on what it returns is always right.
   */
  begin(parent: TraceContext | undefined): TraceContext | undefined;
  /** A span that was begun with `begin`, from `startNs` until now. */
  end(name: SpanName, open: TraceContext | undefined, startNs: number, outcome: Outcome): void;
  /** A span directly below `trace`, or one without a trace; its duration counts in either case. */
  span(
    name: SpanName,
    trace: TraceContext | undefined,
    startNs: number,
    endNs: number,
    outcome: Outcome,
  ): void;
  /**
   * A request of the API, begun with `begin`, from `startNs` until now.
   * @param route its index in the table of routes that the host gave when it began to watch
   */
  request(route: number, status: number, open: TraceContext | undefined, startNs: number): void;
  /** Adds to a counter. */
  count(metric: MetricName, n: number): void;
  /** Sets a gauge, or a counter that somebody else counts. */
  gauge(metric: MetricName, value: number): void;
}

/** Nobody listens: what everything uses that is not told otherwise. A context is passed on as it came. */
export const NO_TELEMETRY: Telemetry = {
  nowNs: () => 0,
  begin: (parent) => parent,
  end: () => undefined,
  span: () => undefined,
  request: () => undefined,
  count: () => undefined,
  gauge: () => undefined,
};
