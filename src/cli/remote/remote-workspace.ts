/**
 * A workspace of a service, as far as commands need one: the methods of `Workspace`, over the client.
 *
 * Every method asks the service and gives what the local one would, so that a command prints the same. A
 * plan and a diff come a page at a time while they are iterated. One interrupt ends whatever is under way:
 * signals of single requests are not looked at. Nothing of the tree or the pool is here.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Client, InputFor } from '../../api/client/client.ts';
import { type Lane, ROUTES } from '../../api/routes.ts';
import type { OperationName, OutputOf } from '../../api/schema/operations.ts';
import { GhostsnapError } from '../../core/errors.ts';
import type { CallId, SnapshotId, WorkspaceId } from '../../core/ids.ts';
import { API_PAGE_MAX, LINE_DIFF_BYTES_MAX } from '../../core/limits.ts';
import { displayPath, type RawPath } from '../../core/raw-path.ts';
import type { TreeChange } from '../../core/tree-change.ts';
import type {
  CallInfo,
  PromptInfo,
  SessionInfo,
  UnattributedInfo,
} from '../../engine/call-results.ts';
import type {
  PruneResult,
  RollbackRequest,
  SnapshotInfo,
  SnapshotRequest,
  SnapshotResult,
  TurnResult,
} from '../../engine/results.ts';
import type {
  RollbackPlan,
  UndoCallPlan,
  UndoCallRequest,
  UndoCallResult,
  WorkspaceStatus,
} from '../../engine/workspace-api.ts';
import type { LoggedOperation } from '../session-log.ts';
import { callOf, changeOf, operationOf, uncoveredOf, undoCallPlanOf } from './from-wire.ts';

/** What is asked of a diff; `renames` null: a renamed path is shown as deleted and added. */
export interface AskedDiff {
  readonly from: string;
  readonly to: string;
  readonly paths?: readonly string[];
  readonly mtimes: boolean;
  readonly signal: AbortSignal;
  readonly renames: { readonly onSkipped: () => void } | null;
}

/** What goes with every request. */
export interface RemoteRequest {
  readonly signal: AbortSignal;
  /** Trace headers of the process's environment. */
  readonly trace: Readonly<Record<string, string>>;
}

/**
 * Milliseconds that a person waits for an answer: what turns or reads whole trees takes its time, and so
 * does the first snapshot of a large one in a store.
 */
const TIMEOUT_MS: Readonly<Record<Lane, number>> = {
  ...{ call: 600_000, read: 60_000, turn: 3_600_000, bulk: 3_600_000 },
};

const LANES = new Map<string, Lane>(ROUTES.map(({ operation, lane }) => [operation, lane]));

/** A spec that is the same in a path. */
const PLAIN = /^[\w@~]+$/;

/** Milliseconds before a call that ended is looked for again while the service restarts. */
const LOOK_AGAIN_MS = 1000;

type InputWithout<Name extends OperationName> = Omit<InputFor<Name>, 'workspace'>;
type Asked = (input: object, options: object) => Promise<unknown>;

export class RemoteWorkspace {
  readonly #client: Client;
  readonly #workspace: WorkspaceId;
  readonly #request: RemoteRequest;

  constructor(client: Client, workspace: WorkspaceId, request: RemoteRequest) {
    this.#client = client;
    this.#workspace = workspace;
    this.#request = request;
  }

