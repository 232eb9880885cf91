/** `ghostsnap rollback SPEC`: turns the whole workspace back. */
import { type Command, Option } from 'commander';
import {
  type CliContext,
  type CommandModule,
  type CommandTarget,
  targetOptions,
  type WorkspaceOptions,
  withTarget,
} from '../cli-context.ts';
import { noteIfLeftBehind } from '../left-behind.ts';
import { progressBar } from '../progress-bar.ts';
import { printPlan, printTurn } from '../turn-output.ts';

interface Options extends WorkspaceOptions {
  readonly mode: 'auto' | 'in-place' | 'swap';
  readonly dryRun?: true;
}

const EXAMPLES = `
A snapshot of the present state is taken first, so that "ghostsnap undo" takes
the rollback back. In place keeps the inodes of what did not change, so that
shells and watchers inside stay valid; a swap exchanges the whole tree at once.

Examples:
  $ ghostsnap rollback @ --dry-run
  $ ghostsnap rollback @~2
  $ ghostsnap rollback "tests green" --mode in-place`;

export const command: CommandModule = {
  register(program, context) {
    const mode = new Option('--mode <mode>', 'say how the tree is turned')
      .choices(['auto', 'in-place', 'swap'])
      .default('auto');
    targetOptions(program)
      .argument('[spec]', 'snapshot: id, beginning of an id, label, "@" or "@~N"; asks without')
      .addOption(mode)
      .option('--dry-run', 'print what would happen and change nothing')
      .addHelpText('after', EXAMPLES)
      .action((spec: string | undefined, _: Options, self: Command) =>
        rollback(context, spec, self.optsWithGlobals<Options>()),
      );
  },
};

async function rollback(
  context: CliContext,
  named: string | undefined,
  options: Options,
): Promise<void> {
  const { output } = context;
  const format = options.json === true ? 'json' : 'text';
  const { mode } = options;
  await withTarget(context, options, async (workspace, signal) => {
    const spec = named ?? (await pick(context, workspace));
    if (options.dryRun === true) {
      await printPlan(output, await workspace.planRollback(spec, { mode, signal }), format);
      return;
    }
    using bar = progressBar(output, 'Rolling back');
    const { onProgress } = bar;
    printTurn(output, await workspace.rollback(spec, { mode, signal, onProgress }), format);
    noteIfLeftBehind(context);
  });
}

/** Loaded on use: a rollback to a named snapshot asks nobody. */
async function pick(context: CliContext, workspace: CommandTarget): Promise<string> {
  const { pickSnapshot } = await import('../pick-snapshot.ts');
  return await pickSnapshot(context, workspace);
}
