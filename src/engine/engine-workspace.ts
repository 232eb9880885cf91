/**
 * The engine's implementation of the public `Workspace`.
 *
 * A thin front: every method resolves what the person named, runs one operation inside the session's
 * queue and lock, and gives back a plain value. Reading methods take neither: the catalog shows them the
 * last committed state. What a snapshot does not need is loaded by the methods that do.
 */
import type { DamagedPath, TreeReader, TreeRef, WorkOptions } from '../backend/backend.ts';
import { GhostsnapError } from '../core/errors.ts';
import type { Event } from '../core/event.ts';
import type { CallId, PromptId, SnapshotId } from '../core/ids.ts';
import type { Verdict } from '../core/policy/policy-rule.ts';
import { type RawPath, ROOT_PATH } from '../core/raw-path.ts';
import type { TreeChange } from '../core/tree-change.ts';
import type { CallAdvice } from './advise-call.ts';
import { callInfo, promptInfo, sessionInfo, unattributedInfo } from './agent-info.ts';
import { endSession, ensureSession, submitPrompt } from './agent-sessions.ts';
import { armSnapshot } from './arm-snapshot.ts';
import type { Blame } from './blame.ts';
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
import { type ChangesBetween, changesBetween, type Span } from './changes-between.ts';
import { chooseMode } from './choose-mode.ts';
import type { CreateOptions } from './create-workspace.ts';
import type { DestroyRequest } from './destroy-workspace.ts';
import { workspaceDestroyed } from './destroyed-workspace.ts';
import type { Judgement, JudgeOptions } from './judge-call.ts';
import { parseLabel, parseLabels } from './labels.ts';
import type { CallQuery, OperationRow } from './ports.ts';
import { isPruneDue, prune } from './prune.ts';
import type { StepHook } from './rebind.ts';
import { emptyDraft, reconcile } from './reconcile.ts';
import { recoverAsFarAsPossible, recoverSession } from './recover.ts';
import { requireSnapshot } from './require-snapshot.ts';
import { resolveSnapshot } from './resolve-snapshot.ts';
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
  UnfinishedTurn,
} from './results.ts';
import { createdAtOf, snapshotInfo } from './snapshot-info.ts';
import { type TakenSnapshot, takeSnapshot, takeSnapshotSync } from './take-snapshot.ts';
import { beginCall, endCall, findUnattributed, measureCall, requireCall } from './tool-calls.ts';
import { turnTree } from './turn-tree.ts';
import type { UndoCallPlan, UndoCallRequest, UndoCallResult } from './undo-call.ts';
import { findRedoTarget, findUndoTarget } from './undo-redo.ts';
import type {
  JudgeTurnRequest,
  RollbackPlan,
  Workspace,
  WorkspaceInfo,
  WorkspaceStatus,
  WorkspaceSummary,
} from './workspace-api.ts';
import type { WorkspaceHost } from './workspace-host.ts';
import { parseWorkspacePaths } from './workspace-paths.ts';
import type { WorkOn, WorkspaceSession } from './workspace-session.ts';
import { summaryOf } from './workspace-summary.ts';

type DiffOptions = { paths?: readonly string[]; mtimes?: boolean; signal?: AbortSignal };

export class EngineWorkspace implements Workspace {
  readonly #session: WorkspaceSession;
  readonly #host: WorkspaceHost;
  #openReport: RecoveryReport | null = null;
  #isClosed = false;

  constructor(session: WorkspaceSession, host: WorkspaceHost) {
    this.#session = session;
    this.#host = host;
  }

  get info(): WorkspaceInfo {
    const { id: workspace, path, poolRoot } = this.#session.ref;
    const { backend, pool } = this.#host;
    return { workspace, path, backend, pool, poolRoot };
  }

  /** The catalog was lost, or never got so far: it says nothing of the workspace. */
  get isUnknown(): boolean {
    return this.#session.ports.catalog.loadState(this.#session.ref.id) === null;
  }

