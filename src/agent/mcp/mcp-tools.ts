/**
 * The tools of the MCP server: look, take a snapshot, go back.
 *
 * Each does what the command of the same name does, through the same `Workspace`. Expected failures
 * come back as results with `isError`, so that the model reads what happened and what to do; what is no
 * expected failure is a defect; the SDK reports it to the client.
 */
import type { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import type { CallToolResult, ToolAnnotations } from '@modelcontextprotocol/sdk/types.js';
import type { z } from 'zod';
import { GhostsnapError } from '../../core/errors.ts';
import type { SnapshotId } from '../../core/ids.ts';
import type { Verdict } from '../../core/policy/policy-rule.ts';
import { findingLine } from '../../core/policy/verdict-text.ts';
import { parseTraceFields, type TraceContext } from '../../core/trace-context.ts';
import type { TurnResult } from '../../engine/results.ts';
import type { RollbackPlan, Workspace } from '../../engine/workspace-api.ts';
import { assertMayRun, type ToolExtra } from './confirmation.ts';
import { listChanges } from './listed-changes.ts';
import type { McpPolicy, McpToolName } from './mcp-policy.ts';
import { progressOf } from './progress.ts';
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

export interface ToolParts {
  readonly server: McpServer;
  readonly workspace: Workspace;
  readonly policy: McpPolicy;
}

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

function registerLooking({ server, workspace, policy }: ToolParts): void {
  server.registerTool(
    'list',
    {
      title: 'List snapshots',
      description:
        'Lists the snapshots of the workspace, newest first, with the tool that ran after each.',
      ...{ inputSchema: listInput, outputSchema: listOutput, annotations: LOOKING },
    },
    (given: z.infer<typeof listInput>, extra) =>
      answered(async () => {
        await ask({ server, policy, extra }, 'list', 'ghostsnap log');
        return { snapshots: [...workspace.list({ limit: given.limit })] };
      }),
  );
  server.registerTool(
    'diff',
    {
      title: 'Show what changed',
      description:
        'Lists which paths differ between two snapshots, or between one and the tree as it is now.',
      ...{ inputSchema: diffInput, outputSchema: diffOutput, annotations: LOOKING },
    },
    (given: z.infer<typeof diffInput>, extra) =>
      answered(async () => {
        await ask({ server, policy, extra }, 'diff', `ghostsnap diff ${given.from}`);
        const options = given.paths === undefined ? {} : { paths: given.paths };
        const { signal } = extra;
        const found = workspace.diff(given.from, given.to, { ...options, mtimes: false, signal });
        return { ...(await listChanges(found, given.limit)) };
      }),
  );
}

function registerSnapshot({ server, workspace, policy }: ToolParts): void {
  server.registerTool(
    'snapshot',
    {
      title: 'Take a snapshot',
      description: 'Keeps the state of the whole workspace as it is now, to come back to it later.',
      ...{ inputSchema: snapshotInput, outputSchema: snapshotOutput, annotations: TAKING },
    },
    (given: z.infer<typeof snapshotInput>, extra) =>
      answered(async () => {
        await ask({ server, policy, extra }, 'snapshot', 'ghostsnap snap');
        const { id, createdAt, durationMs, uncovered } = await workspace.snapshot({
          label: given.label ?? null,
          ...workOf(extra),
        });
        return { id, createdAt, durationMs, uncovered: uncovered.map((one) => ({ ...one })) };
      }),
  );
}

function registerRollback({ server, workspace, policy }: ToolParts): void {
  server.registerTool(
    'rollback',
    {
      title: 'Roll back the workspace',
      description:
        'Turns the whole workspace back to a snapshot: everything done since is gone from it, whoever did it. The state before is kept, and "undo" brings it back.',
      ...{ inputSchema: rollbackInput, outputSchema: turnOutput, annotations: GOING_BACK },
    },
    (given: z.infer<typeof rollbackInput>, extra) =>
      answered(async () => {
        // Resolved before the question: "@" must not mean another snapshot once it was answered.
        const target = workspace.resolve(given.to);
        const plan = (): Promise<RollbackPlan> => workspace.planRollback(target);
        const command = `ghostsnap rollback ${target}`;
        const verdict = await workspace.judgeTurn(target, { signal: extra.signal });
        await ask({ server, policy, extra, verdict }, 'rollback', command, async () =>
          describePlan(`Roll the workspace ${workspace.info.path} back to`, await plan(), verdict),
        );
        return turn(await workspace.rollback(target, workOf(extra)), verdict);
      }),
  );
}

function registerRestore({ server, workspace, policy }: ToolParts): void {
  server.registerTool(
    'restore',
    {
      title: 'Bring paths back',
      description:
        'Brings single files and directories back from a snapshot and leaves everything else as it is. "undo" takes it back.',
      ...{ inputSchema: restoreInput, outputSchema: turnOutput, annotations: GOING_BACK },
    },
    (given: z.infer<typeof restoreInput>, extra) =>
      answered(async () => {
        const { paths } = given;
        const target: SnapshotId = workspace.resolve(given.from);
        const command = `ghostsnap restore ${target} ${paths.join(' ')}`;
        const verdict = await workspace.judgeTurn(target, { paths, signal: extra.signal });
        await ask({ server, policy, extra, verdict }, 'restore', command, async () =>
          describePlan(
            `Restore ${paths.length} paths in ${workspace.info.path} from`,
            await workspace.planRestore(target, paths),
            verdict,
          ),
        );
        return turn(await workspace.restore(target, paths, workOf(extra)), verdict);
      }),
  );
}

function registerUndo({ server, workspace, policy }: ToolParts): void {
  server.registerTool(
    'undo',
    {
      title: 'Go one state back',
      description:
        'Goes one state back, as in an editor: to the snapshot before, or to what was there before the last rollback.',
      ...{ inputSchema: undoInput, outputSchema: turnOutput },
      annotations: { ...GOING_BACK, idempotentHint: false },
    },
    (_: z.infer<typeof undoInput>, extra) =>
      answered(async () => {
        const { signal } = extra;
        const { target } = await workspace.planWalk('undo', { signal });
        const verdict = await workspace.judgeTurn(target, { signal });
        await ask({ server, policy, extra, verdict }, 'undo', 'ghostsnap undo', async () => {
          const newest = workspace.list({ limit: 1 })[0]?.id ?? '';
          const question = `Take the workspace ${workspace.info.path} one state back? The newest snapshot is ${newest}`;
          return [question, ...verdict.findings.map(findingLine)].join('\n');
        });
        return turn(await workspace.undo(workOf(extra)), verdict);
      }),
  );
}

type Answer = Record<string, unknown>;

async function answered(work: () => Promise<Answer>): Promise<CallToolResult> {
  try {
    const structuredContent = await work();
    // The text is for clients that are older than structured content.
    const text = JSON.stringify(structuredContent);
    return { content: [{ type: 'text', text }], structuredContent };
  } catch (error) {
    if (!(error instanceof GhostsnapError)) throw error;
    const { message, code, hint } = error;
    const text = `${message} [${code}]${hint === undefined ? '' : `\n${hint}`}`;
    return { content: [{ type: 'text', text }], isError: true };
  }
}

async function ask(
  on: Pick<ToolParts, 'server' | 'policy'> & {
    readonly extra: ToolExtra;
    readonly verdict?: Verdict;
  },
  tool: McpToolName,
  command: string,
  question: () => Promise<string> = async () => `Let the agent use "${tool}"?`,
): Promise<void> {
  const capabilities = on.server.server.getClientCapabilities();
  await assertMayRun({ tool, command, question, capabilities, ...on });
}

function workOf(extra: ToolExtra): {
  signal: AbortSignal;
  onProgress: (done: number, total: number | null) => void;
  trace: TraceContext | undefined;
} {
  const { signal, _meta: meta } = extra;
  return { signal, onProgress: progressOf(extra), trace: parseTraceFields(meta) };
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
