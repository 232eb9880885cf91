/**
 * The product's steps, through its public API, each with what the model says must come of it.
 *
 * Where the model expects a refusal, any other outcome is a difference. The comparison of trees is the
 * episode's, afterwards.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isWithin, joinRaw, ROOT_PATH } from '../../src/core/raw-path.ts';
import {
  displayPath,
  type ErrorCode,
  GhostsnapError,
  type SnapshotId,
  type TreeChange,
  type TurnResult,
} from '../../src/index.ts';
import { compareModels } from '../model/model-compare.ts';
import { cloneTree, sortedNames, walkTree } from '../model/model-tree.ts';
import { describeDifference, listModel } from '../model/tree-listing.ts';
import type { ModelEpisode } from './model-episode.ts';
import { adoptFreeParts, restoredModel, wrongAfterRestore } from './model-restore.ts';
import type { ModelStep } from './model-steps.ts';

type Step<K extends ModelStep['do']> = Extract<ModelStep, { do: K }>;

export async function runProductStep(
  episode: ModelEpisode,
  step: Exclude<ModelStep, { do: 'edit' }>,
): Promise<void> {
  switch (step.do) {
    case 'snapshot':
      return await snapshot(episode, step);
    case 'rollback':
      return await rollback(episode, step);
    case 'restore':
      return await restore(episode, step);
    case 'undo':
    case 'redo':
      return await walkHistory(episode, step.do);
    case 'retention':
      return await retention(episode);
    case 'recover':
      return await recover(episode);
    case 'arm':
      return await arm(episode);
    case 'prune':
      return await prune(episode, step);
    case 'pin':
      return pin(episode, step);
    case 'label':
      return label(episode, step);
    case 'extract':
      return await extract(episode, step);
    case 'diff':
      return await diff(episode, step);
    case 'reopen':
      return await episode.reopen(step.watch);
  }
}

async function snapshot(episode: ModelEpisode, { how }: Step<'snapshot'>): Promise<void> {
  const { workspace } = episode;
  const taken = how === 'blocking' ? workspace.snapshotSync() : await workspace.snapshot();
  expectNothing('uncovered', taken.uncovered);
  episode.keep(taken.id);
  episode.history.append(taken.id);
}

/** Nothing is promised but that nothing shows: the next snapshot holds what is there when it is asked for. */
async function arm({ workspace }: ModelEpisode): Promise<void> {
  if ('arm' in workspace && typeof workspace.arm === 'function') await workspace.arm();
}

async function rollback(episode: ModelEpisode, step: Step<'rollback'>): Promise<void> {
  const target = episode.choose(step.pick);
  if (target === null) return;
  if (step.mode === 'swap' && episode.bed.backend === 'store') {
    const refused = episode.workspace.rollback(target, { mode: 'swap' });
    await expectRefusal(refused, 'UNSUPPORTED_MODE');
    return;
  }
  const result = await episode.workspace.rollback(target, { mode: step.mode });
  episode.count(`${result.mode} turns`);
  turned(episode, result, target);
  episode.history.append(result.precautionary, target);
}

function turned(episode: ModelEpisode, result: TurnResult, target: SnapshotId): void {
  expectEqual('target', result.target, target);
  expectNothing('notes', result.notes);
  episode.keep(result.precautionary);
  episode.live = cloneTree(episode.model(target).tree);
}

async function restore(episode: ModelEpisode, step: Step<'restore'>): Promise<void> {
  const target = episode.choose(step.pick);
  if (target === null) return;
  const { tree } = episode.model(target);
  const all = [...walkTree(tree)].map(([path]) => path).filter((path) => path !== '');
  if (all.length === 0) return;
  const picked = step.paths.map((pick) => all[pick % all.length] ?? ROOT_PATH);
  // One within another says the same thing twice; the product may be asked so, the model need not.
  const paths = picked.filter(
    (path, index) =>
      !picked.some(
        (other, at) => at !== index && isWithin(path, other) && (path !== other || at < index),
      ),
  );
  const before = cloneTree(episode.live);
  const result = await episode.workspace.restore(target, picked.map(displayPath));
  expectEqual('target', result.target, target);
  expectNothing('notes', result.notes);
  episode.keep(result.precautionary);
  const request = { before, target: tree, paths };
  const lines = await episode.witness.lines({ dir: episode.path });
  expectNothing('differs after the restore', wrongAfterRestore(request, lines));
  episode.live = restoredModel(request);
  adoptFreeParts(episode.live, lines, paths);
  episode.history.append(result.precautionary);
}

async function walkHistory(episode: ModelEpisode, way: 'undo' | 'redo'): Promise<void> {
  const { history, workspace } = episode;
  const differs = episode.looksOtherThanLive();
  const entry = way === 'undo' ? history.undoTarget(differs) : history.redoTarget(differs);
  if (entry === null) {
    const code = way === 'undo' ? 'NOTHING_TO_UNDO' : 'NOTHING_TO_REDO';
    await expectRefusal(workspace[way](), code);
    return;
  }
  const result = await workspace[way]();
  episode.count(`${result.mode} turns`);
  turned(episode, result, entry.id);
  if (way === 'undo') history.undone(entry, result.precautionary);
  else history.redone(entry);
}

