/**
 * Undo and redo: the two directions along the list of states. They differ in nothing but the
 * direction.
 */
import type { Command } from 'commander';
import {
  type CliContext,
  jsonOption,
  type WorkspaceOptions,
  withWorkspace,
  workspaceOption,
} from './cli-context.ts';
import { noteIfLeftBehind } from './left-behind.ts';
import { progressBar } from './progress-bar.ts';
import { printPlan, printTurn } from './turn-output.ts';

const HELP: Readonly<Record<'undo' | 'redo', string>> = {
  undo: `
States are the snapshots and what every rollback left. Undo walks back through
them, rollbacks included; redo walks forward until something new happens.

Example:
  $ ghostsnap rollback @ && ghostsnap undo`,
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
  workspaceOption(jsonOption(program))
    .option('--dry-run', 'print what would happen and change nothing')
    .addHelpText('after', HELP[direction])
    .action((_: Options, self: Command) =>
      walk(context, direction, self.optsWithGlobals<Options>()),
    );
}

interface Options extends WorkspaceOptions {
  readonly dryRun?: true;
}

async function walk(
  context: CliContext,
  direction: 'undo' | 'redo',
  options: Options,
): Promise<void> {
  const { output } = context;
  const format = options.json === true ? 'json' : 'text';
  await withWorkspace(context, options, async (workspace, signal) => {
    if (options.dryRun === true) {
      await printPlan(output, await workspace.planWalk(direction, { signal }), format);
      return;
    }
    using bar = progressBar(output, direction === 'undo' ? 'Undoing' : 'Redoing');
    const request = { signal, onProgress: bar.onProgress };
    const result =
      direction === 'undo' ? await workspace.undo(request) : await workspace.redo(request);
    printTurn(output, result, format);
    noteIfLeftBehind(context);
  });
}