  async snapshot(request: SnapshotRequest = {}): Promise<SnapshotResult> {
    const { label, tool, session, call } = request;
    const named = Object.entries({ label, tool, session, call }).filter(
      ([, text]) => text !== undefined && text !== null,
    );
    const taken = await this.#ask('takeSnapshot', Object.fromEntries(named));
    const { snapshot, durationMs, adopted } = taken;
    const { id, createdAt } = snapshot;
    const uncovered = uncoveredOf(taken.uncovered);
    return { id, workspace: this.#workspace, createdAt, durationMs, uncovered, adopted };
  }

  async resolve(spec: string): Promise<SnapshotId> {
    return (await this.show(spec)).id;
  }

  /** All of them without a limit. */
  async list(
    query: { readonly limit?: number; readonly before?: SnapshotId } = {},
  ): Promise<readonly SnapshotInfo[]> {
    const { limit = Number.POSITIVE_INFINITY, ...rest } = query;
    return await collect(limit, async (page) => {
      const { snapshots, nextCursor } = await this.#ask('listSnapshots', { ...rest, ...page });
      return { items: snapshots, nextCursor };
    });
  }

  async show(spec: string): Promise<SnapshotInfo> {
    const { snapshots } = await this.#ask('listSnapshots', { named: spec });
    const [snapshot] = snapshots;
    if (snapshot !== undefined) return snapshot;
    throw new Error(`The service names no snapshot for ${spec} and says nothing.`);
  }

  async pin(spec: string): Promise<SnapshotInfo> {
    return await this.#ask('pinSnapshot', { snapshot: await this.#inPath(spec) });
  }

  async unpin(spec: string): Promise<SnapshotInfo> {
    return await this.#ask('unpinSnapshot', { snapshot: await this.#inPath(spec) });
  }

  async label(spec: string, label: string | null): Promise<SnapshotInfo> {
    return await this.#ask('labelSnapshot', { snapshot: await this.#inPath(spec), label });
  }

  async status(): Promise<WorkspaceStatus> {
    const status = await this.#ask('getWorkspace', {});
    const { uncovered } = await this.#ask('listUncovered', {});
    const { workspace, path, backend, pool, poolRoot } = status;
    const { snapshots, newest, pinned, canUndo, canRedo, callsInFlight, lastSequence } = status;
    const { poolTotalBytes, poolFreeBytes } = status;
    return {
      ...{ workspace, path, backend, pool, poolRoot, snapshots, newest, pinned, canUndo, canRedo },
      ...{ callsInFlight, lastSequence, poolTotalBytes, poolFreeBytes },
      uncovered: uncoveredOf(uncovered),
    };
  }

  async operations(limit: number): Promise<readonly LoggedOperation[]> {
    const { operations } = await this.#ask('listOperations', { limit: pageOf(limit) });
    return operations.map(operationOf);
  }

  async listCalls({ limit }: { readonly limit: number }): Promise<readonly CallInfo[]> {
    return await collect(limit, async (page) => {
      const { calls, nextCursor } = await this.#ask('listCalls', page);
      return { items: calls.map(callOf), nextCursor };
    });
  }

  async listSessions(limit: number): Promise<readonly SessionInfo[]> {
    return (await this.#ask('listSessions', { limit: pageOf(limit) })).sessions;
  }

  async listPrompts({ limit }: { readonly limit: number }): Promise<readonly PromptInfo[]> {
    return (await this.#ask('listPrompts', { limit: pageOf(limit) })).prompts;
  }

  async listUnattributed(limit: number): Promise<readonly UnattributedInfo[]> {
    return (await this.#ask('listUnattributed', { limit: pageOf(limit) })).unattributed;
  }

  /** Calls that end from now on, each once, through restarts of the service; until it is interrupted. */
  async *followCalls(): AsyncGenerator<CallInfo> {
    const { lastSequence: after } = await this.#ask('getWorkspace', {});
    const { signal, trace } = this.#request;
    const about = { workspace: this.#workspace, after };
    for await (const { type, data } of this.#client.followEvents(about, { signal, ...trace })) {
      if (type !== 'call.ended' || typeof data.call !== 'string') continue;
      const call = await this.#callThatEnded(data.call as CallId);
      if (call !== null) yield call;
    }
  }

  /** As `Workspace.diff` with renames found. */
  async *changes(asked: AskedDiff): AsyncGenerator<TreeChange> {
    const { from, to, paths, mtimes, renames } = asked;
    const question = { from, to, mtimes, renames: renames !== null, limit: API_PAGE_MAX };
    const about = { ...question, ...(paths === undefined ? {} : { paths: [...paths] }) };
    let cursor: string | null = null;
    do {
      const page: OutputOf<'diff'> = await this.#ask('diff', { ...about, ...cursorOf(cursor) });
      if (cursor === null && page.renamesSkipped) renames?.onSkipped();
      yield* page.changes.map(changeOf);
      cursor = page.nextCursor;
    } while (cursor !== null);
  }

  /** The bytes of a file, or where a symlink leads, up to the longest that lines are compared of. */
  async content(tree: string, path: RawPath): Promise<Buffer> {
    const pieces: Buffer[] = [];
    const about = { tree, path: displayPath(path) };
    for (let offset = 0; offset < LINE_DIFF_BYTES_MAX; ) {
      const piece = await this.#ask('readContent', { ...about, offset });
      const bytes = Buffer.from(piece.bytes, 'base64');
      pieces.push(bytes);
      offset += bytes.length;
      if (bytes.length === 0 || offset >= piece.sizeBytes) break;
    }
    return Buffer.concat(pieces);
  }

  /** As `Workspace.diff`, renames not detected. */
  diff(
    from: string,
    to = 'live',
    options: { readonly mtimes?: boolean; readonly signal?: AbortSignal } = {},
  ): AsyncIterable<TreeChange> {
    const { mtimes = true } = options;
    return this.changes({ from, to, mtimes, signal: this.#request.signal, renames: null });
  }

  planRollback(spec: string, { mode }: RollbackRequest = {}): Promise<RollbackPlan> {
    return this.#plan({ kind: 'rollback', target: spec, mode });
  }

  planRestore(
    spec: string,
    paths: readonly string[],
    _: { readonly signal?: AbortSignal } = {},
  ): Promise<RollbackPlan> {
    return this.#plan({ kind: 'restore', target: spec, paths: [...paths] });
  }

  planWalk(direction: 'undo' | 'redo', _: RollbackRequest = {}): Promise<RollbackPlan> {
    return this.#plan({ kind: direction });
  }

  async planUndoCall(
    call: string,
    _: { readonly signal?: AbortSignal } = {},
  ): Promise<UndoCallPlan> {
    return undoCallPlanOf(await this.#ask('planUndoCall', { call }));
  }

  rollback(spec: string, { mode }: RollbackRequest = {}): Promise<TurnResult> {
    return this.#ask('rollback', { target: spec, ...(mode === undefined ? {} : { mode }) });
  }

  restore(
    spec: string,
    paths: readonly string[],
    _: Omit<RollbackRequest, 'mode'> = {},
  ): Promise<TurnResult> {
    return this.#ask('restore', { target: spec, paths: [...paths] });
  }

  undo(_: RollbackRequest = {}): Promise<TurnResult> {
    return this.#ask('undo', {});
  }

  redo(_: RollbackRequest = {}): Promise<TurnResult> {
    return this.#ask('redo', {});
  }

  undoCall(call: string, { conflicts }: UndoCallRequest = {}): Promise<UndoCallResult> {
    const policy = conflicts === 'partial' ? 'partial' : 'fail';
    return this.#ask('undoCall', { call, conflicts: policy });
  }

  prune(
    request: { readonly specs?: readonly string[]; readonly apply?: boolean } = {},
  ): Promise<PruneResult> {
    const { specs, apply = true } = request;
    const snapshots = specs === undefined ? {} : { snapshots: [...specs] };
    return this.#ask('prune', { act: apply ? 'apply' : 'plan', ...snapshots });
  }

  /** A path carries an id or "@"; the door refuses what could be read as another path. */
  async #inPath(spec: string): Promise<string> {
    return PLAIN.test(spec) ? spec : await this.resolve(spec);
  }

  async #plan(asked: InputWithout<'planTurn'>): Promise<RollbackPlan> {
    const question = { ...asked, limit: API_PAGE_MAX };
    const first = await this.#ask('planTurn', question);
    const { target, mode, modeReason } = first;
    return { target, mode, modeReason, changes: this.#planned(question, first) };
  }

  async *#planned(
    question: InputWithout<'planTurn'>,
    first: OutputOf<'planTurn'>,
  ): AsyncGenerator<TreeChange> {
    for (let page = first; ; ) {
      yield* page.changes.map(changeOf);
      if (page.nextCursor === null) return;
      page = await this.#ask('planTurn', { ...question, cursor: page.nextCursor });
    }
  }

  /** null: interrupted. That the service is away for a moment is no end of following it. */
  async #callThatEnded(call: CallId): Promise<CallInfo | null> {
    const { signal } = this.#request;
    while (!signal.aborted) {
      try {
        return callOf(await this.#ask('getCall', { call }));
      } catch (error) {
        if (signal.aborted) return null;
        if (!(error instanceof GhostsnapError) || error.kind !== 'transient') throw error;
      }
      await pause(LOOK_AGAIN_MS, undefined, { signal }).catch(() => {
        // The only failure of a pause is that it was interrupted, which the loop sees.
      });
    }
    return null;
  }

  #ask<Name extends OperationName>(name: Name, input: InputWithout<Name>): Promise<OutputOf<Name>> {
    const ask = this.#client[name] as Asked;
    const { signal, trace } = this.#request;
    const timeoutMs = TIMEOUT_MS[LANES.get(name) ?? 'read'];
    const about = { workspace: this.#workspace, ...input };
    return ask(about, { timeoutMs, signal, ...trace }) as Promise<OutputOf<Name>>;
  }
}

interface Page<Item> {
  readonly items: readonly Item[];
  readonly nextCursor: string | null;
}

/** Pages, until there are `limit` of them or there is no more. */
async function collect<Item>(
  limit: number,
  read: (page: { readonly limit: number; readonly cursor?: string }) => Promise<Page<Item>>,
): Promise<readonly Item[]> {
  const all: Item[] = [];
  let cursor: string | null = null;
  while (all.length < limit) {
    const page: Page<Item> = await read({
      limit: pageOf(limit - all.length),
      ...cursorOf(cursor),
    });
    all.push(...page.items);
    cursor = page.nextCursor;
    if (cursor === null) break;
  }
  return all;
}

function pageOf(limit: number): number {
  return Math.min(limit, API_PAGE_MAX);
}

function cursorOf(cursor: string | null): { readonly cursor?: string } {
  return cursor === null ? {} : { cursor };
}
