/**
 * The engine's implementation of the public `Workspace`: its life from creation to the end, its snapshots,
 * and what is kept of them. Reading (workspace-reading.ts), turning (workspace-turns.ts) and tool calls
 * (workspace-calls.ts) are below it.
 *
 * A thin front: every method resolves what the person named, runs one operation inside the session's
 * queue and lock, and gives back a plain value. What a snapshot does not need is loaded by the methods
 * that do.
 */
import { GhostsnapError } from '../core/errors.ts';
import { armSnapshot } from './arm-snapshot.ts';
import type { CreateOptions } from './create-workspace.ts';
import type { DestroyRequest } from './destroy-workspace.ts';
import { parseLabel, parseLabels } from './labels.ts';
import { isPruneDue, prune } from './prune.ts';
import type { StepHook } from './rebind.ts';
import { emptyDraft, reconcile } from './reconcile.ts';
import { recoverAsFarAsPossible, recoverSession } from './recover.ts';
import { requireSnapshot } from './require-snapshot.ts';
import type {
  ArmRequest,
  ArmResult,
  PruneResult,
  RecoveryReport,
  SnapshotInfo,
  SnapshotRequest,
  SnapshotResult,
  UnfinishedTurn,
} from './results.ts';
import { createdAtOf } from './snapshot-info.ts';
import { type TakenSnapshot, takeSnapshot, takeSnapshotSync } from './take-snapshot.ts';
import type { Workspace } from './workspace-api.ts';
import { WorkspaceCalls } from './workspace-calls.ts';

export class EngineWorkspace extends WorkspaceCalls implements Workspace {
  #openReport: RecoveryReport | null = null;
  #isClosed = false;

  /** The catalog was lost, or never got so far: it says nothing of the workspace. */
  get isUnknown(): boolean {
    return this.session.ports.catalog.loadState(this.session.ref.id) === null;
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
    await createWorkspace(this.session, this.info, options);
  }

  /** After a failed `create`. True: nothing is left of it; false: it had come so far that it stays. */
  async takeBackCreation(): Promise<boolean> {
    const { takeBackCreation } = await import('./create-workspace.ts');
    return await takeBackCreation(this.session);
  }

  /** After a failed `create` from a snapshot. False: it had come so far that it stays. */
  async takeBackClone(): Promise<boolean> {
    const { takeBackClone } = await import('./create-workspace.ts');
    return await takeBackClone(this.session);
  }