  get openReport(): RecoveryReport {
    return this.#openReport ?? emptyDraft();
  }

  /**
   * Makes the directory a workspace: the first event, the backend's work, the end, a first snapshot.
   * @param options how: where it stands, from another filesystem, from a snapshot of another workspace
   */
  async create(options: CreateOptions): Promise<void> {
    const { createWorkspace } = await import('./create-workspace.ts');
    await createWorkspace(this.#session, this.info, options);
  }

  /** After a failed `create`. True: nothing is left of it; false: it had come so far that it stays. */
  async takeBackCreation(): Promise<boolean> {
    const { takeBackCreation } = await import('./create-workspace.ts');
    return await takeBackCreation(this.#session);
  }

  /** After a failed `create` from a snapshot. False: it had come so far that it stays. */
  async takeBackClone(): Promise<boolean> {
    const { takeBackClone } = await import('./create-workspace.ts');
    return await takeBackClone(this.#session);
  }

  /**
   * Recovery as every open does it.
   * @throws GhostsnapError WORKSPACE_DESTROYED when that was to end an interrupted `destroy`
   */
  async open(): Promise<void> {
    this.#openReport = await this.#session.run({ purpose: 'open' }, async () => {
      this.#assertNotDestroyed();
      const report = await this.#recoverIfNeeded();
      this.#assertNotDestroyed();
      return report;
    });
  }

  /**
   * The synchronous open: it cannot finish what a crash left in flight.
   * @throws GhostsnapError OPERATION_IN_FLIGHT
   */
  openSync(): void {
    this.#openReport = this.#session.runSync({ purpose: 'open' }, () => {
      this.#assertNotDestroyed();
      const { inFlight } = this.#session.state;
      if (inFlight === null) return reconcile(this.#session);
      throw new GhostsnapError(
        'OPERATION_IN_FLIGHT',
        `The operation ${inFlight.operation} was interrupted and has not been ended.`,
        { hint: 'Run "ghostsnap recover", or open the workspace asynchronously.' },
      );
    });
  }

  async snapshot(request: SnapshotRequest = {}): Promise<SnapshotResult> {
    const { clock } = this.#session.ports;
    const labels = parseLabels(request);
    const startedMs = clock.monotonicMs();
    const taken = await this.#exclusive({ ...request, purpose: 'snapshot' }, () =>
      takeSnapshot(this.#session, 'ordinary', labels, request),
    );
    return this.#snapshotResult(taken, clock.monotonicMs() - startedMs);
  }

  snapshotSync(request: SnapshotRequest = {}): SnapshotResult {
    const { clock } = this.#session.ports;
    const labels = parseLabels(request);
    const startedMs = clock.monotonicMs();
    const taken = this.#session.runSync({ ...request, purpose: 'snapshot' }, () =>
      takeSnapshotSync(this.#session, 'ordinary', labels),
    );
    return this.#snapshotResult(taken, clock.monotonicMs() - startedMs);
  }

  async arm(request: ArmRequest = {}): Promise<ArmResult> {
    return await this.#exclusive({ ...request, purpose: 'arm' }, () => {
      if (this.#session.isAwaited) {
        return { armed: false, reason: 'somebody waits for the workspace already' };
      }
      if (this.#session.isUncertain) reconcile(this.#session);
      return armSnapshot(this.#session, request.onStep);
    });
  }

