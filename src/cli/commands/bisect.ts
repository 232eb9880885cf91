/** `ghostsnap bisect start|good|bad|skip|next|run|status|reset`: which tool call broke it. */
import type { Command } from 'commander';
import type { BisectVerdict } from '../../core/bisect.ts';
import type { SnapshotId } from '../../core/ids.ts';
import {
  markBisect,
  planOf,
  prepareTrial,
  requireBisect,
  resetBisect,
  startBisect,
} from '../../engine/bisect.ts';
import type { Workspace } from '../../engine/workspace-api.ts';
import { printReset, printStanding } from '../bisect-output.ts';
import { runTrials, withBisect } from '../bisect-trials.ts';
import {
  type CliContext,
  type CommandModule,
  jsonOption,
  type WorkspaceOptions,
  withWorkspace,
  workspaceOption,
} from '../cli-context.ts';
import { resolveCall } from '../resolve-call.ts';

interface StartOptions extends WorkspaceOptions {
  readonly good: string;
  readonly bad?: string;
  readonly inPlace?: true;
}

const EXAMPLES = `
Tries states between a good and a bad one, half as many are left each time, and
names the tool call after which it was broken. A state is tried in a scratch tree
outside of the workspace, made as it was for each trial.

Examples:
  $ ghostsnap bisect start --good "tests green" -- npm test
  $ ghostsnap bisect start --good ghost_01J9 --bad @
  $ ghostsnap bisect bad
  $ ghostsnap bisect run sh -c "make || exit 125; ./check"
  $ ghostsnap bisect reset`;

const STATE =
  'snapshot: id, beginning of an id, label, "@" or "@~N"; or a call: the state before it';

const START_EXAMPLES = `
With a command it is run at once, as "ghostsnap bisect run" does.

Examples:
  $ ghostsnap bisect start --good @~20
  $ ghostsnap bisect start --good @~20 --bad @~3 -- npm test`;

const RUN_EXAMPLES = `
The command runs in the tree of each state, which it may change. It says by its exit
status what it found: 0 good, 125 that it cannot be judged, 1 to 127 bad; anything
else stops. What it prints goes to standard error.

Example:
  $ ghostsnap bisect run npm test`;

export const command: CommandModule = {
  register(program, context) {
    program.addHelpText('after', EXAMPLES).usage('COMMAND [ARGUMENT...]').helpCommand(false);
    const verb = (name: string, description: string): Command =>
      workspaceOption(jsonOption(program.command(name))).description(description);
    verb('start', 'Begin, with a state that was good and one that is bad.')
      .usage('[options] [-- command [argument...]]')
      .argument('[command...]', 'run this on each state')
      .requiredOption('--good <state>', STATE)
      .option('--bad <state>', 'the same; without it the workspace as it is now')
      .option('--in-place', 'try states in the workspace itself; reset brings it back')
      .passThroughOptions()
      .addHelpText('after', START_EXAMPLES)
      .action((words: string[], _: StartOptions, self: Command) =>
        start(context, words, self.optsWithGlobals<StartOptions>()),
      );
    for (const [verdict, meaning] of MARKS) {
      verb(verdict, `Say of the state that is tried: ${meaning}.`).action(
        (_: WorkspaceOptions, self: Command) => mark(context, verdict, self.optsWithGlobals()),
      );
    }
    verb('next', 'Make the tree of the state to try again, as it was.').action(
      (_: WorkspaceOptions, self: Command) => next(context, self.optsWithGlobals()),
    );
    verb('run', 'Run a command on each state until the search is over.')
      .usage('[options] command [argument...]')
      .argument('<command...>', 'what to run')
      .passThroughOptions()
      .addHelpText('after', RUN_EXAMPLES)
      .action((words: string[], _: WorkspaceOptions, self: Command) =>
        runTrials(context, words, self.optsWithGlobals<WorkspaceOptions>()),
      );
    verb('status', 'Say where the search stands.').action((_: WorkspaceOptions, self: Command) =>
      status(context, self.optsWithGlobals()),
    );
    verb('reset', 'End it, and remove the scratch tree.').action(
      (_: WorkspaceOptions, self: Command) => reset(context, self.optsWithGlobals()),
    );
  },
};

const MARKS: readonly (readonly [BisectVerdict, string])[] = [
  ['good', 'it works'],
  ['bad', 'it is broken'],
  ['skip', 'it cannot be judged'],
];

async function start(
  context: CliContext,
  words: readonly string[],
  options: StartOptions,
): Promise<void> {
  await withBisect(context, options, async (on) => {
    const { workspace } = on;
    const good = await stateNamed(workspace, options.good);
    const bad = options.bad === undefined ? null : await stateNamed(workspace, options.bad);
    const where = options.inPlace === true ? 'in-place' : 'scratch';
    await startBisect({ ...on, good, bad, where });
    if (words.length > 0) return;
    await printStanding(context, workspace, { ...(await prepareTrial(on)), options });
  });
  if (words.length > 0) await runTrials(context, words, options);
}

/** A call stands for the state before it, as everywhere. */
async function stateNamed(workspace: Workspace, spec: string): Promise<SnapshotId> {
  if (!spec.startsWith('call_')) return workspace.resolve(spec);
  const { call, snapshot } = await resolveCall(workspace, spec);
  return workspace.resolve(snapshot ?? call);
}

async function mark(
  context: CliContext,
  verdict: BisectVerdict,
  options: WorkspaceOptions,
): Promise<void> {
  await withBisect(context, options, async (on) => {
    markBisect(on.store, verdict);
    await printStanding(context, on.workspace, { ...(await prepareTrial(on)), options });
  });
}

async function next(context: CliContext, options: WorkspaceOptions): Promise<void> {
  await withBisect(context, options, async (on) => {
    await printStanding(context, on.workspace, { ...(await prepareTrial(on)), options });
  });
}

async function status(context: CliContext, options: WorkspaceOptions): Promise<void> {
  await withWorkspace(context, { ...options, readOnly: 'yes' }, async (workspace) => {
    const { readBisect } = await context.composition();
    const { environment } = context;
    const found = await readBisect({ environment, workspace: workspace.info.workspace });
    const record = requireBisect(found);
    await printStanding(context, workspace, { plan: planOf(workspace, record), record, options });
  });
}

async function reset(context: CliContext, options: WorkspaceOptions): Promise<void> {
  await withBisect(context, options, async (on) => {
    printReset(context.output, await resetBisect(on), options);
  });
}
