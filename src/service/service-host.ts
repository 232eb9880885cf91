/**
 * The service's host: operations of the wire, carried out by engines.
 *
 * What an engine says is what is answered; nothing here touches a tree, a snapshot or a catalog. How a
 * request comes to its engine, in what order and how often, is `placed-work.ts`.
 */

import type { Principal } from '../api/principal.ts';
import type { Lane } from '../api/routes.ts';
import type {
  EventView,
  FollowEventsInput,
  InputOf,
  OperationName,
} from '../api/schema/operations.ts';
import type { WorkspaceId } from '../core/ids.ts';
import type { AnswerStore } from './answer-store.ts';
import { BackgroundArming } from './background-arming.ts';
import type { CallContext } from './call-context.ts';
import { adviseOnCall, beginCall, endCall, getCall, listCalls } from './call-operations.ts';
import { diffPage, planPage } from './diff-page.ts';
import { EventFeed } from './event-feed.ts';
import type { ServiceHost } from './host.ts';
import { type CallVerdict, type JudgingPlaces, judgeEndedCall } from './judge-ended-call.ts';
import { KeptAnswers } from './kept-answers.ts';
import { type LaneBounds, Lanes } from './lanes.ts';
import type { Ledger } from './ledger.ts';
import { type LookedAt, lookAtInherited } from './look-at-inherited.ts';
import { OpenWorkspaces } from './open-workspaces.ts';
import { type Asked, PlacedWork } from './placed-work.ts';
import { PruneOverQuota } from './prune-over-quota.ts';
import { readContent } from './read-content.ts';
import type { ServiceStep } from './service-step.ts';
import { listSnapshots, takeSnapshot } from './snapshot-operations.ts';
import { type TenantLimits, TenantQuotas } from './tenant-quotas.ts';
import {
  eventView,
  sessionViewOf,
  snapshotViewOf,
  turnRecordOf,
  turnViewOf,
  uncoveredViews,
} from './wire-views.ts';
import { WorkspaceOperations } from './workspace-operations.ts';
import type { WorkspaceSource } from './workspace-source.ts';

export interface ServiceHostOptions {
  readonly ledger: Ledger;
  readonly answers: AnswerStore;
  readonly source: WorkspaceSource;
  readonly monotonicMs: () => number;
  /** To begin with; `resizeLanes` gives them others. */
  readonly lanes: LaneBounds;
  /** Pools that are served: they share the lanes, so that none stands before another. */
  readonly poolCount: number;
  /** What may change while it runs, as it is now. */
  readonly limits: () => HostLimits;
  /** Tenants whose workspaces everybody may clone. */
  readonly templateTenants: () => readonly string[];
  readonly tenantLimits: (tenant: string) => TenantLimits | undefined;
  /** Whether calls are judged by a policy when they end. */
  readonly judging: () => 'on' | 'off';
  /** What stands around a rollback that nobody asked for but the policy: the audit log. */
  readonly policyTurn: <T>(asked: Asked<'endCall'>, turn: () => Promise<T>) => Promise<T>;
  /** What happened where nobody waits for an answer. */
  readonly onError: (error: unknown) => void;
  readonly onStep?: (step: ServiceStep) => void;
}

export interface HostLimits {
  readonly openMax: number;
  readonly openIdleMs: number;
  readonly answersKeptMs: number;
  readonly answersMax: number;
  readonly arming: 'on' | 'off';
}

const PAGE_DEFAULT = 100;
const SWEEP_MS = 10_000;

const ignoreStep = (): void => undefined;

export class EngineServiceHost implements ServiceHost, AsyncDisposable {
  readonly #options: ServiceHostOptions;
  readonly #lanes: Lanes;
  readonly #open: OpenWorkspaces;
  readonly #work: PlacedWork;
  readonly #feed = new EventFeed();
  readonly #arming: BackgroundArming;
  readonly #quotas: TenantQuotas;
  readonly #pruning: PruneOverQuota;
  readonly #workspaces: WorkspaceOperations;
  readonly #sweeper: NodeJS.Timeout;

