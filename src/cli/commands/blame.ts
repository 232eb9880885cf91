/** `ghostsnap blame PATH`: who last wrote each line. */
import type { Command } from 'commander';
import type { Blame, BlameOrigin } from '../../engine/workspace-api.ts';
import {
  type CliContext,
  type CommandModule,
  jsonOption,
  typedPaths,
  type WorkspaceOptions,
  withWorkspace,
  workspaceOption,
} from '../cli-context.ts';
import { formatAge } from '../human-units.ts';
import type { Output } from '../output.ts';
import { printableLine } from '../printable-text.ts';

const EXAMPLES = `
Each line with the tool call that last wrote it, from the snapshots that are kept;
a line that the oldest of them has already is marked as older. Files that were moved
are followed. Without recorded calls the snapshot's label or tool is named.

Examples:
  $ ghostsnap blame src/main.ts
  $ ghostsnap blame src/main.ts --json`;

export const command: CommandModule = {
  register(program, context) {
    workspaceOption(jsonOption(program))
      .argument('<path>', 'a file of text, as it is now')
      .addHelpText('after', EXAMPLES)
      .action((path: string, _: WorkspaceOptions, self: Command) =>
        blame(context, path, self.optsWithGlobals<WorkspaceOptions>()),
      );
  },
};

async function blame(context: CliContext, path: string, options: WorkspaceOptions): Promise<void> {
  await withWorkspace(context, { ...options, readOnly: 'yes' }, async (workspace, signal) => {
    const [typed = path] = typedPaths(context, workspace, [path]);
    const result = await workspace.blame(typed, { signal });
    if (options.json === true) context.output.json(result);
    else printBlame(context.output, result);
  });
}

const WHO_COLUMNS = 44;
const PROMPT_COLUMNS = 72;

function printBlame(output: Output, { origins, lines }: Blame): void {
  const { colors } = output;
  const nowMs = Date.now();
  const width = String(lines.length).length;
  for (const { number, text, origin } of lines) {
    const from = origin === null ? undefined : origins[origin];
    const who = from === undefined ? 'older than the oldest snapshot' : whoWrote(from);
    const age = from === undefined ? '' : formatAge(from.at, nowMs);
    const left = `${cutTo(who, WHO_COLUMNS).padEnd(WHO_COLUMNS)}  ${age.padEnd(12)}`;
    const shown = text.split('\t').map(printableLine).join('\t');
    output.line(`${colors.dim(left)} ${String(number).padStart(width)}) ${shown}`);
  }
  for (const origin of origins) {
    if (origin.call === null || origin.prompt === null) continue;
    const asked = cutTo(printableLine(origin.prompt), PROMPT_COLUMNS);
    output.note(`${origin.call}  ${printableLine(origin.session ?? '')}  > ${asked}`);
  }
}

function whoWrote({ call, tool, label, snapshot, overlaps }: BlameOrigin): string {
  const what = tool ?? label;
  const name = what === null ? '' : ` ${printableLine(what)}`;
  const others = overlaps.length === 0 ? '' : ' (or a call beside it)';
  return `${call ?? snapshot}${name}${others}`;
}

function cutTo(text: string, columns: number): string {
  return text.length <= columns ? text : `${text.slice(0, columns - 1)}…`;
}
