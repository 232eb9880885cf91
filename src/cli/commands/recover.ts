/** `ghostsnap recover`: the disk is the truth; the list of snapshots is made to agree with it. */
import type { Command } from 'commander';
import {
  type CliContext,
  type CommandModule,
  jsonOption,
  RECOVERY_WORDS,
  summarizeList,
  type WorkspaceOptions,
  workspaceOption,
} from '../cli-context.ts';

const EXAMPLES = `
Finishes or takes back what a crash interrupted, adopts snapshots that the
catalog does not know, drops those that are gone. Every open does the same for
what it notices; this looks at everything, also when the catalog is broken.

Examples:
  $ ghostsnap recover
  $ ghostsnap recover -w ~/project --json`;

export const command: CommandModule = {
  register(program, context) {
    workspaceOption(jsonOption(program))
      .addHelpText('after', EXAMPLES)
      .action((_: WorkspaceOptions, self: Command) =>
        recover(context, self.optsWithGlobals<WorkspaceOptions>()),
      );
  },
};

async function recover(context: CliContext, options: WorkspaceOptions): Promise<void> {
  const { output, environment } = context;
  const { recoverWorkspace } = await context.composition();
  const report = await recoverWorkspace({
    environment,
    ...(options.workspace === undefined ? {} : { workspace: options.workspace }),
  });
  if (options.json === true) {
    output.json(report);
    return;
  }
  const lines = RECOVERY_WORDS.flatMap(([part, meaning]) => {
    const ids = report[part];
    return ids.length === 0 ? [] : [`${ids.length} ${meaning}: ${summarizeList(ids)}`];
  });
  for (const line of lines) output.line(line);
  if (lines.length === 0) output.line('Nothing to mend.');
}
