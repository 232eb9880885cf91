/**
 * The commander tree.
 *
 * Every verb is there with its summary, so that help and suggestions know it; only the asked-for
 * verbs are loaded and filled in. Parse failures are thrown as `GhostsnapError`, so that they are
 * printed and numbered like every other error.
 */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { GhostsnapError } from '../core/errors.ts';
import { PACKAGE_ROOT } from '../daemon/own-files.ts';
import {
  askedServer,
  type CliContext,
  SERVER_OPTION,
  type WorkspaceOptions,
} from './cli-context.ts';
import { COMMANDS } from './command-table.ts';
import { assertPlacesNamed } from './named-places.ts';

/** Off a terminal help is always this wide, so that its text is the same everywhere. */
const HELP_COLUMNS = 80;
const HELP_COLUMNS_MAX = 100;

/** The last group of verbs in the table: the help command joins it. */
const HELP_GROUP = 'Looking after it:';

const HELP_EPILOGUE = `
Examples:
  $ ghostsnap init                      make the current directory a workspace
  $ ghostsnap snap -l "before refactor" take a snapshot
  $ ghostsnap run -- npm install        take one, run, show what changed
  $ ghostsnap diff @                    what changed since the newest snapshot
  $ ghostsnap rollback @                bring it back
  $ ghostsnap undo                      and change your mind

A snapshot is named by its id, the beginning of one, its label, "@" for the
newest, or "@~2" for the second before it. What a rollback kept for its own undo
is not counted.`;

/** `verbs`: the verbs to load; the others stay names with a summary. */
export async function buildProgram(
  context: CliContext,
  verbs: ReadonlySet<string>,
): Promise<Command> {
  const program = new Command('ghostsnap')
    .usage('[-w DIR] COMMAND [ARGUMENT...]')
    .description('Snapshots of a workspace before every step, and the way back to each of them.')
    .option('-w, --workspace <dir>', 'use the workspace at or around DIR')
    .option(...SERVER_OPTION)
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .enablePositionalOptions()
    .showSuggestionAfterError(true)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => context.output.raw(text),
      writeErr: (text) => context.output.note(text.trimEnd()),
      getOutHelpWidth: () => helpWidth(context),
      getErrHelpWidth: () => helpWidth(context),
      // Parse failures are thrown; the one place that prints errors prints them.
      outputError: () => {},
    })
    .addHelpText('after', HELP_EPILOGUE)
    .hook('preAction', (_, command) => assertPlacesNamed(command))
    .hook('preAction', (self, command) => assertAskable(context, self, command));
  program.addHelpCommand(
    new Command('help')
      .argument('[command]')
      .description('show help for a command')
      .helpGroup(HELP_GROUP),
  );
  for (const entry of COMMANDS) {
    const command = program
      .command(entry.name)
      .summary(entry.summary)
      .helpGroup(entry.group)
      .description(`${entry.summary.charAt(0).toUpperCase()}${entry.summary.slice(1)}.`);
    if (!verbs.has(entry.name)) continue;
    const { command: module } = await entry.load();
    module.register(command, context);
  }
  return program;
}

/** Loaded on use: without a service there is nothing to ask. */
async function assertAskable(
  context: CliContext,
  program: Command,
  command: Command,
): Promise<void> {
  // The verb's own "--server" is either for a service, which that verb then asks, or another thing.
  const options = program.opts<WorkspaceOptions>();
  if (askedServer(context, options) === null) return;
  const { assertAskable: assertVerb } = await import('./remote/remote-verbs.ts');
  const by = options.server === undefined ? 'GHOSTSNAP_SERVER' : '--server';
  assertVerb(verbOf(command), by);
}

/** The verb that a subcommand belongs to. */
function verbOf(command: Command): string {
  const { parent } = command;
  return parent === null || parent.parent === null ? command.name() : verbOf(parent);
}

function helpWidth({ output }: CliContext): number {
  return output.isTerminal ? Math.min(process.stdout.columns, HELP_COLUMNS_MAX) : HELP_COLUMNS;
}

/**
 * Parses and runs.
 * @returns 'usage' when no command was named and the help was printed in its place
 */
export async function runProgram(
  program: Command,
  args: readonly string[],
): Promise<'done' | 'usage'> {
  try {
    await program.parseAsync([...args], { from: 'user' });
    return 'done';
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return 'done';
    if (error.code === 'commander.help') return 'usage';
    if (UNKNOWN_SERVER.test(error.message)) await sayWhatInstead(args);
    throw usageError(error, args);
  }
}

/** What commander says of a verb that no service carries out. */
const UNKNOWN_SERVER = /^error: unknown option '--server/;

async function sayWhatInstead(args: readonly string[]): Promise<void> {
  const { assertAskable: assertVerb } = await import('./remote/remote-verbs.ts');
  assertVerb(askedVerb(args) ?? '', '--server');
}

/** Options before the verb whose next word is their value. */
const VALUE_OPTIONS: ReadonlySet<string> = new Set(['-w', '--workspace', '--server']);

/** The verb in the arguments, looked through `-w DIR`, `--server URL` and `help`; undefined when there is none. */
export function askedVerb(args: readonly string[]): string | undefined {
  for (let i = 0; i < args.length; i += 1) {
    const arg = args[i] ?? '';
    if (VALUE_OPTIONS.has(arg)) i += 1;
    else if (arg !== 'help' && !arg.startsWith('-')) return arg;
  }
  return undefined;
}

export function packageVersion(): string {
  const text = readFileSync(`${PACKAGE_ROOT}/package.json`, 'utf8');
  const parsed: unknown = JSON.parse(text);
  const isNamed = typeof parsed === 'object' && parsed !== null && 'version' in parsed;
  return isNamed ? String(parsed.version) : 'unknown';
}

function usageError(error: CommanderError, args: readonly string[]): GhostsnapError {
  const verb = askedVerb(args);
  const isKnown = COMMANDS.some((entry) => entry.name === verb);
  const help = `See "ghostsnap ${isKnown ? `${verb} ` : ''}--help".`;
  const [first = '', suggestion] = error.message.replace(/^error: /, '').split('\n');
  const sentence = `${first.charAt(0).toUpperCase()}${first.slice(1)}`;
  const hint = suggestion === undefined ? help : `${suggestion.replace(/^\(|\)$/g, '')} ${help}`;
  return new GhostsnapError('BAD_ARGUMENT', /[.?]$/.test(sentence) ? sentence : `${sentence}.`, {
    hint,
  });
}