async function prune(episode: ModelEpisode, { picks }: Step<'prune'>): Promise<void> {
  const chosen = new Set(picks.map((pick) => episode.choose(pick)));
  const specs = [...chosen].filter((id) => id !== null);
  if (specs.length === 0) return;
  if (specs.some((id) => episode.model(id).pinned)) {
    await expectRefusal(episode.workspace.prune({ specs }), 'SNAPSHOT_PINNED');
    return;
  }
  const { deleted } = await episode.workspace.prune({ specs });
  expectEqual('deleted', [...deleted].sort().join(), [...specs].sort().join());
  for (const id of deleted) episode.forget(id);
}

/** By the rules: whatever goes, pins and the newest stay. */
async function retention(episode: ModelEpisode): Promise<void> {
  const newest = episode.ids().at(-1);
  const { deleted, decisions } = await episode.workspace.prune();
  expectEqual('decisions', decisions.length, episode.kept.size);
  for (const id of deleted) {
    if (episode.model(id).pinned) throw new Error(`Retention deleted the pinned ${id}.`);
    if (id === newest) throw new Error(`Retention deleted the newest, ${id}.`);
    episode.forget(id);
  }
}

async function recover(episode: ModelEpisode): Promise<void> {
  const report = await episode.workspace.recover();
  // null: nothing was asked of what the snapshots hold.
  for (const [what, found] of Object.entries(report)) expectNothing(what, found ?? []);
}

async function pin(episode: ModelEpisode, { pick }: Step<'pin'>): Promise<void> {
  const id = episode.choose(pick);
  if (id === null) return;
  const kept = episode.model(id);
  // One pin at a time, or in the end nothing could be pruned any more.
  if (!kept.pinned && [...episode.kept.values()].some(({ pinned }) => pinned)) return;
  if (kept.pinned) await episode.workspace.unpin(id);
  else await episode.workspace.pin(id);
  kept.pinned = !kept.pinned;
}

async function label(episode: ModelEpisode, step: Step<'label'>): Promise<void> {
  const id = episode.choose(step.pick);
  if (id === null) return;
  const { label: text } = await episode.workspace.label(id, step.label);
  expectEqual('label', text, step.label);
  episode.model(id).label = step.label;
}

async function extract(episode: ModelEpisode, { pick }: Step<'extract'>): Promise<void> {
  const id = episode.choose(pick);
  if (id === null) return;
  const { tree } = episode.model(id);
  const names = sortedNames(tree.root).map((name) => displayPath(joinRaw(ROOT_PATH, name)));
  const scratch = mkdtempSync(join(episode.folder, 'scratch-'));
  const { notes } = await episode.workspace.extract(id, names, scratch);
  expectNothing('notes', notes);
  // The root is the scratch directory's own; everything below must be the snapshot's.
  const lines = (await episode.witness.lines({ dir: scratch })).slice(1);
  expectEqual('extracted', describeDifference(listModel(tree).slice(1), lines), '');
  rmSync(scratch, { recursive: true });
}

async function diff(episode: ModelEpisode, step: Step<'diff'>): Promise<void> {
  const [from, to] = [episode.choose(step.pick), episode.choose(step.other)];
  if (from === null || to === null) return;
  for (const other of [to, 'live'] as const) {
    const tree = other === 'live' ? episode.live : episode.model(other).tree;
    const changes: TreeChange[] = [];
    for await (const change of episode.workspace.diff(from, other)) changes.push(change);
    const expected = compareModels(episode.model(from).tree, tree);
    expectEqual('diff', describeDifference(textsOf(expected), textsOf(changes)), '');
  }
}

/** A comparison in bounded memory may name any member of a hard link group that differs: left out here. */
function textsOf(changes: readonly TreeChange[]): string[] {
  return changes
    .map((change) => ({ ...change, fields: change.fields.filter((field) => field !== 'links') }))
    .filter(({ kind, fields }) => kind !== 'metadata' || fields.length > 0)
    .map(({ path, kind, fields }) => `${kind} ${JSON.stringify(path)} ${[...fields].sort()}`);
}

async function expectRefusal(work: Promise<unknown>, code: ErrorCode): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (error instanceof GhostsnapError && error.code === code) return;
    throw error;
  }
  throw new Error(`This should have been refused with ${code}.`);
}

function expectNothing(what: string, list: readonly unknown[]): void {
  if (list.length > 0) throw new Error(`${what}: ${JSON.stringify(list, null, 1)}`);
}

function expectEqual(what: string, actual: unknown, expected: unknown): void {
  if (actual !== expected) throw new Error(`${what} is ${actual}, not ${expected}`);
}
