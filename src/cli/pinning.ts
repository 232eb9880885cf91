/**
 * Pin and unpin. A pin keeps a snapshot whatever the retention rules say; every named snapshot is
 * resolved before the first one is changed, so that a mistyped name changes nothing.
 */
import type { Command } from 'commander';
import type { SnapshotId } from '../core/ids.ts';
import type { SnapshotInfo } from '../engine/results.ts';
import {
  type CliContext,
  targetOptions,
  type WorkspaceOptions,
  withTarget,
} from './cli-context.ts';

export function registerPinning(
  program: Command,
  context: CliContext,
  verb: 'pin' | 'unpin',
): void {
  targetOptions(program)
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
  await withTarget(context, options, async (workspace) => {
    const ids: SnapshotId[] = [];
    for (const spec of request.specs) ids.push(await workspace.resolve(spec));
    const snapshots: SnapshotInfo[] = [];
    for (const id of ids) {
      const { verb } = request;
      snapshots.push(await (verb === 'pin' ? workspace.pin(id) : workspace.unpin(id)));
    }
    if (options.json === true) output.json(snapshots);
    else for (const { id } of snapshots) output.line(`${request.verb}ned ${id}`);
  });
}
