/** `ghostsnap recover`: the disk is the truth; the list of snapshots is made to agree with it. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { DamagedPath } from '../../backend/backend.ts';
import { ERROR_KINDS, GhostsnapError } from '../../core/errors.ts';
import { displayPath } from '../../core/raw-path.ts';
import {
  type CliContext,
  type CommandModule,
  jsonOption,
  RECOVERY_WORDS,
  summarizeList,
  type WorkspaceOptions,
  workspaceOption,
} from '../cli-context.ts';
import type { RecoverReport } from '../composition.ts';
import { confirmOrThrow } from '../confirm.ts';
import { counted } from '../human-units.ts';
import { abortReason, catchInterrupt } from '../interrupt.ts';
import type { Output } from '../output.ts';
import { progressBar } from '../progress-bar.ts';

const EXAMPLES = `
Finishes or takes back what a crash interrupted, adopts snapshots that the
catalog does not know, drops those that are gone. Every open does the same for
what it notices; this looks at everything, also when the catalog is broken.

Run where a workspace was moved to, it binds the workspace to its new path.
--verify reads all of it, which takes as long as reading does; btrfs keeps
checksums itself, which "btrfs scrub" proves.
--forget gives up the path of a workspace whose directory is gone for good.

Examples:
  $ ghostsnap recover
  $ mv ~/project ~/shop && ghostsnap recover -w ~/shop
  $ ghostsnap recover --verify
  $ ghostsnap recover --forget -w ~/old`;

interface Options extends WorkspaceOptions {
  readonly verify?: true;
  readonly forget?: true;
  readonly deleteSnapshots?: true;
  readonly yes?: true;
}

export const command: CommandModule = {
  register(program, context) {
    workspaceOption(jsonOption(program))
      .option('--verify', 'read and prove everything that the snapshots hold, too')
      .option('--forget', 'forget a workspace whose directory is gone; its snapshots stay')
      .option('--delete-snapshots', 'with --forget: delete its snapshots, too')
      .option('--yes', 'do not ask')
      .addHelpText('after', EXAMPLES)
      .action(async (_: Options, self: Command) => {
        const options = self.optsWithGlobals<Options>();
        if (options.forget === true) await forget(context, options);
        else await recover(context, options);
      });
  },
};

const REBUILT =
  'The tables of the catalog were wrong and are made again from its events; labels stay.';
const SET_ASIDE =
  'The catalog was damaged: a new one is filled from the disk, without labels and calls; the old one is ';

async function recover(context: CliContext, options: Options): Promise<void> {
  const { output } = context;
  if (options.deleteSnapshots === true) {
    throw new GhostsnapError('BAD_ARGUMENT', '--delete-snapshots goes with --forget.', {
      hint: 'Give both, or delete single snapshots with "ghostsnap prune".',
    });
  }
  const report = await askedRecovery(context, options);
  if (report.damaged !== null && report.damaged.length > 0) {
    context.exitCode = ERROR_KINDS.corrupt.exitCode;
  }
  if (options.json === true) {
    output.json({ ...report, damaged: report.damaged?.map(shown) ?? null });
    return;
  }
  const lines = RECOVERY_WORDS.flatMap(([part, meaning]) => {
    const ids = report[part];
    return ids.length === 0 ? [] : [`${ids.length} ${meaning}: ${summarizeList(ids)}`];
  });
  const { rebound, catalog } = report;
  if (catalog.outcome === 'rebuilt') lines.unshift(REBUILT);
  if (catalog.setAside !== null) lines.unshift(`${SET_ASIDE}${catalog.setAside}`);
  if (rebound !== null) lines.unshift(`The workspace ${rebound.from} is now at ${rebound.to}`);
  for (const line of lines) output.line(line);
  if (lines.length === 0) output.line('Nothing to mend.');
  if (options.verify === true) printDamage(output, report.damaged);
  if (report.isThere) return;
  output.warn('The directory of the workspace is not at its path.');
  output.note(
    'If it was moved, run "ghostsnap recover" where it is now; "ghostsnap rollback" makes it',
  );
  output.note('again from a snapshot; "ghostsnap recover --forget" gives the path up.');
}

/** Mending may be killed anywhere and Ctrl-C does that; proving reads for hours and stops when asked to. */
async function askedRecovery(context: CliContext, options: Options): Promise<RecoverReport> {
  const { output, environment } = context;
  const { recoverWorkspace } = await context.composition();
  const { workspace } = options;
  const request = { environment, ...(workspace === undefined ? {} : { workspace }) };
  if (options.verify !== true) return await recoverWorkspace(request);
  using interrupt = catchInterrupt(output);
  using bar = progressBar(output, 'Proving');
  const { signal } = interrupt;
  try {
    return await recoverWorkspace({
      ...request,
      ...{ verify: 'yes', onProgress: bar.onProgress, signal },
    });
  } catch (error) {
    throw abortReason(error, signal);
  }
}

function shown({ snapshot, path, what }: DamagedPath): Record<string, string> {
  return { snapshot, path: displayPath(path), what };
}

function printDamage(output: Output, damaged: readonly DamagedPath[] | null): void {
  if (damaged === null) {
    output.line('The filesystem keeps checksums itself: prove them with "btrfs scrub start".');
    return;
  }
  for (const { snapshot, path, what } of damaged) {
    output.line(`damaged  ${snapshot}  ${path === '' ? '.' : displayPath(path)}  ${what}`);
  }
  if (damaged.length === 0) output.line('Everything that the snapshots hold is whole.');
  else output.warn('Paths that are named cannot be given back from these snapshots; others can.');
}

async function forget(context: CliContext, options: Options): Promise<void> {
  const { output, environment } = context;
  const isDeletion = options.deleteSnapshots === true;
  const path = resolve(environment.cwd, options.workspace ?? '.');
  if (isDeletion && options.yes !== true) {
    await confirmOrThrow(context, {
      question: `Delete every snapshot of ${path}? They cannot be brought back.`,
      what: `Deleting the snapshots of ${path}`,
    });
  }
  const { forgetWorkspace } = await context.composition();
  const report = await forgetWorkspace({
    environment,
    snapshots: isDeletion ? 'delete' : 'keep',
    ...(options.workspace === undefined ? {} : { workspace: options.workspace }),
  });
  if (options.json === true) {
    output.json(report);
    return;
  }
  output.line(`Forgot the workspace ${report.path}`);
  if (isDeletion) output.line(`  ${counted(report.removedSnapshots, 'snapshot')} deleted`);
  if (report.keptAt === null) return;
  output.line(`  its snapshots are kept in ${report.keptAt}`);
  output.line(`  "ghostsnap recover -w ${report.path}" takes it back`);
}
