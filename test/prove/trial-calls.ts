/**
 * What is tried on a standing workspace, and what the live tree may be afterwards.
 *
 * `goals` are the trees an operation may lead to besides the one before: a rollback's target, any kept
 * state for undo and redo. A restore's goal has free parts (see model-restore.ts), so it is a test.
 */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isWithin, type RawPath, ROOT_PATH } from '../../src/core/raw-path.ts';
import { openBisect } from '../../src/daemon/bisect-file.ts';
import { resetBisect } from '../../src/engine/bisect.ts';
import { displayPath, type SnapshotId, type Workspace } from '../../src/index.ts';
import { cloneTree, type ModelTree, walkTree } from '../model/model-tree.ts';
import { listModel } from '../model/tree-listing.ts';
import type { SimRandom } from '../sim/sim-random.ts';
import { hashesOf, sha256Of } from './model-hashes.ts';
import { adoptFreeParts, LINKS, MTIME, restoredModel, wrongAfterRestore } from './model-restore.ts';
import { withoutNoted } from './noted-lines.ts';
import type { OperationCall } from './operations.ts';
import type { TrialGround } from './trial-ground.ts';

export interface TrialCall {
  readonly call: OperationCall;
  /** What the live tree is, if it is where the operation leads to; null when it is not. */
  readonly reached: (lines: readonly string[]) => ModelTree | null;
  /** The same for the tree before, where a crash gives it back up to something. */
  readonly takenBack?: TrialCall['reached'];
  /** Snapshots that the operation removes. */
  readonly removes: readonly SnapshotId[];
  /** What else is wrong; afterwards nothing of what it made is left. */
  readonly alsoJudge?: (
    workspace: Workspace,
    outcome: 'acknowledged' | 'not-acknowledged',
    noted: readonly string[],
  ) => Promise<readonly string[]>;
}

export const STANDING_OPERATIONS = [
  'snapshot',
  'snapshot-sync',
  'adopt',
  'arm',
  'rollback',
  'swap',
  'restore',
  'undo',
  'redo',
  'undo-call',
  'extract',
  'scratch',
  'scratch-remove',
  'bisect',
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
export async function trialCall(
  ground: TrialGround,
  op: StandingOperation,
  random: SimRandom,
): Promise<TrialCall | null> {
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
    case 'undo-call':
      return await undoCallTrial(ground, random);
    case 'extract':
      return extractTrial(ground, id);
    case 'scratch':
    case 'scratch-remove':
    case 'bisect':
      return scratchTrial(ground, op, id);
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
  return {
    call: { op: 'restore', id, paths: paths.map(displayPath) },
    reached,
    takenBack: upToFreeParts(request.before),
    removes: [],
  };
}

/** A call that did a few edits, recorded before and after; nothing was done since. */
async function undoCallTrial(ground: TrialGround, random: SimRandom): Promise<TrialCall> {
  const asked = { session: 'tried', harness: 'prover', tool: 'edits', key: `${random.next()}` };
  const { call, snapshot } = await ground.withWorkspace((workspace) => workspace.beginCall(asked));
  if (snapshot === null) throw new Error('A call that may write has a snapshot.');
  ground.keep(snapshot, ground.live);
  await ground.edit(random, 3 + random.below(6));
  await ground.withWorkspace((workspace) => workspace.endCall({ call, outcome: 'ok' }));
  const before = cloneTree(ground.live);
  const goal = ground.kept.get(snapshot)?.tree ?? before;
  return {
    call: { op: 'undo-call', call },
    reached: upToFreeParts(goal, onlyTouched(before, goal)),
    takenBack: upToFreeParts(before),
    removes: [],
  };
}

/** Paths that a call gave another time and nothing else: that is no change to take back (undo-call.md). */
function onlyTouched(before: ModelTree, goal: ModelTree): ReadonlySet<string> {
  const exact = new Set(listModel(goal));
  const timeless = new Set(listModel(goal).map(withoutTime));
  const touched = listModel(before).filter(
    (line) => !exact.has(line) && timeless.has(withoutTime(line)),
  );
  const paths = new Set(touched.map(pathOfLine));
  // A name that comes back to such a file gets its time with it.
  const linksOf = (line: string): string => line.split('\t')[LINKS] ?? '-';
  const groups = new Set([...exact].filter((line) => paths.has(pathOfLine(line))).map(linksOf));
  groups.delete('-');
  for (const line of exact) if (groups.has(linksOf(line))) paths.add(pathOfLine(line));
  return paths;
}

function withoutTime(line: string): string {
  const fields = line.split('\t');
  fields[MTIME] = '-';
  return fields.join('\t');
}

function pathOfLine(line: string): string {
  return line.slice(0, line.indexOf('\t'));
}

/** Entries came and went in directories beside what the call did: their times are nobody's. */
function upToFreeParts(
  goal: ModelTree,
  touched: ReadonlySet<string> = new Set(),
): TrialCall['reached'] {
  const told = (lines: readonly string[]): string =>
    withoutFreeParts(
      lines.map((line) => (touched.has(pathOfLine(line)) ? withoutTime(line) : line)),
    );
  const expected = told(listModel(goal));
  return (lines) => {
    if (told(lines) !== expected) return null;
    const tree = cloneTree(goal);
    adoptFreeParts(tree, lines, [ROOT_PATH]);
    return tree;
  };
}

function withoutFreeParts(lines: readonly string[]): string {
  const told = lines.map((line) => {
    const fields = line.split('\t');
    if (fields[1] === 'dir') fields[MTIME] = '-';
    return fields.join('\t');
  });
  return told.join('\n');
}

function extractTrial(ground: TrialGround, id: SnapshotId): TrialCall {
  const to = join(ground.folder, '..', `extracted-${id}`);
  return {
    call: { op: 'extract', id, to },
    reached: () => null,
    removes: [],
    async alsoJudge(_workspace, outcome, noted) {
      const wrong = outcome === 'acknowledged' ? await notThe(ground, id, to, noted) : [];
      rmSync(to, { recursive: true, force: true });
      return wrong;
    },
  };
}

function scratchTrial(
  ground: TrialGround,
  op: 'scratch' | 'scratch-remove' | 'bisect',
  id: SnapshotId,
): TrialCall {
  return {
    call: op === 'scratch-remove' ? { op } : { op, id },
    reached: () => null,
    removes: [],
    async alsoJudge(workspace, outcome) {
      const { poolRoot, workspace: own } = workspace.info;
      const place = join(poolRoot, '.ghostsnap', own, 'scratch');
      const wrong: string[] = [];
      if (outcome === 'acknowledged') {
        if (op === 'scratch') wrong.push(...(await notThe(ground, id, place)));
        else if (existsSync(place)) wrong.push(`acknowledged, and there is ${place}`);
      }
      using store = await openBisect({ environment: ground.environment, workspace: own });
      await resetBisect({ workspace, store });
      if (existsSync(place)) wrong.push(`can't be removed any more: ${place}`);
      if (store.read() !== null) wrong.push('a bisect that was ended has a record');
      return wrong;
    },
  };
}

async function notThe(
  ground: TrialGround,
  id: SnapshotId,
  dir: string,
  noted: readonly string[] = [],
): Promise<string[]> {
  const lines = await ground.witness.lines({ dir });
  const known = ground.kept.get(id);
  if (known === undefined) return [`${id} is not known`];
  if (sha256Of(withoutNoted(lines, listModel(known.tree), noted)) === known.sha256) return [];
  return [`acknowledged, and ${dir} is not ${id}`];
}
