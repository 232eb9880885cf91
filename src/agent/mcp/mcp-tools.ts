/**
 * The tools of the MCP server: look, take a snapshot, go back.
 *
 * Each does what the command of the same name does, through the same `Workspace`.
 */
import type { ToolAnnotations } from '@modelcontextprotocol/sdk/types.js';
import type { SnapshotId } from '../../core/ids.ts';
import type { Verdict } from '../../core/policy/policy-rule.ts';
import { findingLine } from '../../core/policy/verdict-text.ts';
import type { TurnResult } from '../../engine/results.ts';
import type { RollbackPlan } from '../../engine/workspace-api.ts';
import { type Answer, addTool, type ToolParts } from './add-tool.ts';
import { listChanges } from './listed-changes.ts';
import {
  diffInput,
  diffOutput,
  listInput,
  listOutput,
  restoreInput,
  rollbackInput,
  snapshotInput,
  snapshotOutput,
  turnOutput,
  undoInput,
} from './tool-schemas.ts';

const LOOKING: ToolAnnotations = {
  readOnlyHint: true,
  destructiveHint: false,
  idempotentHint: true,
  openWorldHint: false,
};

const TAKING: ToolAnnotations = {
  readOnlyHint: false,
  destructiveHint: false,
  idempotentHint: false,
  openWorldHint: false,
};

/** Twice to the same state is once. */
const GOING_BACK: ToolAnnotations = { ...TAKING, destructiveHint: true, idempotentHint: true };

export function registerTools(parts: ToolParts): void {
  registerLooking(parts);
  registerSnapshot(parts);
  registerRollback(parts);
  registerRestore(parts);
  registerUndo(parts);
}

function registerLooking(parts: ToolParts): void {
  const { workspace } = parts;
  addTool(
    parts,
    'list',
    {
      title: 'List snapshots',
      description:
        'Lists the snapshots of the workspace, newest first, with the tool that ran after each.',
      ...{ inputSchema: listInput, outputSchema: listOutput, annotations: LOOKING },
    },
    async (given, { ask }) => {
      await ask('ghostsnap log');
      return { snapshots: [...workspace.list({ limit: given.limit })] };
    },
  );
  addTool(
    parts,
    'diff',
    {
      title: 'Show what changed',
      description:
        'Lists which paths differ between two snapshots, or between one and the tree as it is now.',
      ...{ inputSchema: diffInput, outputSchema: diffOutput, annotations: LOOKING },
    },
    async (given, { ask, signal }) => {
      await ask(`ghostsnap diff ${given.from}`);
      const options = given.paths === undefined ? {} : { paths: given.paths };
      const found = workspace.diff(given.from, given.to, { ...options, mtimes: false, signal });
      return { ...(await listChanges(found, given.limit)) };
    },
  );
}

function registerSnapshot(parts: ToolParts): void {
  addTool(
    parts,
    'snapshot',
    {
      title: 'Take a snapshot',
      description: 'Keeps the state of the whole workspace as it is now, to come back to it later.',
      ...{ inputSchema: snapshotInput, outputSchema: snapshotOutput, annotations: TAKING },
    },
    async (given, { ask, work }) => {
      await ask('ghostsnap snap');
      const { id, createdAt, durationMs, uncovered } = await parts.workspace.snapshot({
        label: given.label ?? null,
        ...work,
      });
      return { id, createdAt, durationMs, uncovered: uncovered.map((one) => ({ ...one })) };
    },
  );
}

function registerRollback(parts: ToolParts): void {
  const { workspace } = parts;
  addTool(
    parts,
    'rollback',
    {
      title: 'Roll back the workspace',
      description:
        'Turns the whole workspace back to a snapshot: everything done since is gone from it, whoever did it. The state before is kept, and "undo" brings it back.',
      ...{ inputSchema: rollbackInput, outputSchema: turnOutput, annotations: GOING_BACK },
    },
    async (given, { ask, signal, work }) => {
      // Resolved before the question: "@" must not mean another snapshot once it was answered.
      const target = workspace.resolve(given.to);
      const verdict = await workspace.judgeTurn(target, { signal });
      const what = `Roll the workspace ${workspace.info.path} back to`;
      await ask(`ghostsnap rollback ${target}`, {
        verdict,
        question: async () => describePlan(what, await workspace.planRollback(target), verdict),
      });
      return turn(await workspace.rollback(target, work), verdict);
    },
  );
}

function registerRestore(parts: ToolParts): void {
  const { workspace } = parts;
  addTool(
    parts,
    'restore',
    {
      title: 'Bring paths back',
      description:
        'Brings single files and directories back from a snapshot and leaves everything else as it is. "undo" takes it back.',
      ...{ inputSchema: restoreInput, outputSchema: turnOutput, annotations: GOING_BACK },
    },
    async ({ from, paths }, { ask, signal, work }) => {
      const target: SnapshotId = workspace.resolve(from);
      const verdict = await workspace.judgeTurn(target, { paths, signal });
      const what = `Restore ${paths.length} paths in ${workspace.info.path} from`;
      await ask(`ghostsnap restore ${target} ${paths.join(' ')}`, {
        verdict,
        question: async () =>
          describePlan(what, await workspace.planRestore(target, paths), verdict),
      });
      return turn(await workspace.restore(target, paths, work), verdict);
    },
  );
}

function registerUndo(parts: ToolParts): void {
  const { workspace } = parts;
  addTool(
    parts,
    'undo',
    {
      title: 'Go one state back',
      description:
        'Goes one state back, as in an editor: to the snapshot before, or to what was there before the last rollback.',
      ...{ inputSchema: undoInput, outputSchema: turnOutput },
      annotations: { ...GOING_BACK, idempotentHint: false },
    },
    async (_, { ask, signal, work }) => {
      const { target } = await workspace.planWalk('undo', { signal });
      const verdict = await workspace.judgeTurn(target, { signal });
      const question = async (): Promise<string> => {
        const newest = workspace.list({ limit: 1 })[0]?.id ?? '';
        const asked = `Take the workspace ${workspace.info.path} one state back? The newest snapshot is ${newest}`;
        return [asked, ...verdict.findings.map(findingLine)].join('\n');
      };
      await ask('ghostsnap undo', { verdict, question });
      return turn(await workspace.undo(work), verdict);
    },
  );
}

/** What only the log is told is not told to the agent. */
function turn(result: TurnResult, { findings }: Verdict): Answer {
  const told = findings.filter(({ action }) => action !== 'note');
  const notes = result.notes.map((note) => ({ ...note }));
  return { ...result, notes, policy: told.map(findingLine) };
}

/** Paths that a question names; the rest is counted. */
const PATHS_ASKED_MAX = 12;

async function describePlan(
  what: string,
  plan: RollbackPlan,
  { findings }: Verdict,
): Promise<string> {
  const { changes, stats } = await listChanges(plan.changes, PATHS_ASKED_MAX);
  const all = Object.values(stats).reduce((sum, count) => sum + count, 0);
  const rest = all - changes.length;
  return [
    `${what} ${plan.target}?`,
    `${all} paths change; the state before is kept and "undo" brings it back.`,
    // The plan leads from the live tree to the snapshot.
    ...changes.map(({ kind, path }) => `${PLAN_WORDS[kind]} ${path}`),
    ...(rest > 0 ? [`and ${rest} more`] : []),
    ...findings.map(findingLine),
  ].join('\n');
}

const PLAN_WORDS = {
  added: 'create',
  deleted: 'remove',
  modified: 'rewrite',
  metadata: 'set properties of',
  type: 'replace',
  renamed: 'rename',
  uncovered: 'leave',
} as const;
