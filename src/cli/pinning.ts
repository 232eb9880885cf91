/**
 * Pin and unpin. A pin keeps a snapshot whatever the retention rules say; every named snapshot is
 * resolved before the first one is changed, so that a mistyped name changes nothing.
 */
import type { Command } from 'commander';
import {
  type CliContext,
  jsonOption,
  type WorkspaceOptions,
  withWorkspace,
  workspaceOption,
} from './cli-context.ts';

export function registerPinning(
  program: Command,
  context: CliContext,
  verb: 'pin' | 'unpin',
): void {
  workspaceOption(jsonOption(program))
    .argument('<spec...>', 'snapshots: id, beginning of an id, label, "@" or "@~N"')
    .addHelpText(
      'after',
      `\nExamples:\n  $ ghostsnap ${verb} @\n  $ ghostsnap ${verb} "tests green"`,
    )
    .action((specs: string[], _: WorkspaceOptions, self: Command) =>
      pinAll(context, { specs, verb }, self.optsWithGlobals<WorkspaceOptions>()),
    );
}

async function pinAll(
  context: CliContext,
  request: { readonly specs: readonly string[]; readonly verb: 'pin' | 'unpin' },
  options: WorkspaceOptions,
): Promise<void> {
  const { output } = context;
  await withWorkspace(context, options, async (workspace) => {
    const ids = request.specs.map((spec) => workspace.resolve(spec));
    const snapshots = ids.map((id) =>
      request.verb === 'pin' ? workspace.pin(id) : workspace.unpin(id),
    );
    if (options.json === true) output.json(snapshots);
    else for (const { id } of snapshots) output.line(`${request.verb}ned ${id}`);
  });
}
