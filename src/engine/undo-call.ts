/**
 * Taking one tool call back and keeping what came later.
 *
 * A turn like any other: a precautionary snapshot, the intent on disk, the tree, the end. What is to be done
 * is planned before, against the live tree, so that a conflict costs nothing and changes nothing; and once
 * more against the precautionary snapshot, which is what the plan is then about. A crash half-way is taken
 * back to that snapshot by recovery, as the merged contents died with the process.
 */
import type { PlannedPath, TreeReader, TreeRef } from '../backend/backend.ts';
import { assert, GhostsnapError } from '../core/errors.ts';
import type { CallId, SnapshotId } from '../core/ids.ts';
import {
  LINE_DIFF_BYTES_MAX,
  MERGED_BYTES_MAX,
  TURN_PATHS_MAX,
  UNDO_CALL_PATHS_MAX,
} from '../core/limits.ts';
import { comparePaths, displayPath, isWithin, parentOf, type RawPath } from '../core/raw-path.ts';
import type { TreeChange } from '../core/tree-change.ts';
import { type PathStep, planPath } from '../core/undo-call-plan.ts';
import { stateAfterCall } from './call-state.ts';
import { mergeLines } from './merge-lines.ts';
import type { CallRow } from './ports.ts';
import { withRenames } from './rename-stream.ts';
import type { RollbackRequest, TurnResult } from './results.ts';
import { requireCall } from './tool-calls.ts';
import { turnPlanned } from './turn-planned.ts';
import type { WorkspaceSession } from './workspace-session.ts';

export interface UndoCallConflict {
  /** Display form. */
  readonly path: string;
  readonly reason: string;
}

/** What taking a call back would do. Paths in display form, in walk order. */
export interface UndoCallPlan {
  readonly call: CallId;
  /** Calls whose work may be among that of the call, as they ran at the same time. */
  readonly overlaps: readonly CallId[];
  readonly steps: readonly {
    readonly path: string;
    readonly action: 'remove' | 'restore' | 'attributes' | 'merge' | 'keep';
    /** Why a path is kept as it is. */
    readonly why?: string;
  }[];
  readonly conflicts: readonly UndoCallConflict[];
}

export interface UndoCallRequest extends Omit<RollbackRequest, 'mode'> {
  /** 'partial': what has no conflict is taken back, the rest stays. Default: all or nothing. */
  readonly conflicts?: 'refuse' | 'partial';
}

export interface UndoCallResult extends TurnResult {
  readonly call: CallId;
  /** With 'partial': what was left as it is. */
  readonly conflicts: readonly UndoCallConflict[];
}

/** The plan, with the contents that merging gave. */
interface Prepared {
  readonly steps: readonly PathStep[];
  readonly contents: ReadonlyMap<RawPath, Uint8Array>;
}

/** Reads only. @throws GhostsnapError as `undoCall`, but for conflicts */
export async function planUndoCall(
  session: WorkspaceSession,
  call: string,
  signal: AbortSignal | undefined,
): Promise<UndoCallPlan> {
  const row = requireCall(session, call);
  const { steps } = await prepare(session, { row, against: 'live', signal });
  return { call: row.call, overlaps: row.overlaps, ...shown(steps) };
}

/**
 * Inside `session.run`.
 * @throws GhostsnapError CALL_NOT_FOUND, NOTHING_TO_UNDO, MERGE_CONFLICT (nothing was written);
 *   WORKSPACE_BUSY while the call runs; SNAPSHOT_NOT_FOUND when its states are not kept; LIMIT_EXCEEDED
 */
export async function undoCall(
  session: WorkspaceSession,
  call: string,
  request: UndoCallRequest,
): Promise<UndoCallResult> {
  const row = requireCall(session, call);
  const { signal } = request;
  const refuse = request.conflicts !== 'partial';
  const first = await prepare(session, { row, against: 'live', signal });
  assertWorth(row, first.steps, refuse ? 'refuse' : 'partial');
  assert(row.snapshot !== null, 'a call that did something has a snapshot');
  let conflicts: readonly UndoCallConflict[] = [];
  const turn = await turnPlanned(session, {
    ...request,
    kind: 'undo-call',
    target: row.snapshot,
    token: row.call,
    plan: async (precautionary) => {
      const { steps, contents } = await prepare(session, { row, against: precautionary, signal });
      // Somebody wrote between the two looks: the later one counts.
      assertWorth(row, steps, refuse ? 'refuse' : 'partial');
      conflicts = shown(steps).conflicts;
      const planned = steps.flatMap((step) => plannedPath(step, contents));
      return {
        planned,
        paths: coveringPaths(
          planned.map(({ path }) => path),
          TURN_PATHS_MAX,
        ),
      };
    },
  });
  return { ...turn, call: row.call, conflicts };
}

