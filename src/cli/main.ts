/**
 * The command line's entry: arguments in, exit status out.
 *
 * It decides nothing about commands: it finds the verb, builds the program with that verb alone,
 * runs it and turns whatever is thrown into a message and a status. Start-up time is a budget here:
 * nothing is imported that the asked-for verb does not need.
 */
import { isatty } from 'node:tty';
import { ERROR_KINDS, GhostsnapError } from '../core/errors.ts';
import { homeDirectoryOf } from '../daemon/home-directory.ts';
import type { CliContext } from './cli-context.ts';
import type { Composition, Environment } from './composition.ts';
import { reportError } from './error-output.ts';
import { createOutput, type Output } from './output.ts';
import { askedVerb, buildProgram, runProgram } from './program.ts';

/** Verbs whose arguments after the first `--` are paths, apart from those before it. */
const SPLIT_VERBS: ReadonlySet<string> = new Set(['diff']);

export interface MainOptions {
  readonly args: readonly string[];
  readonly output: Output;
  readonly environment: Environment;
  readonly composition: () => Promise<Composition>;
}

/** Runs one command line. Never throws for what a command throws: that becomes the status. */
export async function main(options: MainOptions): Promise<number> {
  const { output } = options;
  const verb = askedVerb(options.args);
  const { args, afterDashes } = splitAtDashes(options.args, verb);
  const context: CliContext = {
    output,
    environment: options.environment,
    composition: options.composition,
    afterDashes,
    exitCode: 0,
  };
  try {
    const program = await buildProgram(context, new Set(verb === undefined ? [] : [verb]));
    const outcome = await runProgram(program, args);
    return outcome === 'usage' ? ERROR_KINDS.usage.exitCode : context.exitCode;
  } catch (error) {
    return reportError(error, output, wantsJson(options.args) ? 'json' : 'text');
  }
}

/** `main` for this process: what bin/ghostsnap.js calls. */
export async function mainOfProcess(): Promise<number> {
  const streams = watchStreams();
  const output = createOutput({
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
  });
  const status = await main({
    args: process.argv.slice(2),
    output,
    environment: processEnvironment(),
    composition: () => import('../daemon/compose.ts'),
  });
  // A failed write is told in a later turn of the loop, and the process ends in this one.
  await new Promise<void>((resolve) => setImmediate(resolve));
  if (streams.failure === null || status !== 0) return status;
  return reportError(resultLost(streams.failure), output, 'text');
}

/** Whoever asked has no answer, or half of one: that is never a success. */
function resultLost(cause: NodeJS.ErrnoException): GhostsnapError {
  const why = cause.code === undefined ? '' : ` (${cause.code})`;
  return new GhostsnapError('IO', `The result could not be written to standard output${why}.`, {
    hint: 'The command itself was carried out. Make room where its output goes, then look with "ghostsnap log".',
    cause,
  });
}

function processEnvironment(): Environment {
  return {
    env: process.env,
    cwd: currentDirectory(),
    homeDir: homeDirectoryOf(process.env),
    uid: process.getuid?.() ?? -1,
    // Asking `process.stdin` would open it, which takes longer than finding the verb.
    isTty: isatty(0) && isatty(2),
  };
}

// The current directory may be gone: destroyed, perhaps, by what is about to be rolled back. The
// shell still knows its name, and the workspace around that name is the right one.
function currentDirectory(): string {
  try {
    return process.cwd();
  } catch (error) {
    const { PWD } = process.env;
    if (PWD?.startsWith('/')) return PWD;
    throw error;
  }
}

/**
 * Whoever reads may have gone: `ghostsnap log | head -1` ends quietly. Nobody who listens to notes is no
 * reason to stop: what was asked for is done all the same.
 */
function watchStreams(): { failure: NodeJS.ErrnoException | null } {
  const seen: { failure: NodeJS.ErrnoException | null } = { failure: null };
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    seen.failure ??= error;
  });
  process.stderr.on('error', () => {});
  return seen;
}

function splitAtDashes(
  args: readonly string[],
  verb: string | undefined,
): { readonly args: readonly string[]; readonly afterDashes: readonly string[] | null } {
  const at = verb !== undefined && SPLIT_VERBS.has(verb) ? args.indexOf('--') : -1;
  return at < 0
    ? { args, afterDashes: null }
    : { args: args.slice(0, at), afterDashes: args.slice(at + 1) };
}

function wantsJson(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  return (end < 0 ? args : args.slice(0, end)).includes('--json');
}