  async beginCall(request: BeginCallRequest): Promise<BegunCall> {
    const { clock } = this.#session.ports;
    const startedMs = clock.monotonicMs();
    const on = { ...request, purpose: 'begin a tool call' };
    const begun = await this.#exclusive(on, () => beginCall(this.#session, request));
    if (isPruneDue(this.#session.state.snapshotCount)) this.#host.pruneDue(this);
    return { ...begun, durationMs: clock.monotonicMs() - startedMs };
  }

  async endCall(request: EndCallRequest): Promise<CallId> {
    return await this.#record('end a tool call', request, () => endCall(this.#session, request));
  }

  measureCall(call: CallId, options: { signal?: AbortSignal } = {}): Promise<CallChanges | null> {
    return measureCall(this.#session, call, options.signal);
  }

  findUnattributed(call: CallId, options: { signal?: AbortSignal } = {}): Promise<boolean> {
    return findUnattributed(this.#session, call, options.signal);
  }

  async judgeCall(call: string, options: JudgeOptions = {}): Promise<Judgement> {
    const { judgeCall } = await import('./judge-call.ts');
    return await judgeCall(this.#session, this.#host.judging, { ...options, call });
  }

  async adviseCall(call: string, input: unknown): Promise<CallAdvice | null> {
    const { adviseCall } = await import('./advise-call.ts');
    return await adviseCall(this.#session, this.#host.judging, { call, input });
  }

  async judgeTurn(spec: string, request: JudgeTurnRequest = {}): Promise<Verdict> {
    const { paths = [], ...rest } = request;
    const turn = { target: this.resolve(spec), paths: this.#paths(paths), ...rest };
    const { judgeTurn } = await import('./judge-turn.ts');
    return await judgeTurn(this.#session, this.#host.judging, turn);
  }

  async startSession(request: SessionRequest): Promise<void> {
    await this.#record('start a session', request, () => ensureSession(this.#session, request));
  }

  async endSession(session: string): Promise<void> {
    await this.#record('end a session', {}, () => endSession(this.#session, session));
  }

  async submitPrompt(request: PromptRequest): Promise<PromptId> {
    return await this.#record('record a prompt', request, () =>
      submitPrompt(this.#session, request),
    );
  }

  listCalls(query: CallQuery = {}): readonly CallInfo[] {
    return this.#session.ports.catalog.listCalls(this.#session.ref.id, query).map(callInfo);
  }

  showCall(call: string): CallInfo {
    return callInfo(requireCall(this.#session, call));
  }

  listSessions(limit = 50): readonly SessionInfo[] {
    return this.#session.ports.catalog.listSessions(this.#session.ref.id, limit).map(sessionInfo);
  }

  listPrompts(query: { session?: string; limit?: number } = {}): readonly PromptInfo[] {
    return this.#session.ports.catalog.listPrompts(this.#session.ref.id, query).map(promptInfo);
  }

  listUnattributed(limit = 50): readonly UnattributedInfo[] {
    const { catalog } = this.#session.ports;
    return catalog.listUnattributed(this.#session.ref.id, limit).map(unattributedInfo);
  }

  resolve(spec: string): SnapshotId {
    return resolveSnapshot(this.#session.ports.catalog, this.#session.ref.id, spec);
  }

  list(query: { limit?: number; before?: SnapshotId } = {}): readonly SnapshotInfo[] {
    return this.#session.ports.catalog.listSnapshots(this.#session.ref.id, query).map(snapshotInfo);
  }

  show(spec: string): SnapshotInfo {
    return requireSnapshot(this.#session, this.resolve(spec));
  }

  operations(limit = 50): readonly OperationRow[] {
    return this.#session.ports.catalog.listOperations(this.#session.ref.id, limit);
  }

  async status(): Promise<WorkspaceStatus> {
    const uncovered = await this.#session.ports.backend.listUncovered(this.#session.ref);
    return { ...this.summary(), uncovered };
  }

  summary(): WorkspaceSummary {
    return { ...this.info, ...summaryOf(this.#session) };
  }

  events(afterSequence: number, limit: number): readonly Event[] {
    return this.#session.ports.catalog.events(this.#session.ref.id, afterSequence, limit);
  }

  diff(from: string, to = 'live', options: DiffOptions = {}): AsyncIterable<TreeChange> {
    const { backend } = this.#session.ports;
    return backend.compare(this.#session.ref, this.#treeRef(from), this.#treeRef(to), {
      ...(options.paths === undefined ? {} : { paths: this.#paths(options.paths) }),
      ...(options.mtimes === undefined ? {} : { mtimes: options.mtimes }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
  }

  async blame(path: string, options: { signal?: AbortSignal } = {}): Promise<Blame> {
    const [raw = ROOT_PATH] = this.#paths([path]);
    const { blameFile } = await import('./blame.ts');
    return await blameFile(this.#session, raw, options.signal);
  }

  openTree(tree: TreeRef): Promise<TreeReader> {
    return this.#session.ports.backend.openTree(this.#session.ref, tree);
  }

  async planRollback(spec: string, request: RollbackRequest = {}): Promise<RollbackPlan> {
    const target = this.resolve(spec);
    const { backend } = this.#session.ports;
    const chosen = await chooseMode(backend, this.#session.ref, target, request.mode ?? 'auto');
    const changes = backend.compare(this.#session.ref, 'live', target);
    return { target, mode: chosen.mode, modeReason: chosen.reason, changes };
  }

  async rollback(spec: string, request: RollbackRequest = {}): Promise<TurnResult> {
    const target = this.resolve(spec);
    return await this.#exclusive({ ...request, purpose: 'rollback' }, () =>
      turnTree(this.#session, { ...request, kind: 'rollback', target, cursor: null, paths: [] }),
    );
  }

  async planRestore(spec: string, paths: readonly string[]): Promise<RollbackPlan> {
    const target = this.resolve(spec);
    const parsed = await this.#pathsInSnapshot(target, paths);
    const changes = this.#session.ports.backend.compare(this.#session.ref, 'live', target, {
      paths: parsed,
    });
    return { target, mode: 'in-place', modeReason: 'single paths are restored in place', changes };
  }

  async restore(
    spec: string,
    paths: readonly string[],
    request: Omit<RollbackRequest, 'mode'> = {},
  ): Promise<TurnResult> {
    const target = this.resolve(spec);
    const parsed = await this.#pathsInSnapshot(target, paths);
    return await this.#exclusive({ ...request, purpose: 'restore' }, () =>
      turnTree(this.#session, {
        ...request,
        kind: 'restore',
        target,
        cursor: null,
        paths: parsed,
      }),
    );
  }

  async extract(
    spec: string,
    paths: readonly string[],
    directory: string,
  ): Promise<{ changes: number; notes: TurnResult['notes'] }> {
    const target = this.resolve(spec);
    const parsed = await this.#pathsInSnapshot(target, paths);
    const { backend } = this.#session.ports;
    return await backend.extract(this.#session.ref, target, parsed, directory);
  }

  async makeScratch(spec: string, work: WorkOptions = {}): Promise<{ path: string }> {
    const { backend } = this.#session.ports;
    return { path: await backend.makeScratch(this.#session.ref, this.resolve(spec), work) };
  }

  removeScratch(): Promise<void> {
    return this.#session.ports.backend.removeScratch(this.#session.ref);
  }

  changesBetween(span: Span): ChangesBetween {
    return changesBetween(this.#session, span);
  }

  async planWalk(
    direction: 'undo' | 'redo',
    request: { readonly signal?: AbortSignal } = {},
  ): Promise<RollbackPlan> {
    const find = direction === 'undo' ? findUndoTarget : findRedoTarget;
    const on = { purpose: `plan ${direction}`, signal: request.signal };
    const { target } = await this.#exclusive(on, () => find(this.#session));
    return await this.planRollback(target);
  }

  undo(request: RollbackRequest = {}): Promise<TurnResult> {
    return this.#walk('undo', request);
  }

  async planUndoCall(call: string, options: { signal?: AbortSignal } = {}): Promise<UndoCallPlan> {
    const { planUndoCall } = await import('./undo-call.ts');
    return await planUndoCall(this.#session, call, options.signal);
  }

  async undoCall(call: string, request: UndoCallRequest = {}): Promise<UndoCallResult> {
    const { undoCall } = await import('./undo-call.ts');
    return await this.#exclusive({ ...request, purpose: 'undo a tool call' }, () =>
      undoCall(this.#session, call, request),
    );
  }

  redo(request: RollbackRequest = {}): Promise<TurnResult> {
    return this.#walk('redo', request);
  }

  pin(spec: string): SnapshotInfo {
    return this.#setPinned(spec, 'pinned');
  }

  unpin(spec: string): SnapshotInfo {
    return this.#setPinned(spec, 'unpinned');
  }

  label(spec: string, label: string | null): SnapshotInfo {
    const text = parseLabel(label);
    return this.#session.runSync({ purpose: 'label' }, () => {
      const id = this.resolve(spec);
      this.#session.decide({ type: 'label-snapshot', id, label: text }, 'power-loss');
      return requireSnapshot(this.#session, id);
    });
  }

  async prune(
    request: {
      specs?: readonly string[];
      apply?: boolean;
      onStep?: (label: string) => void;
      signal?: AbortSignal;
    } = {},
  ): Promise<PruneResult> {
    return await prune(this.#session, {
      ...{ specs: request.specs, onStep: request.onStep, signal: request.signal },
      act: request.apply === false ? 'plan' : 'apply',
      policy: () => this.#host.policy(),
      bisect: () => this.#host.bisect(this.info.workspace),
      enter: () => this.#endWhatCanBe(),
    });
  }

  verify(work: WorkOptions = {}): Promise<readonly DamagedPath[] | null> {
    return this.#session.ports.backend.verifySnapshots(this.#session.ref, work);
  }

  async recover(): Promise<RecoveryReport> {
    return await this.#session.run({ purpose: 'recover' }, () => {
      this.#session.ports.catalog.saveStamp(this.#session.ref.id, '');
      return recoverSession(this.#session);
    });
  }

  async destroy(request: DestroyRequest = {}): Promise<{ path: string; removedSnapshots: number }> {
    const { destroyWorkspace } = await import('./destroy-workspace.ts');
    const removedSnapshots = await this.#exclusive({ purpose: 'destroy' }, () =>
      destroyWorkspace(this.#session, request),
    );
    this.#host.forget(this);
    await this.close();
    return { path: this.info.path, removedSnapshots };
  }

  /** As `rebindSession`: the workspace was found at the path it was opened with. */
  async rebind(onStep?: StepHook): Promise<RecoveryReport> {
    const { rebindSession, SHOWN_STEP } = await import('./rebind.ts');
    return await this.#session.run({ purpose: 'rebind' }, async () => {
      const { backend } = this.#session.ports;
      if (backend.showAgain(this.#session.ref, 'apply')) onStep?.(SHOWN_STEP);
      backend.identify(this.#session.ref);
      this.#openReport = await this.#recoverIfNeeded();
      rebindSession(this.#session, onStep);
      return this.#openReport;
    });
  }

  /** As `abandonSession`. The number of snapshots that went. */
  async abandon(onStep?: StepHook): Promise<number> {
    const { abandonSession } = await import('./rebind.ts');
    const session = this.#session;
    return await session.run({ purpose: 'abandon' }, () => abandonSession(session, onStep));
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#host.closing(this);
    await this.#session.close();
    await this.#host.release();
  }

  [Symbol.dispose](): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#host.closing(this);
    this.#session.closeSync();
    this.#host.releaseSync();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #walk(kind: 'undo' | 'redo', request: RollbackRequest): Promise<TurnResult> {
    const find = kind === 'undo' ? findUndoTarget : findRedoTarget;
    return await this.#exclusive({ ...request, purpose: kind }, async () => {
      const { target, position } = await find(this.#session);
      const turn = { ...request, kind, target, cursor: position, paths: [] };
      return await turnTree(this.#session, turn);
    });
  }

  /** Alone on the workspace, after ending what an earlier failure or another process's crash left in flight. */
  #exclusive<T>(on: WorkOn, work: () => Promise<T> | T): Promise<T> {
    return this.#session.run(on, async () => {
      if (this.#session.state.inFlight !== null) await recoverSession(this.#session);
      this.#assertNotDestroyed();
      return await work();
    });
  }

  /** Inside the lock. A turn that can't be ended now stays in flight: deleting goes on beside it. */
  async #endWhatCanBe(): Promise<UnfinishedTurn | null> {
    const isIdle = this.#session.state.inFlight === null;
    const report = isIdle ? null : await recoverAsFarAsPossible(this.#session);
    this.#assertNotDestroyed();
    return report?.unfinished ?? null;
  }

  /** A `destroy` that was cut short is ended by recovery; the registration must not outlive it. */
  #assertNotDestroyed(): void {
    if (this.#session.state.status !== 'destroyed') return;
    this.#host.forget(this);
    throw workspaceDestroyed(this.info.path);
  }

  /** Alone on the workspace, without touching the tree. */
  #record<T>(purpose: string, request: Partial<WorkOn>, work: () => T): Promise<T> {
    return this.#exclusive({ ...request, purpose }, async () => work());
  }

  /** A catalog that was lost, or an init that was interrupted after the disk had been made ready. */
  async #recoverIfNeeded(): Promise<RecoveryReport> {
    const { state } = this.#session;
    const { backend } = this.#session.ports;
    const { path, backend: kind, pool } = this.info;
    if (state.sequence === 0) {
      this.#session.decide({ type: 'create-workspace', path, backend: kind, pool }, 'power-loss');
    }
    if (this.#session.state.status === 'creating') {
      await backend.recoverWorkspace(this.#session.ref);
      const { assertMade } = await import('./rebind.ts');
      assertMade(backend, this.#session.ref);
      this.#session.decide({ type: 'activate-workspace' }, 'power-loss');
    }
    const isWhole = state.inFlight === null && !backend.isLeftHalfWay(this.#session.ref);
    return isWhole ? reconcile(this.#session) : await recoverAsFarAsPossible(this.#session);
  }

  #snapshotResult(taken: TakenSnapshot, durationMs: number): SnapshotResult {
    const { id, uncovered, adopted } = taken;
    const { workspace } = this.info;
    if (isPruneDue(this.#session.state.snapshotCount)) this.#host.pruneDue(this);
    return { id, workspace, createdAt: createdAtOf(id), durationMs, uncovered, adopted };
  }

  #treeRef(spec: string): TreeRef {
    return spec === 'live' ? 'live' : this.resolve(spec);
  }

  #paths(texts: readonly string[]): readonly RawPath[] {
    return parseWorkspacePaths(this.info.path, texts);
  }

  /** @throws GhostsnapError PATH_NOT_IN_SNAPSHOT, before anything is touched */
  async #pathsInSnapshot(
    target: SnapshotId,
    texts: readonly string[],
  ): Promise<readonly RawPath[]> {
    const parsed = this.#paths(texts);
    using tree = await this.openTree(target);
    for (const [index, path] of parsed.entries()) {
      if (path === ROOT_PATH || tree.lookup(path) !== null) continue;
      throw new GhostsnapError(
        'PATH_NOT_IN_SNAPSHOT',
        `The snapshot ${target} does not hold the path ${texts[index] ?? ''}`,
        { hint: `See what changed with "ghostsnap diff ${target}".` },
      );
    }
    return parsed;
  }

  #setPinned(spec: string, pinned: 'pinned' | 'unpinned'): SnapshotInfo {
    return this.#session.runSync({ purpose: pinned === 'pinned' ? 'pin' : 'unpin' }, () => {
      const id = this.resolve(spec);
      const { backend } = this.#session.ports;
      const type = pinned === 'pinned' ? 'pin-snapshot' : 'unpin-snapshot';
      // On disk first when pinning, last when unpinning: a crash between leaves it pinned, never lost.
      if (pinned === 'pinned') backend.setPinned(this.#session.ref, id, pinned);
      this.#session.decide({ type, id }, 'power-loss');
      if (pinned === 'unpinned') backend.setPinned(this.#session.ref, id, pinned);
      return requireSnapshot(this.#session, id);
    });
  }
}