  constructor(options: ServiceHostOptions) {
    this.#options = options;
    const { ledger, answers, source, monotonicMs, onError, onStep = ignoreStep } = options;
    const { limits } = options;
    const { lanes: bounds, poolCount } = options;
    this.#lanes = new Lanes({ bounds, poolCount, monotonicMs });
    const kept = new KeptAnswers({
      ...{ store: answers, nowMs: steadyClock(source.nowMs(), monotonicMs), onError, onStep },
      bounds: () => ({ keepMs: limits().answersKeptMs, countMax: limits().answersMax }),
    });
    this.#open = new OpenWorkspaces({
      ...{ source, monotonicMs, onError },
      bounds: () => ({ max: limits().openMax, idleMs: limits().openIdleMs }),
    });
    this.#work = new PlacedWork({
      ...{ ledger, answers: kept, lanes: this.#lanes, open: this.#open, feed: this.#feed },
    });
    this.#arming = new BackgroundArming({ poolCount, arm: (id) => this.#arm(id), onError });
    const { templateTenants, tenantLimits: limitsOf } = options;
    const snapshotsIn = source.snapshotsIn.bind(source);
    this.#quotas = new TenantQuotas({ ledger, limitsOf, snapshotsIn, monotonicMs });
    const { lanes, open, quotas } = { lanes: this.#lanes, open: this.#open, quotas: this.#quotas };
    this.#pruning = new PruneOverQuota({ lanes, open, quotas, onError });
    this.#workspaces = new WorkspaceOperations({
      ...{ ledger, source, open, quotas, templateTenants, onError, onStep },
    });
    this.#sweeper = setInterval(() => this.#open.sweep(), SWEEP_MS);
    this.#sweeper.unref();
  }

  /** Ends what a crash of the process before left of makings and deletions. Before the first request. */
  async recover(): Promise<void> {
    await this.#workspaces.recover(this.#options.onError);
  }

  /** Looks at what a service that died left in its pools. Behind requests; ends early with the signal. */
  async lookAtInherited(signal: AbortSignal): Promise<readonly LookedAt[]> {
    const { ledger, source, onError } = this.#options;
    return await lookAtInherited({ ledger, source, open: this.#open, signal, onError });
  }

  /** Takes effect at once; what waits or is at work stays. */
  resizeLanes(bounds: LaneBounds): void {
    this.#lanes.resize(bounds);
  }

  /** For gauges. */
  load(): {
    readonly openWorkspaces: number;
    readonly waiting: Readonly<Record<Lane, number>>;
    readonly background: number;
  } {
    const waiting = (lane: Lane): number => {
      const depth = this.#lanes.depth(lane);
      return depth.waiting + depth.running;
    };
    return {
      openWorkspaces: this.#open.size,
      waiting: {
        ...{ call: waiting('call'), read: waiting('read') },
        ...{ turn: waiting('turn'), bulk: waiting('bulk') },
      },
      background: this.#arming.waiting,
    };
  }

  /** No new work; what is under way goes on. */
  stopTaking(): void {
    this.#lanes.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#sweeper);
    this.#lanes.close();
    await this.#arming.close();
    await this.#open[Symbol.asyncDispose]();
    this.#options.answers[Symbol.dispose]();
    this.#options.ledger[Symbol.dispose]();
  }

  tenantOf(workspace: WorkspaceId): string | null {
    return this.#options.ledger.workspace(workspace)?.tenant ?? null;
  }

  createWorkspace = (...[principal, input, context]: Of<'createWorkspace'>) =>
    this.#work.once({ name: 'createWorkspace', principal, input, context }, (asked) =>
      this.#work.placed(asked, { id: null, pool: this.#work.poolOf(input.template) }, () =>
        this.#workspaces.create(principal, input, {
          signal: context.signal,
          request: KeptAnswers.requestOf({ principal, key: context.idempotencyKey }),
        }),
      ),
    );

  adoptWorkspace = (...[principal, input, context]: Of<'adoptWorkspace'>) =>
    this.#work.once({ name: 'adoptWorkspace', principal, input, context }, async (asked) => {
      const place = { id: null, pool: this.#options.source.poolFor(input.path) };
      return await this.#work.placed(asked, place, () =>
        this.#workspaces.adopt(principal, input, context.signal),
      );
    });

  deleteWorkspace = (...[principal, input, context]: Of<'deleteWorkspace'>) =>
    this.#work.once({ name: 'deleteWorkspace', principal, input, context }, async (asked) => {
      const row = this.#work.row(principal, input.workspace);
      return await this.#work.placed(asked, row, () =>
        this.#workspaces
          .delete(this.#work.row(principal, input.workspace), input, context.signal)
          .finally(() => this.#quotas.forget(row.tenant)),
      );
    });

  listWorkspaces = async (...[principal, input]: Of<'listWorkspaces'>) =>
    this.#workspaces.list(principal, input);

  getWorkspace = (...[principal, input, context]: Of<'getWorkspace'>) =>
    this.#work.read({ name: 'getWorkspace', principal, input, context }, (workspace, row) =>
      this.#workspaces.status(workspace, row),
    );

  startSession = (...[principal, input, context]: Of<'startSession'>) =>
    this.#work.change({ name: 'startSession', principal, input, context }, async (workspace) => {
      const { session, harness, parentSession = null } = input;
      return sessionViewOf(await workspace.startSession({ session, harness, parentSession }));
    });

  listSessions = (...[principal, input, context]: Of<'listSessions'>) =>
    this.#work.read({ name: 'listSessions', principal, input, context }, (workspace) => ({
      sessions: workspace.listSessions(input.limit ?? PAGE_DEFAULT).map(sessionViewOf),
    }));

  endSession = (...[principal, input, context]: Of<'endSession'>) =>
    this.#work.change({ name: 'endSession', principal, input, context }, async (workspace) => {
      await workspace.endSession(input.session);
      return input;
    });

  submitPrompt = (...[principal, input, context]: Of<'submitPrompt'>) =>
    this.#work.change({ name: 'submitPrompt', principal, input, context }, async (workspace) => ({
      prompt: await workspace.submitPrompt(input),
    }));

  listPrompts = (...[principal, input, context]: Of<'listPrompts'>) =>
    this.#work.read({ name: 'listPrompts', principal, input, context }, (workspace) => ({
      prompts: workspace.listPrompts({ limit: input.limit ?? PAGE_DEFAULT }).map((p) => ({ ...p })),
    }));

  beginCall = (...[principal, input, context]: Of<'beginCall'>) => {
    this.#arming.takeBack(input.workspace);
    return this.#work.change(
      { name: 'beginCall', principal, input, context },
      async (workspace, row) => {
        const begin = () => beginCall(workspace, input, context);
        // One that only reads shares the snapshot before it.
        const begun = await (input.readOnly ? begin() : this.#pruning.takeSnapshot(row, begin));
        if (this.#options.judging() === 'off') return begun;
        const { onError } = this.#options;
        const about = { call: begun.call, input: input.input };
        return { ...begun, advice: await adviseOnCall(workspace, about, onError) };
      },
    );
  };

  endCall = (...[principal, input, context]: Of<'endCall'>) => {
    const asked = { name: 'endCall', principal, input, context } as const;
    return this.#work.mutate(asked, async () => {
      const ended = await this.#work.read(asked, (workspace) => endCall(workspace, input));
      try {
        // What did not run changed nothing: a judgement would blame it for what others did.
        if (this.#options.judging() === 'off' || input.outcome === 'blocked') return ended;
        return { ...ended, judged: await this.#judge(asked) };
      } finally {
        // Not before the judgement: it may turn the tree.
        if (this.#options.limits().arming === 'on') {
          this.#arming.add(input.workspace, this.#work.poolOf(input.workspace));
        }
      }
    });
  };

  listCalls = (...[principal, input, context]: Of<'listCalls'>) =>
    this.#work.read({ name: 'listCalls', principal, input, context }, (workspace) =>
      listCalls(workspace, input),
    );

  getCall = (...[principal, input, context]: Of<'getCall'>) =>
    this.#work.read({ name: 'getCall', principal, input, context }, (workspace) =>
      getCall(workspace, input),
    );

  listUnattributed = (...[principal, input, context]: Of<'listUnattributed'>) =>
    this.#work.read({ name: 'listUnattributed', principal, input, context }, (workspace) => {
      const found = workspace.listUnattributed(input.limit ?? PAGE_DEFAULT);
      return { unattributed: found.map((one) => ({ ...one })) };
    });

  undoCall = (...[principal, input, context]: Of<'undoCall'>) =>
    this.#work.change({ name: 'undoCall', principal, input, context }, async (workspace) => {
      const { conflicts } = input;
      const { signal } = context;
      const undone = await workspace.undoCall(input.call, {
        ...(conflicts === 'partial' ? { conflicts } : {}),
        signal,
      });
      const left = undone.conflicts.map((one) => ({ ...one }));
      return { ...turnViewOf(undone), call: undone.call, conflicts: left };
    });

  planUndoCall = (...[principal, input, context]: Of<'planUndoCall'>) =>
    this.#work.read({ name: 'planUndoCall', principal, input, context }, async (workspace) => {
      const { signal } = context;
      const plan = await workspace.planUndoCall(input.call, { signal });
      return {
        call: plan.call,
        overlaps: [...plan.overlaps],
        steps: plan.steps.map((step) => ({ ...step })),
        conflicts: plan.conflicts.map((one) => ({ ...one })),
      };
    });

  takeSnapshot = (...[principal, input, context]: Of<'takeSnapshot'>) =>
    this.#work.change({ name: 'takeSnapshot', principal, input, context }, (workspace, row) =>
      this.#pruning.takeSnapshot(row, () => takeSnapshot(workspace, input, context)),
    );

  listSnapshots = (...[principal, input, context]: Of<'listSnapshots'>) =>
    this.#work.read({ name: 'listSnapshots', principal, input, context }, (workspace) =>
      listSnapshots(workspace, input),
    );

  getSnapshot = (...[principal, input, context]: Of<'getSnapshot'>) =>
    this.#work.read({ name: 'getSnapshot', principal, input, context }, (workspace) =>
      snapshotViewOf(workspace.show(input.snapshot)),
    );

  pinSnapshot = (...[principal, input, context]: Of<'pinSnapshot'>) =>
    this.#work.change({ name: 'pinSnapshot', principal, input, context }, async (workspace) =>
      snapshotViewOf(await workspace.pin(input.snapshot)),
    );

  unpinSnapshot = (...[principal, input, context]: Of<'unpinSnapshot'>) =>
    this.#work.change({ name: 'unpinSnapshot', principal, input, context }, async (workspace) =>
      snapshotViewOf(await workspace.unpin(input.snapshot)),
    );

  labelSnapshot = (...[principal, input, context]: Of<'labelSnapshot'>) =>
    this.#work.change({ name: 'labelSnapshot', principal, input, context }, async (workspace) =>
      snapshotViewOf(await workspace.label(input.snapshot, input.label)),
    );

  diff = (...[principal, input, context]: Of<'diff'>) =>
    this.#work.read({ name: 'diff', principal, input, context }, (workspace) =>
      diffPage(workspace, input, context.signal),
    );

  readContent = (...[principal, input, context]: Of<'readContent'>) =>
    this.#work.read({ name: 'readContent', principal, input, context }, (workspace) =>
      readContent(workspace, input),
    );

  listUncovered = (...[principal, input, context]: Of<'listUncovered'>) =>
    this.#work.read({ name: 'listUncovered', principal, input, context }, async (workspace) => ({
      uncovered: uncoveredViews((await workspace.status()).uncovered),
    }));

  planTurn = (...[principal, input, context]: Of<'planTurn'>) =>
    this.#work.read({ name: 'planTurn', principal, input, context }, (workspace) =>
      planPage(workspace, input, context.signal),
    );

  rollback = (...[principal, input, context]: Of<'rollback'>) =>
    this.#work.change({ name: 'rollback', principal, input, context }, async (workspace) => {
      const { mode } = input;
      const { signal, trace } = context;
      return turnViewOf(await workspace.rollback(input.target, { mode, signal, trace }));
    });

  restore = (...[principal, input, context]: Of<'restore'>) =>
    this.#work.change({ name: 'restore', principal, input, context }, async (workspace) => {
      const { signal, trace } = context;
      return turnViewOf(await workspace.restore(input.target, input.paths, { signal, trace }));
    });

  undo = (...[principal, input, context]: Of<'undo'>) =>
    this.#work.change({ name: 'undo', principal, input, context }, async (workspace) =>
      turnViewOf(await workspace.undo({ signal: context.signal, trace: context.trace })),
    );

  redo = (...[principal, input, context]: Of<'redo'>) =>
    this.#work.change({ name: 'redo', principal, input, context }, async (workspace) =>
      turnViewOf(await workspace.redo({ signal: context.signal, trace: context.trace })),
    );

  listOperations = (...[principal, input, context]: Of<'listOperations'>) =>
    this.#work.read({ name: 'listOperations', principal, input, context }, (workspace) => ({
      operations: workspace.operations(input.limit ?? PAGE_DEFAULT).map(turnRecordOf),
    }));

  prune = (...[principal, input, context]: Of<'prune'>) =>
    this.#work.change({ name: 'prune', principal, input, context }, async (workspace) => {
      using _counted = { [Symbol.dispose]: () => this.#quotas.forget(principal.tenant) };
      const { signal } = context;
      const { snapshots: specs } = input;
      const { decisions, deleted, durationMs, unfinished } = await workspace.prune({
        apply: input.act === 'apply',
        signal,
        ...(specs === undefined ? {} : { specs }),
      });
      return {
        decisions: decisions.map((one) => ({ ...one })),
        ...{ deleted: [...deleted], durationMs, unfinished },
      };
    });

  getUsage = async (...[principal]: Of<'getUsage'>) => this.#workspaces.usage(principal);

  getWorkspaceUsage = (...[principal, input, context]: Of<'getWorkspaceUsage'>) =>
    this.#work.read({ name: 'getWorkspaceUsage', principal, input, context }, (workspace) =>
      this.#workspaces.workspaceUsage(workspace),
    );

  listEvents = (...[principal, input, context]: Of<'listEvents'>) =>
    this.#work.read({ name: 'listEvents', principal, input, context }, (workspace) => {
      const events = workspace.events(input.after, input.limit ?? PAGE_DEFAULT);
      const lastSequence = events.at(-1)?.sequence ?? input.after;
      return { events: events.map(eventView), lastSequence };
    });

  followEvents(
    principal: Principal,
    input: FollowEventsInput,
    context: CallContext,
  ): AsyncIterable<EventView> {
    const row = this.#work.row(principal, input.workspace);
    const { after } = input;
    return this.#feed.follow(row.id, { after, signal: context.signal }, (from, limit) =>
      this.#open.use(row, (workspace) => workspace.events(from, limit)),
    );
  }

  #judge(asked: Asked<'endCall'>): Promise<CallVerdict | null> {
    const { principal, input, context } = asked;
    const row = this.#work.activeRow(principal, input.workspace);
    const places: JudgingPlaces = {
      look: (work) =>
        this.#work.placed({ ...asked, lane: 'read' }, row, () =>
          this.#open.use(row, (workspace) => work(workspace)),
        ),
      turn: (work) =>
        this.#work.placed({ ...asked, lane: 'turn' }, row, () =>
          this.#options.policyTurn(asked, () => this.#open.use(row, work)),
        ),
    };
    return judgeEndedCall(input.call, places, context.signal);
  }

  async #arm(id: WorkspaceId): Promise<void> {
    const row = this.#options.ledger.workspace(id);
    if (row?.status !== 'active') return;
    try {
      await this.#open.use(row, (workspace) => workspace.arm());
    } catch (error) {
      this.#open.drop(id);
      throw error;
    }
  }
}

/**
 * Milliseconds since the epoch by the clock that the process began with. How long an answer has been kept
 * must not hang on a clock that somebody sets: a day forward, and every repetition would be done again.
 */
function steadyClock(startMs: number, monotonicMs: () => number): () => number {
  const begunMs = monotonicMs();
  return () => startMs + Math.floor(monotonicMs() - begunMs);
}

type Of<Name extends OperationName> = [
  principal: Principal,
  input: InputOf<Name>,
  context: CallContext,
];
