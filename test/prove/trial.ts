/**
 * One try on a standing workspace: an operation in a process that dies or meets a failing call, then the
 * workspace opened again and judged.
 *
 * What must hold: it can be opened; the live tree is the one before or the one the operation leads to,
 * whole; what was acknowledged is so; every snapshot that was acknowledged is listed and whole, and one
 * that nobody asked about is a whole state too; nothing is left lying about.
 */
import { join } from 'node:path';
import { GhostsnapError, type SnapshotId, type Workspace } from '../../src/index.ts';
import { cloneTree, type ModelTree } from '../model/model-tree.ts';
import { describeDifference, listModel } from '../model/tree-listing.ts';
import { hashesOf, sha256Of } from './model-hashes.ts';
import { withoutNoted } from './noted-lines.ts';
import type { OperationOutcome } from './operation-child.ts';
import type { TrialCall } from './trial-calls.ts';
import type { TrialGround } from './trial-ground.ts';

export const OPERATION_CHILD = join(import.meta.dirname, 'operation-child.ts');

/** Recovery takes one of a half-turned tree, which is nobody's state: whole, but not to be compared. */
const HALF_WAY = 'found half-way';

/** @param outcome null: the process died */
export async function judgeTry(
  ground: TrialGround,
  trial: TrialCall,
  outcome: OperationOutcome | null,
): Promise<string[]> {
  const before = cloneTree(ground.live);
  try {
    return await ground.withWorkspace(async (workspace) => {
      const wrong = await judgeOpened(ground, workspace, { trial, outcome, before });
      if (wrong.length === 0) await ground.thinOut(workspace);
      return wrong;
    });
  } catch (error) {
    const cause = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return [`can't be opened any more: ${cause}`];
  }
}

interface Tried {
  readonly trial: TrialCall;
  readonly outcome: OperationOutcome | null;
  readonly before: ModelTree;
}

async function judgeOpened(
  ground: TrialGround,
  workspace: Workspace,
  tried: Tried,
): Promise<string[]> {
  const wrong = wrongOutcome(tried);
  const { unfinished } = workspace.openReport;
  if (unfinished !== null) wrong.push(`the turn can't be ended: ${unfinished.reason}`);
  const lines = await ground.liveLines();
  const live = liveAfter(tried, lines);
  if (live === null && isReachedButForNotes(ground, tried, lines)) {
    ground.isAsKnown = false;
  } else if (live === null) {
    const difference = describeDifference(listModel(tried.before), lines);
    wrong.push(
      `the live tree is neither the one before nor the goal; to the one before:\n${difference}`,
    );
  } else {
    ground.live = live;
  }
  const listed = new Set(workspace.list().map(({ id }) => id));
  for (const id of tried.trial.removes) if (!listed.has(id)) ground.kept.delete(id);
  wrong.push(...(await ground.wrongSnapshots(listed)));
  wrong.push(...(await wrongNewOnes(ground, workspace, tried)));
  wrong.push(...wrongAcknowledged(workspace, tried));
  const answer = tried.outcome?.ok === true ? 'acknowledged' : 'not-acknowledged';
  wrong.push(
    ...((await tried.trial.alsoJudge?.(workspace, answer, tried.outcome?.noted ?? [])) ?? []),
  );
  await workspace.recover();
  wrong.push(...ground.leftOvers(workspace).map((name) => `left lying about: ${name}`));
  return wrong;
}

function wrongOutcome({ outcome }: Tried): string[] {
  if (outcome?.error?.code !== 'not a GhostsnapError') return [];
  return [`failed with something else than a GhostsnapError: ${outcome.error.message}`];
}

const TURNS = new Set(['rollback', 'swap', 'restore', 'undo', 'redo', 'undo-call']);

function liveAfter({ trial, outcome, before }: Tried, lines: readonly string[]): ModelTree | null {
  const isSame = sha256Of(lines) === hashesOf(before).sha256;
  const reached = trial.reached(lines);
  const mustBeThere = outcome?.ok === true && TURNS.has(trial.call.op);
  if (mustBeThere) return reached;
  return isSame ? before : (reached ?? trial.takenBack?.(lines) ?? null);
}

/** It succeeded without something, and said without what: any of the kept states is its goal. */
function isReachedButForNotes(
  ground: TrialGround,
  { trial, outcome }: Tried,
  lines: readonly string[],
): boolean {
  const noted = outcome?.noted ?? [];
  if (noted.length === 0) return false;
  return [...ground.kept.values()].some(
    ({ tree }) => trial.reached(withoutNoted(lines, listModel(tree), noted)) !== null,
  );
}

async function wrongNewOnes(
  ground: TrialGround,
  workspace: Workspace,
  tried: Tried,
): Promise<string[]> {
  const wrong: string[] = [];
  const halfWay: SnapshotId[] = [];
  for (const { id, label, role } of workspace.list()) {
    if (ground.kept.has(id)) continue;
    const lines = await ground.linesOf(id);
    const known = [tried.before, ground.live].find(
      (tree) => lines !== null && hashesOf(tree).sha256 === sha256Of(lines),
    );
    if (known !== undefined) ground.keep(id, known);
    else if (lines !== null && mayBeHalfWay(tried, label, role)) halfWay.push(id);
    else wrong.push(`${id} (${role}, ${label}) is a state that never was`);
  }
  if (halfWay.length > 0) await workspace.prune({ specs: halfWay });
  return wrong;
}

/** Recovery of a turn that died may die itself, between taking such a snapshot and recording it. */
function mayBeHalfWay({ trial }: Tried, label: string | null, role: string): boolean {
  if (label?.startsWith(HALF_WAY) === true) return true;
  return role === 'adopted' && TURNS.has(trial.call.op);
}

function wrongAcknowledged(workspace: Workspace, { trial, outcome }: Tried): string[] {
  const { call } = trial;
  if (outcome?.ok !== true) return [];
  if (call.op === 'pin' && !workspace.show(call.id).pinned) return ['the pin is lost'];
  if (call.op === 'unpin' && workspace.show(call.id).pinned) return ['the pin is still there'];
  if (call.op === 'label' && workspace.show(call.id).label !== call.label) {
    return ['the label is lost'];
  }
  if (call.op !== 'prune') return [];
  return call.ids.filter((id) => isThere(workspace, id)).map((id) => `${id} is still there`);
}

function isThere(workspace: Workspace, id: string): boolean {
  try {
    workspace.show(id);
    return true;
  } catch (error) {
    if (error instanceof GhostsnapError && error.code === 'SNAPSHOT_NOT_FOUND') return false;
    throw error;
  }
}

/** The last line of what the child printed; null when it never came to its end. */
export function outcomeOf(stdout: string): OperationOutcome | null {
  const line = stdout.trim().split('\n').at(-1) ?? '';
  return line === '' ? null : (JSON.parse(line) as OperationOutcome);
}
