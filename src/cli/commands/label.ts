/** `ghostsnap label SPEC [TEXT]`: names a snapshot, or prints its name. */
import type { Command } from 'commander';
import { GhostsnapError } from '../../core/errors.ts';
import {
  type CliContext,
  type CommandModule,
  targetOptions,
  type WorkspaceOptions,
  withTarget,
} from '../cli-context.ts';
import { printableLine } from '../printable-text.ts';

interface Options extends WorkspaceOptions {
  readonly remove?: true;
}

const EXAMPLES = `
A label can be used wherever a snapshot is named; where two snapshots have the
same one, it means the newer.

Examples:
  $ ghostsnap label @ "tests green"
  $ ghostsnap label "tests green" --remove`;

export const command: CommandModule = {
  register(program, context) {
    targetOptions(program)
      .argument('<spec>', 'snapshot: id, beginning of an id, label, "@" or "@~N"')
      .argument('[text]', 'the name; without it, the present one is printed')
      .option('--remove', 'take the name away')
      .addHelpText('after', EXAMPLES)
      .action((spec: string, text: string | undefined, _: Options, self: Command) =>
        label(context, { spec, text }, self.optsWithGlobals<Options>()),
      );
  },
};

async function label(
  context: CliContext,
  request: { readonly spec: string; readonly text: string | undefined },
  options: Options,
): Promise<void> {
  const { output } = context;
  const { spec, text } = request;
  if (text !== undefined && options.remove === true) {
    throw new GhostsnapError('BAD_ARGUMENT', 'A text and --remove exclude each other.', {
      hint: 'Give one of them.',
    });
  }
  if (text === '') {
    throw new GhostsnapError('BAD_ARGUMENT', 'The label is empty.', {
      hint: 'Give a text, or take the label away with --remove.',
    });
  }
  const isChange = text !== undefined || options.remove === true;
  const readOnly = isChange ? 'no' : 'yes';
  await withTarget(context, { ...options, readOnly }, async (workspace) => {
    const snapshot = await (isChange ? workspace.label(spec, text ?? null) : workspace.show(spec));
    if (options.json === true) output.json(snapshot);
    else if (options.remove === true) output.line(`unlabelled ${snapshot.id}`);
    else if (isChange) output.line(`labelled ${snapshot.id}`);
    else if (snapshot.label !== null) output.line(printableLine(snapshot.label));
  });
}
