/**
 * The asynchronous public API of one workspace: everything the command line does. `openWorkspace` and
 * `initWorkspace` (daemon/) give one; a daemon's client will give the same interface.
 *
 * A snapshot is named by a `spec`: a full id, a unique prefix of one (with or without `ghost_`), a
 * label, `@` for the newest, `@~N` for the N-th before it. Paths are text relative to the workspace, or
 * absolute inside it.
 */
import type {
  DamagedPath,
  Progress,
  TreeReader,
  TreeRef,
  UncoveredPath,
  WorkOptions,
} from '../backend/backend.ts';
import type { Event } from '../core/event.ts';
import type { CallId, PromptId, SnapshotId, WorkspaceId } from '../core/ids.ts';
import type { Verdict } from '../core/policy/policy-rule.ts';
import type { KeptTree, TurnMode } from '../core/state.ts';
import type { TreeChange } from '../core/tree-change.ts';
import type { CallAdvice } from './advise-call.ts';
import type { Blame, BlamedLine, BlameOrigin } from './blame.ts';
import type {
  BeginCallRequest,
  BegunCall,
  CallChanges,
  CallInfo,
  EndCallRequest,
  PromptInfo,
  PromptRequest,
  SessionInfo,
  SessionRequest,
  UnattributedInfo,
} from './call-results.ts';
import type { ChangesBetween, Span } from './changes-between.ts';
import type { Judgement, JudgeOptions } from './judge-call.ts';
import type { OperationRow } from './ports.ts';
import type {
  ArmRequest,
  ArmResult,
  PruneResult,
  RecoveryReport,
  RollbackRequest,
  SnapshotInfo,
  SnapshotRequest,
  SnapshotResult,
  TurnResult,
} from './results.ts';
import type { UndoCallPlan, UndoCallRequest, UndoCallResult } from './undo-call.ts';

export type { CallAdvice } from './advise-call.ts';
export type { CallOfSession, ChangesBetween, Span } from './changes-between.ts';
export type { Blame, BlamedLine, BlameOrigin, UndoCallPlan, UndoCallRequest, UndoCallResult };

export interface WorkspaceInfo {
  readonly workspace: WorkspaceId;
  readonly path: string;
  readonly backend: 'btrfs' | 'store' | 'memory';
  /** The pool's name. */
  readonly pool: string;
  readonly poolRoot: string;
}

export interface WorkspaceSummary extends WorkspaceInfo {
  readonly snapshots: number;
  readonly newest: SnapshotInfo | null;
  readonly pinned: number;
  readonly canUndo: boolean;
  readonly canRedo: boolean;
  readonly callsInFlight: number;
  /** Of the newest event. */
  readonly lastSequence: number;
  readonly poolTotalBytes: number;
  readonly poolFreeBytes: number;
}

export interface WorkspaceStatus extends WorkspaceSummary {
  readonly uncovered: readonly UncoveredPath[];
}

export interface JudgeTurnRequest {
  /** Only these, as a restore would; default: the whole tree. */
  readonly paths?: readonly string[];
  readonly signal?: AbortSignal;
}

/** What a rollback would do. `changes` may be iterated once. */
export interface RollbackPlan {
  readonly target: SnapshotId;
  readonly mode: TurnMode;
  readonly modeReason: string;
  /** From the live tree to the target, in walk order. */
  readonly changes: AsyncIterable<TreeChange>;
}

export interface Workspace extends AsyncDisposable, Disposable {
  readonly info: WorkspaceInfo;
  /** What opening had to mend; all lists empty in the ordinary case. */
  readonly openReport: RecoveryReport;

  snapshot(request?: SnapshotRequest): Promise<SnapshotResult>;
  /** Blocks the thread: the synchronous API's path. */
  snapshotSync(request?: SnapshotRequest): SnapshotResult;
  /**
   * Takes the next snapshot early, while nobody waits: to be called when a tool call has ended. Dirty data
   * reaches the disk now, and the next `snapshot` only adopts what lies ready, unless something changed
   * meanwhile: then it takes a fresh one. At most one is armed; anything else that is done to the
   * workspace drops it. Where "nothing changed" cannot be proven nothing is armed, and that is no error.
   */
  arm(request?: ArmRequest): Promise<ArmResult>;
  /** @throws GhostsnapError SNAPSHOT_NOT_FOUND, AMBIGUOUS_ID, BAD_ID */
  resolve(spec: string): SnapshotId;
  /** Newest first. */
  list(query?: { limit?: number; before?: SnapshotId }): readonly SnapshotInfo[];
  show(spec: string): SnapshotInfo;
  operations(limit?: number): readonly OperationRow[];
  /** Looks through the live tree for what snapshots do not cover. */
  status(): Promise<WorkspaceStatus>;
  /** The same without looking through the tree: what it costs does not grow with the workspace. */
  summary(): WorkspaceSummary;
  /** In sequence order, those after `afterSequence`, at most `limit`. */
  events(afterSequence: number, limit: number): readonly Event[];

