/** `ghostsnap init [DIR]`: makes a directory a workspace. */
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import {
  type CliContext,
  type CommandModule,
  jsonOption,
  type WorkspaceOptions,
  workspaceOption,
} from '../cli-context.ts';
import { abortReason, catchInterrupt } from '../interrupt.ts';
import { noteIfLeftBehind } from '../left-behind.ts';
import { namedDirectory } from '../named-places.ts';
import { progressBar } from '../progress-bar.ts';
import { uncoveredJson, warnUncovered } from '../uncovered-notes.ts';

interface Options extends WorkspaceOptions {
  readonly pool?: string;
  readonly backend: 'auto' | 'btrfs' | 'store';
  readonly force?: true;
}

const EXAMPLES = `
The directory stays where it is with everything in it. On btrfs it becomes a
subvolume; on any other filesystem a store keeps the snapshots, unless --pool
moves it into a pool.

Examples:
  $ ghostsnap init
  $ ghostsnap init ~/project --backend store
  $ ghostsnap init ~/project --pool fast`;

export const command: CommandModule = {
  register(program, context) {
    const backend = new Option('--backend <kind>', 'say how snapshots are kept')
      .choices(['auto', 'btrfs', 'store'])
      .default('auto');
    workspaceOption(jsonOption(program))
      .argument('[dir]', 'directory to protect; the current one by default')
      .option('--pool <name>', 'use this pool: a name, or a directory with a slash in it')
      .addOption(backend)
      .option('--force', 'also where it is dangerous: /, $HOME, system directories')
      .addHelpText('after', EXAMPLES)
      .action((dir: string | undefined, _: Options, self: Command) =>
        init(context, dir, self.optsWithGlobals<Options>()),
      );
  },
};

async function init(context: CliContext, dir: string | undefined, options: Options): Promise<void> {
  const { output, environment } = context;
  const { initWorkspace } = await context.composition();
  using interrupt = catchInterrupt(output);
  using bar = progressBar(output, 'Preparing');
  const report = await initWorkspace({
    path: resolve(environment.cwd, namedDirectory(dir) ?? options.workspace ?? '.'),
    backend: options.backend,
    force: options.force === true ? 'yes' : 'no',
    environment,
    onProgress: bar.onProgress,
    signal: interrupt.signal,
    ...(options.pool === undefined ? {} : { pool: options.pool }),
  }).catch((error: unknown) => {
    throw abortReason(error, interrupt.signal);
  });
  const { workspace, path, backend, pool, uncovered, already, firstSnapshot } = report;
  if (options.json === true) {
    const fields = { workspace, path, backend, pool, already };
    output.json({ ...fields, uncovered: uncoveredJson(uncovered) });
  } else {
    output.line(`${already ? 'Already a workspace' : 'Workspace'} ${workspace}`);
    output.line(`  ${path}`);
    output.line(`  backend ${backend}, pool ${pool}`);
    if (firstSnapshot === 'taken') {
      output.note('Its present state is kept; take a snapshot with "ghostsnap snap".');
    }
  }
  noteIfLeftBehind(context);
  warnUncovered(output, uncovered);
}
