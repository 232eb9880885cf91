/**
 * A bisect of a workspace: the search in core, and the tree in which a state is tried.
 *
 * Works on the public workspace and a record that outlives the process. The record says what is about to
 * be made before it is made, so whoever comes after a crash knows what may be there. A state is tried in a
 * scratch tree; the live tree is only turned when that was asked for, and then the state it was in is kept
 * and is come back to.
 */
import {
  type BisectBounds,
  type BisectMark,
  type BisectPlan,
  type BisectVerdict,
  planBisect,
} from '../core/bisect.ts';
import { GhostsnapError } from '../core/errors.ts';
import type { SnapshotId, WorkspaceId } from '../core/ids.ts';
import type { ChangesBetween } from './changes-between.ts';
import type { TurnResult } from './results.ts';
import type { Workspace } from './workspace-api.ts';

/** What is kept between two commands. */
export interface BisectRecord {
  readonly format: 1;
  readonly workspace: WorkspaceId;
  readonly good: SnapshotId;
  readonly bad: SnapshotId;
  readonly marks: readonly BisectMark[];
  /** 'in-place': states are tried in the live tree. */
  readonly where: 'scratch' | 'in-place';
  /** The state that the live tree comes back to; null with 'scratch'. */
  readonly origin: SnapshotId | null;
  /** The state that is tried, or about to be. */
  readonly current: SnapshotId | null;
  /** Where it stands; null: it is being made, or that was cut short. */
  readonly path: string | null;
}

/** Where the record is kept. Whoever may write it is alone with it. */
export interface BisectStore {
  read(): BisectRecord | null;
  /** Durable on return. */
  write(record: BisectRecord): void;
  remove(): void;
}

interface On {
  readonly workspace: Workspace;
  readonly store: BisectStore;
  readonly signal?: AbortSignal;
}

export interface BisectStart extends On {
  readonly good: SnapshotId;
  /** null: the live tree as it is now; a snapshot of it is taken. */
  readonly bad: SnapshotId | null;
  readonly where: BisectRecord['where'];
}

/** @throws GhostsnapError OPERATION_IN_FLIGHT, BAD_ARGUMENT; what `snapshot` throws */
export async function startBisect(request: BisectStart): Promise<BisectRecord> {
  const { workspace, store, good, where } = request;
  if (store.read() !== null) {
    throw new GhostsnapError('OPERATION_IN_FLIGHT', 'A bisect of this workspace is under way.', {
      hint: 'Go on with it, or end it with "ghostsnap bisect reset".',
    });
  }
  if (request.bad !== null) assertOrder({ good, bad: request.bad });
  const isTaken = request.bad === null || where === 'in-place';
  const now = isTaken
    ? (await workspace.snapshot({ tool: 'bisect', ...cancel(request) })).id
    : null;
  const bad = request.bad ?? now ?? good;
  assertOrder({ good, bad });
  const record: BisectRecord = {
    ...{ format: 1, workspace: workspace.info.workspace, good, bad, marks: [], where },
    origin: where === 'in-place' ? now : null,
    current: null,
    path: null,
  };
  store.write(record);
  return record;
}

function assertOrder({ good, bad }: BisectBounds): void {
  if (good < bad) return;
  throw new GhostsnapError('BAD_ARGUMENT', `The good state ${good} is not older than ${bad}.`, {
    hint: 'A bisect looks for what broke something that worked before: name an earlier good state.',
  });
}

/** @throws GhostsnapError BAD_ARGUMENT */
export function requireBisect(record: BisectRecord | null): BisectRecord {
  if (record !== null) return record;
  throw new GhostsnapError('BAD_ARGUMENT', 'No bisect of this workspace is under way.', {
    hint: 'Begin one with "ghostsnap bisect start --good ID".',
  });
}

export function planOf(workspace: Workspace, record: BisectRecord): BisectPlan {
  return planBisect(
    record,
    workspace
      .list()
      .map(({ id }) => id)
      .reverse(),
  );
}

/**
 * Makes the tree of a state, as it was, for trying it in. What stood there before goes.
 * @param state default: the one that the search wants tried next
 * @returns the plan, and where the tree is; null: the search is over, and no tree is left
 * @throws GhostsnapError SNAPSHOT_NOT_FOUND, POOL_FULL, RESTORE_FAILED, INTERRUPTED
 */
export async function prepareTrial(
  on: On & { readonly state?: SnapshotId },
): Promise<{ readonly plan: BisectPlan; readonly record: BisectRecord }> {
  const { workspace, store } = on;
  const before = requireBisect(store.read());
  const plan = planOf(workspace, before);
  const state = on.state ?? plan.next;
  const announced: BisectRecord = { ...before, current: state, path: null };
  store.write(announced);
  if (state === null) {
    await workspace.removeScratch();
    return { plan, record: announced };
  }
  const record = { ...announced, path: await makeTree(on, announced, state) };
  store.write(record);
  return { plan, record };
}

async function makeTree(on: On, record: BisectRecord, state: SnapshotId): Promise<string> {
  const { workspace } = on;
  if (record.where === 'scratch') return (await workspace.makeScratch(state, cancel(on))).path;
  // The person's shell and the command live in the tree: its directories stay what they are.
  await workspace.rollback(state, { mode: 'in-place', ...cancel(on) });
  return workspace.info.path;
}

/** @throws GhostsnapError BAD_ARGUMENT when no state stands ready to be judged */
export function markBisect(store: BisectStore, verdict: BisectVerdict): BisectRecord {
  const record = requireBisect(store.read());
  const { current, path } = record;
  if (current === null || path === null) {
    throw new GhostsnapError('BAD_ARGUMENT', 'No state stands ready to be judged.', {
      hint: 'Make it ready with "ghostsnap bisect next".',
    });
  }
  const marks = [...record.marks, { state: current, verdict }];
  const marked: BisectRecord = { ...record, marks, current: null, path: null };
  store.write(marked);
  return marked;
}

/**
 * Ends it: the live tree comes back where it was turned, the scratch tree goes, then the record.
 * Idempotent, and also without a bisect under way.
 * @returns the turn that brought the live tree back; null: it was not turned
 */
export async function resetBisect(on: On): Promise<TurnResult | null> {
  const { workspace, store } = on;
  const record = store.read();
  const origin = record !== null && isTurned(record) ? record.origin : null;
  const request = { mode: 'in-place', ...cancel(on) } as const;
  const back = origin === null ? null : await workspace.rollback(origin, request);
  await workspace.removeScratch();
  store.remove();
  return back;
}

/** Something was tried in the live tree, or was about to be. */
function isTurned({ current, marks }: BisectRecord): boolean {
  return current !== null || marks.length > 0;
}

export interface BisectAnswer extends BisectBounds, ChangesBetween {
  readonly skipped: readonly SnapshotId[];
}

/** What lies between the last good and the first bad state. */
export function bisectAnswer(workspace: Workspace, plan: BisectPlan): BisectAnswer {
  const { good, bad, skipped } = plan;
  return { good, bad, skipped, ...workspace.changesBetween({ from: good, to: bad }) };
}

function cancel({ signal }: { readonly signal?: AbortSignal }): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}
