/** `ghostsnap undo-call CALL`: takes one tool call back and keeps what came later. */
import type { Command } from 'commander';
import type { UndoCallPlan } from '../../engine/workspace-api.ts';
import {
  type CliContext,
  type CommandModule,
  targetOptions,
  type WorkspaceOptions,
  withTarget,
} from '../cli-context.ts';
import { roundedMs } from '../human-units.ts';
import type { Output } from '../output.ts';
import { printableLine } from '../printable-text.ts';
import { progressBar } from '../progress-bar.ts';
import { resolveCall } from '../resolve-call.ts';
import { printTurn } from '../turn-output.ts';

interface Options extends WorkspaceOptions {
  readonly dryRun?: true;
  readonly partial?: true;
}

const EXAMPLES = `
Path by path: what only the call changed comes back, what changed later stays, and
lines of a file that both changed in different places are merged. Where both changed
the same, it is a conflict, and nothing is written. "ghostsnap undo" takes it back.

Examples:
  $ ghostsnap undo-call @ --dry-run
  $ ghostsnap undo-call call_01J9Z3K4M5N6P7Q8R9S0T1V2W3
  $ ghostsnap undo-call toolu_01AbC --partial`;

export const command: CommandModule = {
  register(program, context) {
    targetOptions(program)
      .argument('<call>', 'id of the call, the beginning of one, the agent\'s own id, or "@"')
      .option('--dry-run', 'print what would happen and change nothing')
      .option('--partial', 'take back what has no conflict and leave the rest')
      .addHelpText('after', EXAMPLES)
      .action((call: string, _: Options, self: Command) =>
        undoCall(context, call, self.optsWithGlobals<Options>()),
      );
  },
};

async function undoCall(context: CliContext, spec: string, options: Options): Promise<void> {
  const { output } = context;
  await withTarget(context, options, async (workspace, signal) => {
    const { call } = await resolveCall(workspace, spec);
    if (options.dryRun === true) {
      const plan = await workspace.planUndoCall(call, { signal });
      if (options.json === true) output.json({ ...plan, dryRun: true });
      else printPlan(output, plan);
      return;
    }
    using bar = progressBar(output, 'Taking back');
    const { onProgress } = bar;
    const conflicts = options.partial === true ? 'partial' : 'refuse';
    const result = await workspace.undoCall(call, { signal, onProgress, conflicts });
    if (options.json === true) {
      output.json({ ...result, durationMs: roundedMs(result.durationMs) });
      return;
    }
    printTurn(output, result, 'text');
    printConflicts(output, result.conflicts);
  });
}

const WORDS: Readonly<Record<UndoCallPlan['steps'][number]['action'], string>> = {
  remove: 'remove',
  restore: 'restore',
  attributes: 'set',
  merge: 'merge',
  keep: 'keep',
};

function printPlan(output: Output, plan: UndoCallPlan): void {
  const { colors } = output;
  for (const { path, action, why } of plan.steps) {
    const reason = why === undefined ? '' : `  ${colors.dim(why)}`;
    output.line(`${WORDS[action].padEnd(9)} ${path}${reason}`);
  }
  for (const { path, reason } of plan.conflicts) {
    output.line(`${colors.red('conflict'.padEnd(9))} ${path}  ${colors.dim(reason)}`);
  }
  if (plan.steps.length + plan.conflicts.length === 0) output.note('The call changed nothing.');
  if (plan.overlaps.length > 0) {
    output.warn(`other calls ran at the same time: ${plan.overlaps.join(', ')}`);
  }
}

function printConflicts(output: Output, conflicts: UndoCallPlan['conflicts']): void {
  if (conflicts.length === 0) return;
  output.warn(`${conflicts.length} stay as they are:`);
  for (const { path, reason } of conflicts) {
    output.note(`  ${printableLine(path)}  (${reason})`);
  }
}