  /**
   * A tool is about to run: its snapshot, then its entry. On return the tool may start.
   * @throws GhostsnapError what `snapshot` throws, unless `onSnapshotFailure` is 'warn'; BAD_ARGUMENT
   */
  beginCall(request: BeginCallRequest): Promise<BegunCall>;
  /** Records the end and nothing else. @throws GhostsnapError CALL_NOT_FOUND when it is not in flight */
  endCall(request: EndCallRequest): Promise<CallId>;
  /**
   * Counts what a call that ended did, from its snapshot to the live tree, and records it. Reads trees:
   * for when nobody waits. Repeating it gives what was recorded.
   * @returns null for a call without a snapshot of its own
   */
  measureCall(call: CallId, options?: { signal?: AbortSignal }): Promise<CallChanges | null>;
  /**
   * Whether the tree changed between the end of the call before and the beginning of this one, without
   * any call; it is recorded. A call before that was not counted is counted now instead, up to this one's
   * snapshot. For when nobody waits. False also when it cannot be known.
   */
  findUnattributed(call: CallId, options?: { signal?: AbortSignal }): Promise<boolean>;
  /**
   * What the policy says of a call that ended, from what it really changed. It is recorded, the change is
   * counted as `measureCall` does, and a rollback that the policy demands is done; `act` says less of
   * that. Not before the call has ended.
   * @throws GhostsnapError CALL_NOT_FOUND, WORKSPACE_BUSY, SNAPSHOT_NOT_FOUND, BAD_CONFIG
   */
  judgeCall(call: string, options?: JudgeOptions): Promise<Judgement>;
  /**
   * What the policy says of a call that has begun, before its tool runs, from the tool's input as the agent
   * gave it. @returns null: nothing @throws GhostsnapError CALL_NOT_FOUND, BAD_CONFIG
   */
  adviseCall(call: string, input: unknown): Promise<CallAdvice | null>;
  /**
   * What the policy says of going back to a state, before it is done. Reads only.
   * @throws GhostsnapError as `planRollback`, BAD_CONFIG
   */
  judgeTurn(spec: string, request?: JudgeTurnRequest): Promise<Verdict>;
  /** Idempotent; a session is also recorded by its first call or prompt. @returns it as it is recorded */
  startSession(request: SessionRequest): Promise<SessionInfo>;
  /**
   * Its calls in flight end as 'unknown', and so do sessions that its agent started. An unknown or ended
   * session stays as it is.
   */
  endSession(session: string): Promise<void>;
  /** The session's calls in flight end as 'unknown': nobody reports them any more. */
  submitPrompt(request: PromptRequest): Promise<PromptId>;
  /** Newest first. */
  listCalls(query?: {
    readonly session?: string;
    readonly limit?: number;
    readonly before?: CallId;
  }): readonly CallInfo[];
  /** @param call a call's full id @throws GhostsnapError CALL_NOT_FOUND */
  showCall(call: string): CallInfo;
  /** Newest start first. */
  listSessions(limit?: number): readonly SessionInfo[];
  /** Newest first. */
  listPrompts(query?: {
    readonly session?: string;
    readonly limit?: number;
  }): readonly PromptInfo[];
  /** Newest first. */
  listUnattributed(limit?: number): readonly UnattributedInfo[];

  /** What turns `from` into `to` ('live' for the live tree), in walk order, renames not yet detected. */
  diff(
    from: string,
    to?: string,
    options?: { paths?: readonly string[]; mtimes?: boolean; signal?: AbortSignal },
  ): AsyncIterable<TreeChange>;
  /**
   * Who last wrote each line of a file as it is now, from the snapshots that are kept.
   * @throws GhostsnapError PATH_NOT_IN_SNAPSHOT (no such file now), BAD_ARGUMENT (binary, no file),
   *   LIMIT_EXCEEDED (too large)
   */
  blame(path: string, options?: { readonly signal?: AbortSignal }): Promise<Blame>;
  /** For line diffs and for looking into a snapshot. */
  openTree(tree: TreeRef): Promise<TreeReader>;