function assertWorth(row: CallRow, steps: readonly PathStep[], on: 'refuse' | 'partial'): void {
  const { conflicts, steps: others } = shown(steps);
  if (conflicts.length > 0 && on === 'refuse') {
    const [first] = conflicts;
    const more = conflicts.length === 1 ? '' : ` and ${conflicts.length - 1} more`;
    throw new GhostsnapError(
      'MERGE_CONFLICT',
      `The call ${row.call} cannot be taken back alone: ${first?.path}${more} changed since.`,
      {
        hint: 'Take back the rest with --partial, or look at "ghostsnap undo-call --dry-run".',
        data: { call: row.call, conflicts: conflicts.map((c) => `${c.path}: ${c.reason}`) },
      },
    );
  }
  if (others.some(({ action }) => action !== 'keep')) return;
  throw new GhostsnapError(
    'NOTHING_TO_UNDO',
    `Nothing of the call ${row.call} is left to take back.`,
    { hint: 'See what it did with "ghostsnap log".', data: { call: row.call } },
  );
}

function shown(steps: readonly PathStep[]): Pick<UndoCallPlan, 'steps' | 'conflicts'> {
  const sorted = steps.toSorted((a, b) => comparePaths(a.path, b.path));
  return {
    steps: sorted.flatMap((step) =>
      step.type === 'conflict'
        ? []
        : [
            {
              ...{ path: displayPath(step.path), action: step.type },
              ...(step.type === 'keep' ? { why: step.why } : {}),
            },
          ],
    ),
    conflicts: sorted.flatMap((step) =>
      step.type === 'conflict' ? [{ path: displayPath(step.path), reason: step.reason }] : [],
    ),
  };
}

interface Preparing {
  readonly row: CallRow;
  readonly against: TreeRef;
  readonly signal: AbortSignal | undefined;
}

async function prepare(session: WorkspaceSession, preparing: Preparing): Promise<Prepared> {
  const { row, against, signal } = preparing;
  if (row.readOnly || row.snapshot === null) return { steps: [], contents: new Map() };
  const reached = stateAfterCall(session, row);
  const after = reached === 'live' ? against : reached;
  const changes = await changesOfCall(session, { before: row.snapshot, after, signal });
  const later = await laterChanges(session, { changes, after, against, signal });
  const planned = planAll(changes, later);
  const before = row.snapshot;
  const open = await withoutDone(session, planned, { ...preparing, before });
  const steps = withoutHalves(await withParents(session, open, against));
  return await withMerges(session, { steps, before, after, against });
}

async function changesOfCall(
  session: WorkspaceSession,
  states: {
    readonly before: SnapshotId;
    readonly after: TreeRef;
    readonly signal: AbortSignal | undefined;
  },
): Promise<readonly TreeChange[]> {
  const { backend } = session.ports;
  const { before, after, signal } = states;
  const options = { mtimes: false, ...(signal === undefined ? {} : { signal }) };
  const found = backend.compare(session.ref, before, after, options);
  const workspace = { openTree: (tree: TreeRef) => backend.openTree(session.ref, tree) };
  const changes: TreeChange[] = [];
  for await (const change of withRenames(found, { workspace, from: before, to: after })) {
    if (change.kind === 'uncovered') continue;
    if (changes.length === UNDO_CALL_PATHS_MAX) {
      throw new GhostsnapError(
        'LIMIT_EXCEEDED',
        `The call changed more than ${UNDO_CALL_PATHS_MAX} paths: too many to merge.`,
        { hint: `Go back as a whole with "ghostsnap rollback ${before}".` },
      );
    }
    changes.push(change);
  }
  return changes;
}

