/**
 * `ghostsnap run -- CMD...`: a snapshot, the command, what it changed.
 *
 * The command does not start when the snapshot fails. Nothing is held while it runs, so that it may
 * use ghostsnap itself. Its standard output is its own: everything of ours goes to standard error.
 */
import type { Command } from 'commander';
import { createChangeCounter } from '../../core/change-stats.ts';
import { GhostsnapError } from '../../core/errors.ts';
import type { SnapshotId } from '../../core/ids.ts';
import type { ChangeStats } from '../../core/tree-change.ts';
import { withRenames } from '../../engine/rename-stream.ts';
import type { Workspace } from '../../engine/workspace-api.ts';
import { statLine, summaryLine } from '../change-lines.ts';
import {
  type CliContext,
  type CommandModule,
  type WorkspaceOptions,
  withWorkspace,
  workspaceOption,
} from '../cli-context.ts';
import { askChoice } from '../confirm.ts';
import { progressBar } from '../progress-bar.ts';
import { runChild } from '../run-child.ts';
import { warnNotes } from '../turn-output.ts';
import { warnUncovered } from '../uncovered-notes.ts';
import { labelsOf } from './snap.ts';

interface Options extends WorkspaceOptions {
  readonly label?: string;
  readonly rollbackOnFailure?: true;
  readonly ask?: true;
}

/** Changed paths that are named; the rest is counted. */
const LINES_SHOWN_MAX = 20;

const EXAMPLES = `
The exit status is the command's own, 128 + N when signal N ended it, 127 when
it was not found.

Examples:
  $ ghostsnap run -- npm install
  $ ghostsnap run --rollback-on-failure -- make migrate
  $ ghostsnap run --ask -l "try the codemod" -- npx codemod src`;

export const command: CommandModule = {
  register(program, context) {
    workspaceOption(program)
      .usage('[options] -- command [argument...]')
      .argument('<command...>', 'what to run')
      .passThroughOptions()
      .option('-l, --label <text>', 'name the snapshot')
      .option('--rollback-on-failure', 'roll back when the command fails')
      .option('--ask', 'ask whether to keep what the command did')
      .addHelpText('after', EXAMPLES)
      .action((words: string[], _: Options, self: Command) =>
        run(context, words, self.optsWithGlobals<Options>()),
      );
  },
};

async function run(context: CliContext, words: readonly string[], options: Options): Promise<void> {
  if (options.ask === true && context.environment.isTty !== true) {
    throw new GhostsnapError('CONFIRMATION_NEEDED', '--ask needs a terminal to ask on.', {
      hint: 'Leave --ask out, or use --rollback-on-failure.',
    });
  }
  const id = await snapshotBefore(context, words, options);
  const status = await runChild({ command: words, env: context.environment.env });
  context.exitCode = status;
  if (status === 127) context.output.warn(`${words[0]} was not found.`);
  if (status === 126) context.output.warn(`${words[0]} could not be executed.`);
  await withWorkspace(context, options, async (workspace, signal) => {
    const stats = await changesSince(context, workspace, { id, signal });
    const wanted = await whatToDo(context, options, { id, status, stats });
    if (wanted === 'rollback') await rollBack(context, workspace, { id, signal });
  });
}

async function snapshotBefore(
  context: CliContext,
  words: readonly string[],
  options: Options,
): Promise<SnapshotId> {
  const { output } = context;
  return await withWorkspace(context, options, async (workspace, signal) => {
    using bar = progressBar(output, 'Snapshot');
    const labels = labelsOf(context, options);
    const taken = await workspace.snapshot({
      ...labels,
      tool: labels.tool ?? `run ${words[0] ?? ''}`.slice(0, 80),
      onProgress: bar.onProgress,
      signal,
    });
    warnUncovered(output, taken.uncovered);
    return taken.id;
  });
}

/** null: the command has taken the whole directory away, and there is nothing to compare with. */
async function changesSince(
  context: CliContext,
  workspace: Workspace,
  since: { readonly id: SnapshotId; readonly signal: AbortSignal },
): Promise<ChangeStats | null> {
  try {
    return await showChanges(context, workspace, since);
  } catch (error) {
    if (!(error instanceof GhostsnapError) || error.code !== 'WORKSPACE_GONE') throw error;
    context.output.warn(error.message);
    return null;
  }
}

async function showChanges(
  context: CliContext,
  workspace: Workspace,
  since: { readonly id: SnapshotId; readonly signal: AbortSignal },
): Promise<ChangeStats> {
  const { output } = context;
  const { id, signal } = since;
  const counter = createChangeCounter();
  let shown = 0;
  const changes = workspace.diff(id, 'live', { mtimes: false, signal });
  for await (const change of withRenames(changes, { workspace, from: id, to: 'live' })) {
    counter.count(change);
    shown += 1;
    if (shown <= LINES_SHOWN_MAX) output.note(statLine(change, output.noteColors));
  }
  if (shown > LINES_SHOWN_MAX) output.note(`and ${shown - LINES_SHOWN_MAX} more`);
  const stats = counter.stats();
  output.note(`${summaryLine(stats)}  ${output.noteColors.dim(`since ${id}`)}`);
  return stats;
}

type Wanted = 'keep' | 'rollback';

async function whatToDo(
  context: CliContext,
  options: Options,
  ended: { readonly id: SnapshotId; readonly status: number; readonly stats: ChangeStats | null },
): Promise<Wanted> {
  const isFailed = ended.status !== 0;
  const isUnchanged =
    ended.stats !== null && Object.values(ended.stats).every((count) => count === 0);
  if (isUnchanged) return 'keep';
  if (isFailed && options.rollbackOnFailure === true) return 'rollback';
  if (options.ask === true) {
    return await askChoice<Wanted>({
      question: isFailed ? `It failed with ${ended.status}. What now?` : 'What now?',
      choices: [
        { value: 'keep', label: 'Keep what it did' },
        { value: 'rollback', label: `Roll back to ${ended.id}` },
      ],
      fallback: 'keep',
    });
  }
  if (isFailed || ended.stats === null) {
    context.output.note(`Take it back with "ghostsnap rollback ${ended.id}".`);
  }
  return 'keep';
}

async function rollBack(
  context: CliContext,
  workspace: Workspace,
  to: { readonly id: SnapshotId; readonly signal: AbortSignal },
): Promise<void> {
  const { output } = context;
  using bar = progressBar(output, 'Rolling back');
  const { signal } = to;
  const result = await workspace.rollback(to.id, { signal, onProgress: bar.onProgress });
  output.note(`Rolled back to ${to.id}; "ghostsnap undo" brings back what the command did.`);
  warnNotes(output, result.notes);
}
