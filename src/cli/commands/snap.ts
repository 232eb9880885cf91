/**
 * `ghostsnap snap`: takes a snapshot and prints its id, alone.
 *
 * This runs before every tool call of an agent: whatever it imports is paid there each time.
 */
import type { Command } from 'commander';
import type { SnapshotRequest } from '../../engine/results.ts';
import {
  type CliContext,
  type CommandModule,
  targetOptions,
  type WorkspaceOptions,
  withTarget,
} from '../cli-context.ts';
import { roundedMs } from '../human-units.ts';
import { progressBar } from '../progress-bar.ts';
import { uncoveredJson, warnUncovered } from '../uncovered-notes.ts';

interface Options extends WorkspaceOptions {
  readonly label?: string;
  readonly tool?: string;
  readonly session?: string;
  readonly call?: string;
  readonly pin?: true;
}

const EXAMPLES = `
--tool, --session and --call are also read from GHOSTSNAP_TOOL,
GHOSTSNAP_SESSION and GHOSTSNAP_CALL.

Examples:
  $ ghostsnap snap
  $ ghostsnap snap -l "tests green" --pin
  $ id=$(ghostsnap snap) && make upgrade || ghostsnap rollback "$id"`;

export const command: CommandModule = {
  register(program, context) {
    targetOptions(program)
      .option('-l, --label <text>', 'name the snapshot')
      .option('--tool <name>', 'say which tool is about to run')
      .option('--session <id>', 'say which session of an agent this belongs to')
      .option('--call <id>', 'say which tool call this belongs to')
      .option('--pin', 'keep it whatever the retention rules say')
      .addHelpText('after', EXAMPLES)
      .action((_: Options, self: Command) => snap(context, self.optsWithGlobals<Options>()));
  },
};

async function snap(context: CliContext, options: Options): Promise<void> {
  const { output } = context;
  await withTarget(context, options, async (workspace, signal) => {
    using bar = progressBar(output, 'Snapshot');
    const result = await workspace.snapshot({
      ...labelsOf(context, options),
      onProgress: bar.onProgress,
      signal,
    });
    if (options.pin === true) await workspace.pin(result.id);
    warnUncovered(output, result.uncovered);
    if (options.json !== true) {
      output.line(result.id);
      return;
    }
    const { id, createdAt } = result;
    const durationMs = roundedMs(result.durationMs);
    const uncovered = uncoveredJson(result.uncovered);
    output.json({ id, workspace: result.workspace, createdAt, durationMs, uncovered });
  });
}

/** What the options say, else the environment of an agent's hook. */
export function labelsOf(
  context: CliContext,
  options: Pick<Options, 'label' | 'tool' | 'session' | 'call'>,
): SnapshotRequest {
  const { env } = context.environment;
  return {
    label: options.label ?? null,
    tool: options.tool ?? (env.GHOSTSNAP_TOOL || null),
    session: options.session ?? (env.GHOSTSNAP_SESSION || null),
    call: options.call ?? (env.GHOSTSNAP_CALL || null),
  };
}
