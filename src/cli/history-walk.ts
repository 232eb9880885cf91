/**
 * Undo and redo: the two directions along the list of states. They differ in nothing but the
 * direction.
 */
import type { Command } from 'commander';
import type { RollbackRequest, TurnResult } from '../engine/results.ts';
import {
  type CliContext,
  type CommandTarget,
  targetOptions,
  type WorkspaceOptions,
  withTarget,
} from './cli-context.ts';
import { noteIfLeftBehind } from './left-behind.ts';
import { progressBar } from './progress-bar.ts';
import { printPlan, printTurn } from './turn-output.ts';

const HELP: Readonly<Record<'undo' | 'redo', string>> = {
  undo: `
States are the snapshots and what every rollback left. Undo walks back through
them, rollbacks included; redo walks forward until something new happens. On a
terminal you choose the state, the one before first; --yes takes that one unasked,
as it is done where there is no terminal.

Examples:
  $ ghostsnap rollback @ && ghostsnap undo
  $ ghostsnap undo --yes`,
  redo: `
Possible until something new happens after the undo.

Example:
  $ ghostsnap undo && ghostsnap redo`,
};

export function registerWalk(
  program: Command,
  context: CliContext,
  direction: 'undo' | 'redo',
): void {
  if (direction === 'undo') program.option('--yes', 'go one state back and do not ask');
  targetOptions(program)
    .option('--dry-run', 'print what would happen and change nothing')
    .addHelpText('after', HELP[direction])
    .action((_: Options, self: Command) =>
      walk(context, direction, self.optsWithGlobals<Options>()),
    );
}

interface Options extends WorkspaceOptions {
  readonly dryRun?: true;
  readonly yes?: true;
}

async function walk(
  context: CliContext,
  direction: 'undo' | 'redo',
  options: Options,
): Promise<void> {
  const { output } = context;
  const format = options.json === true ? 'json' : 'text';
  await withTarget(context, options, async (workspace, signal) => {
    if (options.dryRun === true) {
      await printPlan(output, await workspace.planWalk(direction, { signal }), format);
      return;
    }
    const isAsked = direction === 'undo' && options.yes !== true && format === 'text';
    const chosen =
      isAsked && context.environment.isTty === true ? await pick(context, workspace, signal) : null;
    using bar = progressBar(output, direction === 'undo' ? 'Undoing' : 'Redoing');
    const request = { signal, onProgress: bar.onProgress };
    printTurn(output, await turn(workspace, { direction, chosen, request }), format);
    noteIfLeftBehind(context);
  });
}

function turn(
  workspace: CommandTarget,
  to: {
    readonly direction: 'undo' | 'redo';
    readonly chosen: string | null;
    readonly request: RollbackRequest;
  },
): Promise<TurnResult> {
  const { direction, chosen, request } = to;
  if (direction === 'redo') return workspace.redo(request);
  return chosen === null ? workspace.undo(request) : workspace.rollback(chosen, request);
}

/** null: the state that undo goes to by itself. Loaded on use: most undos ask nobody. */
async function pick(
  context: CliContext,
  workspace: CommandTarget,
  signal: AbortSignal,
): Promise<string | null> {
  const { target } = await workspace.planWalk('undo', { signal });
  const { pickSnapshot } = await import('./pick-snapshot.ts');
  const chosen = await pickSnapshot(context, workspace, target);
  return chosen === target ? null : chosen;
}
