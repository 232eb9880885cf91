/**
 * What is tried on a standing workspace, and what the live tree may be afterwards.
 *
 * `goals` are the trees an operation may lead to besides the one before: a rollback's target, any kept
 * state for undo and redo. A restore's goal has free parts (see model-restore.ts), so it is a test.
 */
import { isWithin, type RawPath } from '../../src/core/raw-path.ts';
import { displayPath, type SnapshotId } from '../../src/index.ts';
import { cloneTree, type ModelTree, walkTree } from '../model/model-tree.ts';
import type { SimRandom } from '../sim/sim-random.ts';
import { hashesOf, sha256Of } from './model-hashes.ts';
import { adoptFreeParts, restoredModel, wrongAfterRestore } from './model-restore.ts';
import type { OperationCall } from './operation-child.ts';
import type { TrialGround } from './trial-ground.ts';

export interface TrialCall {
  readonly call: OperationCall;
  /** What the live tree is, if it is where the operation leads to; null when it is not. */
  readonly reached: (lines: readonly string[]) => ModelTree | null;
  /** Snapshots that the operation removes. */
  readonly removes: readonly SnapshotId[];
}

export const STANDING_OPERATIONS = [
  'snapshot',
  'snapshot-sync',
  'arm',
  'rollback',
  'swap',
  'restore',
  'undo',
  'redo',
  'pin',
  'unpin',
  'label',
  'prune',
  'retention',
  'open',
  'recover',
] as const;

export type StandingOperation = (typeof STANDING_OPERATIONS)[number];

/** null: this operation makes no sense here (a swap of a store). */
export function trialCall(
  ground: TrialGround,
  op: StandingOperation,
  random: SimRandom,
): TrialCall | null {
  const id = random.pick(ground.ids());
  const nothing = { reached: () => null, removes: [] };
  switch (op) {
    case 'swap':
      if (ground.bed.backend === 'store') return null;
      return { call: { op, id }, reached: isOneOf(ground, [id]), removes: [] };
    case 'rollback':
      return { call: { op, id }, reached: isOneOf(ground, [id]), removes: [] };
    case 'undo':
    case 'redo':
      return { call: { op }, reached: isOneOf(ground, ground.ids()), removes: [] };
    case 'restore':
      return restoreCall(ground, id, random);
    case 'pin':
    case 'unpin':
      return { call: { op, id }, ...nothing };
    case 'label':
      return { call: { op, id, label: `label ${random.below(1000)}` }, ...nothing };
    case 'prune': {
      const ids = ground.ids().slice(0, 1 + random.below(3));
      return { call: { op, ids }, reached: () => null, removes: ids };
    }
    case 'retention':
      return { call: { op }, reached: () => null, removes: ground.ids() };
    default:
      return { call: { op }, ...nothing };
  }
}

function isOneOf(ground: TrialGround, ids: readonly SnapshotId[]): TrialCall['reached'] {
  const trees = ids.map((id) => ground.kept.get(id));
  return (lines) => {
    const sha256 = sha256Of(lines);
    const found = trees.find((known) => known?.sha256 === sha256);
    return found === undefined ? null : cloneTree(found.tree);
  };
}

function restoreCall(ground: TrialGround, id: SnapshotId, random: SimRandom): TrialCall | null {
  const target = ground.kept.get(id)?.tree;
  if (target === undefined) return null;
  const all = [...walkTree(target)].map(([path]) => path).filter((path) => path !== '');
  if (all.length === 0) return null;
  const first = random.pick(all);
  const second = random.pick(all);
  const apart = !isWithin(first, second) && !isWithin(second, first);
  const paths: readonly RawPath[] = apart ? [first, second] : [first];
  const request = { before: cloneTree(ground.live), target, paths };
  const reached = (lines: readonly string[]): ModelTree | null => {
    if (wrongAfterRestore(request, lines).length > 0) return null;
    const tree = restoredModel(request);
    adoptFreeParts(tree, lines, paths);
    return hashesOf(tree).sha256 === sha256Of(lines) ? tree : null;
  };
  return { call: { op: 'restore', id, paths: paths.map(displayPath) }, reached, removes: [] };
}