/** What happened since to the paths of the call and below them, by path. */
async function laterChanges(
  session: WorkspaceSession,
  states: {
    readonly changes: readonly TreeChange[];
    readonly after: TreeRef;
    readonly against: TreeRef;
    readonly signal: AbortSignal | undefined;
  },
): Promise<ReadonlyMap<RawPath, TreeChange>> {
  const { changes, after, against, signal } = states;
  const later = new Map<RawPath, TreeChange>();
  if (after === against || changes.length === 0) return later;
  const named = changes.flatMap(({ path, oldPath }) =>
    oldPath === undefined ? [path] : [path, oldPath],
  );
  const paths = coveringPaths(named, UNDO_CALL_PATHS_MAX);
  const options = { paths, mtimes: false, ...(signal === undefined ? {} : { signal }) };
  for await (const change of session.ports.backend.compare(session.ref, after, against, options)) {
    if (change.kind !== 'uncovered') later.set(change.path, change);
  }
  return later;
}

/** The paths without those that lie below another; [] (everything) when they are more than `most`. */
function coveringPaths(paths: readonly RawPath[], most: number): readonly RawPath[] {
  const covering: RawPath[] = [];
  for (const path of paths.toSorted(comparePaths)) {
    const last = covering.at(-1);
    if (last === undefined || !isWithin(path, last)) covering.push(path);
  }
  return covering.length > most || covering[0] === '' ? [] : covering;
}

function planAll(
  changes: readonly TreeChange[],
  later: ReadonlyMap<RawPath, TreeChange>,
): readonly PathStep[] {
  const isAt = (path: RawPath): boolean => (later.get(path)?.to ?? null) !== null;
  const planOne = (change: TreeChange, isInTheWay: boolean): readonly PathStep[] =>
    planPath({ change, later: later.get(change.path) ?? null, isInTheWay });
  const moves = changes.filter(({ kind }) => kind === 'renamed');
  const moved = moves.flatMap((change) => planOne(change, isAt(change.oldPath ?? change.path)));
  // A file that moves back is in nobody's way, though it changed later.
  const leaving = new Set(moved.flatMap(({ type, path }) => (type === 'remove' ? [path] : [])));
  const occupied = new Set<RawPath>();
  for (const path of later.keys()) {
    if (isAt(path) && !leaving.has(path)) markParents(occupied, path);
  }
  const others = changes.filter(({ kind }) => kind !== 'renamed');
  return [...moved, ...others.flatMap((change) => planOne(change, occupied.has(change.path)))];
}

function markParents(occupied: Set<RawPath>, path: RawPath): void {
  for (let at = path; at !== ''; ) {
    at = parentOf(at);
    if (occupied.has(at)) return;
    occupied.add(at);
  }
}

/** What differs already as before the call is nobody's conflict: it was taken back by other means. */
async function withoutDone(
  session: WorkspaceSession,
  steps: readonly PathStep[],
  states: Preparing & { readonly before: SnapshotId },
): Promise<readonly PathStep[]> {
  const { before, against, signal } = states;
  const open = steps.filter(({ type }) => type === 'conflict' || type === 'merge');
  if (open.length === 0) return steps;
  const named = open.map(({ path }) => path);
  const paths = coveringPaths(named, UNDO_CALL_PATHS_MAX);
  const options = { paths, mtimes: false, ...(signal === undefined ? {} : { signal }) };
  const differing = new Set<RawPath>();
  for await (const { path } of session.ports.backend.compare(
    session.ref,
    before,
    against,
    options,
  )) {
    differing.add(path);
  }
  const done = new Set(named.filter((path) => !differing.has(path)));
  return steps.map((step) =>
    done.has(step.path) ? { type: 'keep', path: step.path, why: 'it is as before already' } : step,
  );
}

/** A path cannot come back into a directory that was removed later: that removal is kept. */
async function withParents(
  session: WorkspaceSession,
  steps: readonly PathStep[],
  against: TreeRef,
): Promise<readonly PathStep[]> {
  using now = await session.ports.backend.openTree(session.ref, against);
  const known = new Map<RawPath, boolean>([['' as RawPath, true]]);
  const isThere = (directory: RawPath): boolean => {
    const answer = known.get(directory) ?? now.lookup(directory)?.type === 'dir';
    known.set(directory, answer);
    return answer;
  };
  return steps
    .toSorted((a, b) => comparePaths(a.path, b.path))
    .map((step): PathStep => {
      if (step.type !== 'restore' && step.type !== 'merge') return step;
      if (!isThere(parentOf(step.path))) {
        return { type: 'conflict', path: step.path, reason: 'its directory is gone' };
      }
      if (step.entry.type === 'dir') known.set(step.path, true);
      return step;
    });
}

