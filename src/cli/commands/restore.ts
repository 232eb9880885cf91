/** `ghostsnap restore SPEC PATH...`: brings single paths back, in place or somewhere else. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { GhostsnapError } from '../../core/errors.ts';
import {
  type CliContext,
  type CommandModule,
  type CommandTarget,
  isRemote,
  targetOptions,
  typedPaths,
  type WorkspaceOptions,
  withTarget,
} from '../cli-context.ts';
import { progressBar } from '../progress-bar.ts';
import { printPlan, printTurn, warnNotes } from '../turn-output.ts';

interface Options extends WorkspaceOptions {
  readonly to?: string;
  readonly dryRun?: true;
}

const EXAMPLES = `
Paths are relative to the current directory when it is inside the workspace,
else to the workspace. A directory comes back with everything in it, and what
was added below it since goes. Write a byte that is not UTF-8 as \\xHH and a
backslash as \\\\, the way "ghostsnap diff" prints them.

Examples:
  $ ghostsnap restore @ src/main.ts
  $ ghostsnap restore @~3 src docs --dry-run
  $ ghostsnap restore "tests green" package.json --to /tmp/old`;

export const command: CommandModule = {
  register(program, context) {
    targetOptions(program)
      .argument('<spec>', 'snapshot: id, beginning of an id, label, "@" or "@~N"')
      .argument('<path...>', 'files and directories to bring back')
      .option('--to <dir>', 'write them under DIR and leave the workspace alone')
      .option('--dry-run', 'print what would happen and change nothing')
      .addHelpText('after', EXAMPLES)
      .action((spec: string, paths: string[], _: Options, self: Command) =>
        restore(context, { spec, paths }, self.optsWithGlobals<Options>()),
      );
  },
};

interface Named {
  readonly spec: string;
  readonly paths: readonly string[];
}

async function restore(context: CliContext, named: Named, options: Options): Promise<void> {
  const { output } = context;
  const format = options.json === true ? 'json' : 'text';
  await withTarget(context, options, async (workspace, signal) => {
    const paths = typedPaths(context, workspace, named.paths);
    if (options.dryRun === true) {
      const plan = await workspace.planRestore(named.spec, paths, { signal });
      await printPlan(output, plan, format);
    } else if (options.to !== undefined) {
      await extract(context, workspace, { ...named, paths, to: options.to, format, signal });
    } else {
      using bar = progressBar(output, 'Restoring');
      const { onProgress } = bar;
      const result = await workspace.restore(named.spec, paths, { signal, onProgress });
      printTurn(output, result, format);
    }
  });
}

async function extract(
  context: CliContext,
  workspace: CommandTarget,
  request: Named & {
    readonly to: string;
    readonly format: 'text' | 'json';
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const { output, environment } = context;
  const directory = resolve(environment.cwd, request.to);
  if (isRemote(workspace)) {
    throw new GhostsnapError('BAD_ARGUMENT', 'A service gives no whole trees: --to.', {
      hint: 'Restore in place, run it on the host of the service, or read single files by its API.',
    });
  }
  const target = workspace.resolve(request.spec);
  using bar = progressBar(output, 'Writing');
  const { changes, notes } = await workspace.extract(target, request.paths, directory, {
    ...{ signal: request.signal, onProgress: bar.onProgress },
  });
  if (request.format === 'json') output.json({ target, directory, changes, notes });
  else {
    output.line(`Wrote ${changes} ${changes === 1 ? 'path' : 'paths'} to ${directory}`);
    warnNotes(output, notes);
  }
}
