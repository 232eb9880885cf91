/** `ghostsnap show SPEC`: one snapshot, and what changed since the one before it. */
import type { Command } from 'commander';
import type { ChangeStats } from '../../core/tree-change.ts';
import type { SnapshotInfo } from '../../engine/results.ts';
import { summaryLine } from '../change-lines.ts';
import {
  type CliContext,
  type CommandModule,
  type CommandTarget,
  targetOptions,
  type WorkspaceOptions,
  withTarget,
} from '../cli-context.ts';
import { countChanges } from '../count-changes.ts';
import { formatAge } from '../human-units.ts';
import type { Output } from '../output.ts';
import { printableLine } from '../printable-text.ts';

interface Options extends WorkspaceOptions {
  readonly changes?: true;
}

const EXAMPLES = `
Examples:
  $ ghostsnap show @
  $ ghostsnap show "tests green" --changes`;

export const command: CommandModule = {
  register(program, context) {
    targetOptions(program)
      .argument('<spec>', 'snapshot: id, beginning of an id, label, "@" or "@~N"')
      .option('--changes', 'count what changed since the snapshot before it')
      .addHelpText('after', EXAMPLES)
      .action((spec: string, _: Options, self: Command) =>
        show(context, spec, self.optsWithGlobals<Options>()),
      );
  },
};

async function show(context: CliContext, spec: string, options: Options): Promise<void> {
  await withTarget(context, { ...options, readOnly: 'yes' }, async (workspace, signal) => {
    const snapshot = await workspace.show(spec);
    const changes =
      options.changes === true
        ? await changesSincePrevious(workspace, snapshot, signal)
        : undefined;
    if (options.json === true) {
      context.output.json({ ...snapshot, ...(changes === undefined ? {} : { changes }) });
    } else printSnapshot(context.output, snapshot, changes);
  });
}

/** null: it is the oldest one. */
async function changesSincePrevious(
  workspace: CommandTarget,
  snapshot: SnapshotInfo,
  signal: AbortSignal,
): Promise<ChangeStats | null> {
  const [before] = await workspace.list({ limit: 1, before: snapshot.id });
  if (before === undefined) return null;
  const changes = workspace.diff(before.id, snapshot.id, { mtimes: false, signal });
  return await countChanges(changes);
}

function printSnapshot(
  output: Output,
  snapshot: SnapshotInfo,
  changes: ChangeStats | null | undefined,
): void {
  const { id, createdAt, role, label, tool, session, call, pinned, parent } = snapshot;
  const optional = (name: string, value: string | null): void => {
    if (value !== null) output.line(`${name.padEnd(9)}${printableLine(value)}`);
  };
  output.line(output.colors.yellow(id));
  output.line(`Taken    ${createdAt} (${formatAge(createdAt, Date.now())})`);
  output.line(`Role     ${role}${pinned ? ', pinned' : ''}`);
  optional('Label', label);
  optional('Tool', tool);
  optional('Session', session);
  optional('Call', call);
  optional('Parent', parent);
  if (changes === null) output.line('Changes  it is the oldest snapshot');
  else if (changes !== undefined) output.line(`Changes  ${summaryLine(changes)}`);
}
