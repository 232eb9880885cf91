/**
 * A diff or a plan, a page at a time, in bounded memory and without anything kept between two pages.
 *
 * Both sides are named by ids in the cursor, so that pages between two snapshots are one diff whatever is
 * taken meanwhile, and pages of a plan lead to one target. Each page walks again up to where the last one
 * ended: what was passed over costs a comparison of stats and no answer.
 */
import type { InputOf, OutputOf } from '../api/schema/operations.ts';
import { GhostsnapError } from '../core/errors.ts';
import { isSnapshotId, type SnapshotId } from '../core/ids.ts';
import { comparePaths, type RawPath } from '../core/raw-path.ts';
import type { TreeChange } from '../core/tree-change.ts';
import { withRenames } from '../engine/rename-stream.ts';
import type { RollbackPlan, Workspace } from '../engine/workspace-api.ts';
import { decodeCursor, encodeCursor } from './page-cursor.ts';
import { type ChangeView, changeViewOf } from './wire-views.ts';

interface DiffPlace {
  readonly from: SnapshotId | 'live';
  readonly to: SnapshotId | 'live';
  /** Of the last change of the page before, a unit a byte. */
  readonly path: string;
}

const PAGE_DEFAULT = 100;

/** @throws GhostsnapError SNAPSHOT_NOT_FOUND, BAD_ARGUMENT, INTERRUPTED */
export async function diffPage(
  workspace: Workspace,
  input: InputOf<'diff'>,
  signal: AbortSignal,
): Promise<OutputOf<'diff'>> {
  const place = input.cursor === undefined ? null : decodeCursor(input.cursor, parsePlace);
  const from = place?.from ?? treeOf(workspace, input.from);
  const to = place?.to ?? treeOf(workspace, input.to);
  const { paths, mtimes, renames, limit } = input;
  const asked = { mtimes, signal, ...(paths === undefined ? {} : { paths }) };
  const found = workspace.diff(from, to, asked);
  let renamesSkipped = false;
  const onSkipped = (): void => {
    renamesSkipped = true;
  };
  const changes = renames ? withRenames(found, { workspace, from, to, onSkipped }) : found;
  const page = await pageOf(changes, { place: { from, to }, after: place?.path ?? null, limit });
  return { from, to, ...page, renamesSkipped };
}

/** @throws GhostsnapError as `diffPage`, NOTHING_TO_UNDO, NOTHING_TO_REDO, PATH_NOT_IN_SNAPSHOT */
export async function planPage(
  workspace: Workspace,
  input: InputOf<'planTurn'>,
  signal: AbortSignal,
): Promise<OutputOf<'planTurn'>> {
  const place = input.cursor === undefined ? null : decodeCursor(input.cursor, parsePlace);
  const plan = await planOf(workspace, input, { signal, target: place?.to ?? null });
  const { target, mode, modeReason } = plan;
  const page = await pageOf(plan.changes, {
    place: { from: 'live', to: target },
    after: place?.path ?? null,
    limit: input.limit,
  });
  return { target, mode, modeReason, ...page };
}

/** @param from.target of the page before: undo would not find it by itself once something happened */
async function planOf(
  workspace: Workspace,
  { kind, target: named, paths, mode }: InputOf<'planTurn'>,
  from: { readonly signal: AbortSignal; readonly target: SnapshotId | 'live' | null },
): Promise<RollbackPlan> {
  const { signal } = from;
  if (from.target === 'live') throw foreignCursor();
  const isWalk = kind === 'undo' || kind === 'redo';
  if ((paths === undefined) === (kind === 'restore') || (named === undefined) !== isWalk) {
    throw new GhostsnapError('BAD_ARGUMENT', `A plan of ${kind} has other fields.`, {
      hint: 'A rollback has a target, a restore a target and paths, undo and redo neither.',
    });
  }
  const target = from.target ?? named;
  if (target === undefined) return await workspace.planWalk(isWalk ? kind : 'undo', { signal });
  if (paths !== undefined) return await workspace.planRestore(target, paths, { signal });
  return await workspace.planRollback(target, { mode, signal });
}

async function pageOf(
  changes: AsyncIterable<TreeChange>,
  on: {
    readonly place: Omit<DiffPlace, 'path'>;
    readonly after: string | null;
    readonly limit: number | undefined;
  },
): Promise<{ changes: ChangeView[]; nextCursor: string | null }> {
  const { place, after, limit = PAGE_DEFAULT } = on;
  const shown: ChangeView[] = [];
  let last: string | null = null;
  for await (const change of changes) {
    if (after !== null && comparePaths(change.path, after as RawPath) <= 0) continue;
    if (shown.length === limit && last !== null) {
      return { changes: shown, nextCursor: encodeCursor({ ...place, path: last }) };
    }
    shown.push(changeViewOf(change));
    last = change.path;
  }
  return { changes: shown, nextCursor: null };
}

function treeOf(workspace: Workspace, spec: string): SnapshotId | 'live' {
  return spec === 'live' ? 'live' : workspace.resolve(spec);
}

function foreignCursor(): GhostsnapError {
  return new GhostsnapError('BAD_ARGUMENT', 'The cursor is of another question.', {
    hint: 'Give it to the operation that gave it, with the same fields.',
  });
}

function parsePlace(value: unknown): DiffPlace | null {
  if (typeof value !== 'object' || value === null) return null;
  const { from, to, path } = value as Record<string, unknown>;
  if (typeof from !== 'string' || typeof to !== 'string' || typeof path !== 'string') return null;
  if (from !== 'live' && !isSnapshotId(from)) return null;
  if (to !== 'live' && !isSnapshotId(to)) return null;
  return { from, to, path };
}