  /**
   * Recovery as every open does it.
   * @throws GhostsnapError WORKSPACE_DESTROYED when that was to end an interrupted `destroy`
   */
  async open(): Promise<void> {
    this.#openReport = await this.session.run({ purpose: 'open' }, async () => {
      this.assertNotDestroyed();
      const report = await this.#recoverIfNeeded();
      this.assertNotDestroyed();
      return report;
    });
  }

  /**
   * The synchronous open: it cannot finish what a crash left in flight.
   * @throws GhostsnapError OPERATION_IN_FLIGHT
   */
  openSync(): void {
    this.#openReport = this.session.runSync({ purpose: 'open' }, () => {
      this.assertNotDestroyed();
      const { inFlight } = this.session.state;
      if (inFlight === null) return reconcile(this.session);
      throw new GhostsnapError(
        'OPERATION_IN_FLIGHT',
        `The operation ${inFlight.operation} was interrupted and has not been ended.`,
        { hint: 'Run "ghostsnap recover", or open the workspace asynchronously.' },
      );
    });
  }

  async snapshot(request: SnapshotRequest = {}): Promise<SnapshotResult> {
    const { clock } = this.session.ports;
    const labels = parseLabels(request);
    const startedMs = clock.monotonicMs();
    const taken = await this.exclusive({ ...request, purpose: 'snapshot' }, () =>
      takeSnapshot(this.session, 'ordinary', labels, request),
    );
    return this.#snapshotResult(taken, clock.monotonicMs() - startedMs);
  }

  snapshotSync(request: SnapshotRequest = {}): SnapshotResult {
    const { clock } = this.session.ports;
    const labels = parseLabels(request);
    const startedMs = clock.monotonicMs();
    const taken = this.session.runSync({ ...request, purpose: 'snapshot' }, () =>
      takeSnapshotSync(this.session, 'ordinary', labels),
    );
    return this.#snapshotResult(taken, clock.monotonicMs() - startedMs);
  }

  async arm(request: ArmRequest = {}): Promise<ArmResult> {
    return await this.exclusive({ ...request, purpose: 'arm' }, () => {
      if (this.session.isAwaited) {
        return { armed: false, reason: 'somebody waits for the workspace already' };
      }
      if (this.session.isUncertain) reconcile(this.session);
      return armSnapshot(this.session, request.onStep);
    });
  }

  async pin(spec: string): Promise<SnapshotInfo> {
    return await this.#setPinned(spec, 'pinned');
  }

  async unpin(spec: string): Promise<SnapshotInfo> {
    return await this.#setPinned(spec, 'unpinned');
  }

  async label(spec: string, label: string | null): Promise<SnapshotInfo> {
    const text = parseLabel(label);
    return await this.exclusive({ purpose: 'label' }, () => {
      const id = this.resolve(spec);
      this.session.decide({ type: 'label-snapshot', id, label: text }, 'power-loss');
      return requireSnapshot(this.session, id);
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
    return await prune(this.session, {
      ...{ specs: request.specs, onStep: request.onStep, signal: request.signal },
      act: request.apply === false ? 'plan' : 'apply',
      policy: () => this.host.policy(),
      bisect: () => this.host.bisect(this.info.workspace),
      enter: () => this.#endWhatCanBe(),
    });
  }

  async recover(): Promise<RecoveryReport> {
    return await this.session.run({ purpose: 'recover' }, () => {
      this.session.ports.catalog.saveStamp(this.session.ref.id, '');
      return recoverSession(this.session);
    });
  }

  async destroy(request: DestroyRequest = {}): Promise<{ path: string; removedSnapshots: number }> {
    const { destroyWorkspace } = await import('./destroy-workspace.ts');
    const removedSnapshots = await this.exclusive({ purpose: 'destroy' }, () =>
      destroyWorkspace(this.session, request),
    );
    this.forget();
    await this.close();
    return { path: this.info.path, removedSnapshots };
  }

  /** As `rebindSession`: the workspace was found at the path it was opened with. */
  async rebind(onStep?: StepHook): Promise<RecoveryReport> {
    const { rebindSession, SHOWN_STEP } = await import('./rebind.ts');
    return await this.session.run({ purpose: 'rebind' }, async () => {
      const { backend } = this.session.ports;
      if (backend.showAgain(this.session.ref, 'apply')) onStep?.(SHOWN_STEP);
      backend.identify(this.session.ref);
      this.#openReport = await this.#recoverIfNeeded();
      rebindSession(this.session, onStep);
      return this.#openReport;
    });
  }

  /** As `abandonSession`. The number of snapshots that went. */
  async abandon(onStep?: StepHook): Promise<number> {
    const { abandonSession } = await import('./rebind.ts');
    const session = this.session;
    return await session.run({ purpose: 'abandon' }, () => abandonSession(session, onStep));
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.host.closing(this);
    await this.session.close();
    await this.host.release();
  }

  [Symbol.dispose](): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.host.closing(this);
    this.session.closeSync();
    this.host.releaseSync();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  protected pruneIfDue(): void {
    if (isPruneDue(this.session.state.snapshotCount)) this.host.pruneDue(this);
  }

  protected forget(): void {
    this.host.forget(this);
  }

  /** Inside the lock. A turn that can't be ended now stays in flight: deleting goes on beside it. */
  async #endWhatCanBe(): Promise<UnfinishedTurn | null> {
    const isIdle = this.session.state.inFlight === null;
    const report = isIdle ? null : await recoverAsFarAsPossible(this.session);
    this.assertNotDestroyed();
    return report?.unfinished ?? null;
  }

  /** A catalog that was lost, or an init that was interrupted after the disk had been made ready. */
  async #recoverIfNeeded(): Promise<RecoveryReport> {
    const { state } = this.session;
    const { backend } = this.session.ports;
    const { path, backend: kind, pool } = this.info;
    if (state.sequence === 0) {
      this.session.decide({ type: 'create-workspace', path, backend: kind, pool }, 'power-loss');
    }
    if (this.session.state.status === 'creating') {
      await backend.recoverWorkspace(this.session.ref);
      const { assertMade } = await import('./rebind.ts');
      assertMade(backend, this.session.ref);
      this.session.decide({ type: 'activate-workspace' }, 'power-loss');
    }
    const isWhole = state.inFlight === null && !backend.isLeftHalfWay(this.session.ref);
    return isWhole ? reconcile(this.session) : await recoverAsFarAsPossible(this.session);
  }

  #snapshotResult(taken: TakenSnapshot, durationMs: number): SnapshotResult {
    const { id, uncovered, adopted } = taken;
    const { workspace } = this.info;
    this.pruneIfDue();
    return { id, workspace, createdAt: createdAtOf(id), durationMs, uncovered, adopted };
  }

  async #setPinned(spec: string, pinned: 'pinned' | 'unpinned'): Promise<SnapshotInfo> {
    return await this.exclusive({ purpose: pinned === 'pinned' ? 'pin' : 'unpin' }, () => {
      const id = this.resolve(spec);
      const { backend } = this.session.ports;
      const type = pinned === 'pinned' ? 'pin-snapshot' : 'unpin-snapshot';
      // On disk first when pinning, last when unpinning: a crash between leaves it pinned, never lost.
      if (pinned === 'pinned') backend.setPinned(this.session.ref, id, pinned);
      this.session.decide({ type, id }, 'power-loss');
      if (pinned === 'unpinned') backend.setPinned(this.session.ref, id, pinned);
      return requireSnapshot(this.session, id);
    });
  }
}
