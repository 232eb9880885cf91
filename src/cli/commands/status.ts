/** `ghostsnap status`: the workspace, its pool, and what is not covered. */
import type { Command } from 'commander';
import type { WorkspaceStatus } from '../../engine/workspace-api.ts';
import {
  askedServer,
  type CliContext,
  type CommandModule,
  targetOptions,
  type WorkspaceOptions,
  withTarget,
} from '../cli-context.ts';
import { formatAge, formatBytes } from '../human-units.ts';
import type { Output } from '../output.ts';
import { uncoveredJson, warnUncovered } from '../uncovered-notes.ts';

const EXAMPLES = `
With --server and without -w, list the workspaces of the service.

Examples:
  $ ghostsnap status --json
  $ ghostsnap status --server https://host-7.example:7443`;

export const command: CommandModule = {
  register(program, context) {
    targetOptions(program)
      .addHelpText('after', EXAMPLES)
      .action((_: WorkspaceOptions, self: Command) =>
        status(context, self.optsWithGlobals<WorkspaceOptions>()),
      );
  },
};

async function status(context: CliContext, options: WorkspaceOptions): Promise<void> {
  const server = askedServer(context, options);
  if (server !== null && options.workspace === undefined) {
    const { printWorkspaces } = await import('../remote/print-workspaces.ts');
    await printWorkspaces(context, { ...options, server });
    return;
  }
  await withTarget(context, { ...options, readOnly: 'yes' }, async (workspace) => {
    const result = await workspace.status();
    if (options.json === true) {
      context.output.json({ ...result, uncovered: uncoveredJson(result.uncovered) });
      return;
    }
    printStatus(context.output, result);
    if (result.snapshots === 0) {
      context.output.warn('There is no state to go back to: take one with "ghostsnap snap".');
    }
    warnUncovered(context.output, result.uncovered);
  });
}

function printStatus(output: Output, status: WorkspaceStatus): void {
  const { newest, pinned } = status;
  const age = newest === null ? '' : `, newest ${formatAge(newest.createdAt, Date.now())}`;
  const free = `${formatBytes(status.poolFreeBytes)} of ${formatBytes(status.poolTotalBytes)} free`;
  const ways = [status.canUndo ? 'undo' : null, status.canRedo ? 'redo' : null].filter(
    (way) => way !== null,
  );
  output.line(`Workspace  ${status.workspace}`);
  output.line(`Path       ${status.path}`);
  output.line(`Backend    ${status.backend}`);
  output.line(`Pool       ${status.pool} at ${status.poolRoot}, ${free}`);
  output.line(`Snapshots  ${status.snapshots}, ${pinned} pinned${age}`);
  output.line(`Possible   ${ways.length === 0 ? 'no undo, no redo' : ways.join(', ')}`);
}
