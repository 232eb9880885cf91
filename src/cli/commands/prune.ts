/** `ghostsnap prune [SPEC...]`: deletes snapshots by the retention rules, or named ones. */
import type { Command } from 'commander';
import type { PruneResult } from '../../engine/results.ts';
import {
  type CliContext,
  type CommandModule,
  targetOptions,
  type WorkspaceOptions,
  withTarget,
} from '../cli-context.ts';
import { formatDuration, roundedMs } from '../human-units.ts';
import type { Output } from '../output.ts';

interface Options extends WorkspaceOptions {
  readonly dryRun?: true;
}

const EXAMPLES = `
Without names the retention rules decide. Pinned snapshots, and those that the
last rollbacks need to be undone, are never dropped by a rule.

Examples:
  $ ghostsnap prune --dry-run
  $ ghostsnap prune
  $ ghostsnap prune @~7 "old experiment"`;

export const command: CommandModule = {
  register(program, context) {
    targetOptions(program)
      .argument('[spec...]', 'delete exactly these snapshots')
      .option('--dry-run', 'print each snapshot with the rule that keeps or drops it')
      .addHelpText('after', EXAMPLES)
      .action((specs: string[], _: Options, self: Command) =>
        prune(context, specs, self.optsWithGlobals<Options>()),
      );
  },
};

async function prune(
  context: CliContext,
  specs: readonly string[],
  options: Options,
): Promise<void> {
  const { output } = context;
  const isDry = options.dryRun === true;
  const readOnly = isDry ? 'yes' : 'no';
  await withTarget(context, { ...options, readOnly }, async (workspace, signal) => {
    const result = await workspace.prune({
      apply: !isDry,
      signal,
      ...(specs.length === 0 ? {} : { specs }),
    });
    if (options.json === true) {
      output.json({ ...result, durationMs: roundedMs(result.durationMs), dryRun: isDry });
    } else printDecisions(output, result, isDry ? 'plan' : 'done');
  });
}

function printDecisions(output: Output, result: PruneResult, act: 'plan' | 'done'): void {
  const { decisions, deleted, durationMs } = result;
  const { green, red } = output.colors;
  for (const { id, keep, rule } of decisions) {
    output.line(`${keep ? green('keep') : red('drop')}  ${id}  ${rule}`);
  }
  const dropped = decisions.filter((decision) => !decision.keep).length;
  if (act === 'plan') output.note(`Would delete ${dropped} of ${decisions.length}.`);
  else output.note(`Deleted ${deleted.length} in ${formatDuration(durationMs)}.`);
}
