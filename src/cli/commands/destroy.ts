/** `ghostsnap destroy`: a plain directory remains, every snapshot goes. */
import type { Command } from 'commander';
import {
  type CliContext,
  type CommandModule,
  jsonOption,
  type WorkspaceOptions,
  withWorkspace,
  workspaceOption,
} from '../cli-context.ts';
import { confirmOrThrow } from '../confirm.ts';
import { counted } from '../human-units.ts';
import { noteIfLeftBehind } from '../left-behind.ts';
import { progressBar } from '../progress-bar.ts';

interface Options extends WorkspaceOptions {
  readonly yes?: true;
}

const EXAMPLES = `
The directory stays with the contents it has now; its snapshots are deleted and
cannot be brought back.

Example:
  $ ghostsnap destroy --yes`;

export const command: CommandModule = {
  register(program, context) {
    workspaceOption(jsonOption(program))
      .option('--yes', 'do not ask')
      .addHelpText('after', EXAMPLES)
      .action((_: Options, self: Command) => destroy(context, self.optsWithGlobals<Options>()));
  },
};

async function destroy(context: CliContext, options: Options): Promise<void> {
  const { output } = context;
  await withWorkspace(context, options, async (workspace, signal) => {
    const { path } = workspace.info;
    if (options.yes !== true) {
      const { snapshots } = await workspace.status();
      const all = snapshots === 1 ? 'the only snapshot' : `all ${snapshots} snapshots`;
      await confirmOrThrow(context, {
        question: `Delete ${all} of ${path}? Its contents stay.`,
        what: `Destroying the workspace ${path}`,
      });
    }
    using bar = progressBar(output, 'Turning back');
    const result = await workspace.destroy({ onProgress: bar.onProgress, signal });
    if (options.json === true) output.json(result);
    else {
      const { removedSnapshots } = result;
      output.line(`${result.path} is a plain directory again`);
      output.line(`  ${counted(removedSnapshots, 'snapshot')} deleted`);
    }
    noteIfLeftBehind(context);
  });
}