  planRollback(spec: string, request?: RollbackRequest): Promise<RollbackPlan>;
  rollback(spec: string, request?: RollbackRequest): Promise<TurnResult>;
  planRestore(
    spec: string,
    paths: readonly string[],
    work?: { readonly signal?: AbortSignal },
  ): Promise<RollbackPlan>;
  restore(
    spec: string,
    paths: readonly string[],
    request?: Omit<RollbackRequest, 'mode'>,
  ): Promise<TurnResult>;
  /**
   * Writes paths of a snapshot under `directory` (absolute); the workspace is not touched. Interrupted, what
   * was written stays there.
   */
  extract(
    spec: string,
    paths: readonly string[],
    directory: string,
    work?: { readonly signal?: AbortSignal; readonly onProgress?: Progress },
  ): Promise<{ changes: number; notes: TurnResult['notes'] }>;
  /**
   * A writable copy of a snapshot to try something in, outside of the live tree: a clone on btrfs. One a
   * workspace: the one before goes. It stays until it is removed or the workspace is destroyed.
   */
  makeScratch(
    spec: string,
    work?: { readonly signal?: AbortSignal; readonly onProgress?: Progress },
  ): Promise<{ path: string }>;
  /** One that is not there counts as removed. */
  removeScratch(): Promise<void>;
  /** What may have changed the tree between two snapshots. */
  changesBetween(span: Span): ChangesBetween;
  /** What `undoCall` would do, conflicts included. Reads only. @throws GhostsnapError as `undoCall` */
  planUndoCall(call: string, options?: { readonly signal?: AbortSignal }): Promise<UndoCallPlan>;
  /**
   * Takes back what one tool call did and keeps what came later: a three-way merge a path. All of it or
   * nothing, unless `conflicts: 'partial'`. A turn like any other: undo takes it back.
   * @throws GhostsnapError CALL_NOT_FOUND, NOTHING_TO_UNDO, MERGE_CONFLICT (nothing was written),
   *   WORKSPACE_BUSY (the call runs), SNAPSHOT_NOT_FOUND (its states are not kept), LIMIT_EXCEEDED
   */
  undoCall(call: string, request?: UndoCallRequest): Promise<UndoCallResult>;
  /** What `undo` or `redo` would do. @throws GhostsnapError NOTHING_TO_UNDO, NOTHING_TO_REDO */
  planWalk(
    direction: 'undo' | 'redo',
    request?: { readonly signal?: AbortSignal },
  ): Promise<RollbackPlan>;
  /** @throws GhostsnapError NOTHING_TO_UNDO */
  undo(request?: RollbackRequest): Promise<TurnResult>;
  /** @throws GhostsnapError NOTHING_TO_REDO */
  redo(request?: RollbackRequest): Promise<TurnResult>;

  pin(spec: string): Promise<SnapshotInfo>;
  unpin(spec: string): Promise<SnapshotInfo>;
  label(spec: string, label: string | null): Promise<SnapshotInfo>;
  /** By the retention rules, or exactly `specs`. `apply: false` only says what would happen. */
  prune(request?: {
    specs?: readonly string[];
    apply?: boolean;
    onStep?: (label: string) => void;
    signal?: AbortSignal;
  }): Promise<PruneResult>;
  recover(): Promise<RecoveryReport>;
  /**
   * Proves everything that the snapshots hold; reads all of it and changes nothing. null: the filesystem keeps
   * checksums itself. @throws GhostsnapError INTERRUPTED, IO
   */
  verify(work?: WorkOptions): Promise<readonly DamagedPath[] | null>;
  /**
   * A plain directory remains, or with `tree: 'removed'` nothing does. The workspace object is closed
   * afterwards. @throws GhostsnapError as the backend's `removeWorkspace`
   */
  destroy(request?: {
    readonly tree?: KeptTree;
    onProgress?: (done: number, total: number | null) => void;
    onStep?: (label: string) => void;
    signal?: AbortSignal;
  }): Promise<{ path: string; removedSnapshots: number }>;
  close(): Promise<void>;
}