async function withMerges(
  session: WorkspaceSession,
  planned: {
    readonly steps: readonly PathStep[];
    readonly before: SnapshotId;
    readonly after: TreeRef;
    readonly against: TreeRef;
  },
): Promise<Prepared> {
  const contents = new Map<RawPath, Uint8Array>();
  if (!planned.steps.some(({ type }) => type === 'merge'))
    return { steps: planned.steps, contents };
  const { backend } = session.ports;
  using before = await backend.openTree(session.ref, planned.before);
  using after = await backend.openTree(session.ref, planned.after);
  using now = await backend.openTree(session.ref, planned.against);
  let heldBytes = 0;
  const steps = planned.steps.map((step): PathStep => {
    if (step.type !== 'merge') return step;
    const base = readSide(after, step.from);
    const ours = readSide(now, step.from);
    const theirs = readSide(before, step.path);
    if (base === null || ours === null || theirs === null || heldBytes > MERGED_BYTES_MAX) {
      return { type: 'conflict', path: step.path, reason: 'too large to merge' };
    }
    const merged = mergeLines({ base, ours, theirs });
    if (!merged.ok) return { type: 'conflict', path: step.path, reason: merged.reason };
    heldBytes += merged.content.length;
    contents.set(step.path, merged.content);
    return step;
  });
  return { steps: withoutHalves(steps), contents };
}

/** A move whose other half failed stays where it is, and so do the directories that it is in. */
function withoutHalves(steps: readonly PathStep[]): readonly PathStep[] {
  const failed = new Set(steps.flatMap(({ type, path }) => (type === 'conflict' ? [path] : [])));
  const isHalf = (step: PathStep): boolean =>
    step.type === 'remove' && step.pairedWith !== undefined && failed.has(step.pairedWith);
  const occupied = new Set<RawPath>();
  for (const step of steps) if (isHalf(step)) markParents(occupied, step.path);
  return steps
    .filter((step) => !isHalf(step))
    .map((step) =>
      step.type === 'remove' && occupied.has(step.path)
        ? { type: 'keep', path: step.path, why: 'things that stay are in it' }
        : step,
    );
}

/** null: longer than what is merged. */
function readSide(tree: TreeReader, path: RawPath): Uint8Array | null {
  const sizeBytes = tree.lookup(path)?.sizeBytes ?? 0;
  if (sizeBytes > LINE_DIFF_BYTES_MAX) return null;
  const content = Buffer.alloc(sizeBytes);
  let filled = 0;
  while (filled < sizeBytes) {
    const part = tree.readFile(path, filled, sizeBytes - filled);
    if (part.length === 0) break;
    content.set(part, filled);
    filled += part.length;
  }
  return content.subarray(0, filled);
}

function plannedPath(
  step: PathStep,
  contents: ReadonlyMap<RawPath, Uint8Array>,
): readonly PlannedPath[] {
  const { path } = step;
  switch (step.type) {
    case 'keep':
    case 'conflict':
      return [];
    case 'remove':
      return [{ path, entry: null, content: 'live', xattrs: { of: 'live', path } }];
    case 'restore':
      return [{ path, entry: step.entry, content: 'snapshot', xattrs: { of: 'snapshot', path } }];
    case 'attributes': {
      const of = step.xattrs === 'before' ? 'snapshot' : 'live';
      return [{ path, entry: step.entry, content: 'live', xattrs: { of, path } }];
    }
    case 'merge': {
      const content = contents.get(path);
      assert(content !== undefined, 'a merge that is carried out has its content');
      // Of a file that moves the live one goes first: its attributes come from the snapshot.
      const of = step.from === path ? 'live' : 'snapshot';
      const xattrs = { of, path } as const;
      return [{ path, entry: step.entry, content, xattrs }];
    }
  }
}
