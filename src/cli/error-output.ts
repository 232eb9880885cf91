/**
 * From anything thrown to words (or JSON) on standard error and an exit status.
 *
 * Every expected failure is a `GhostsnapError`; its kind decides the exit status through the one
 * table in core/errors.ts. Anything else is a bug in ghostsnap: it is shown whole, with its stack,
 * and exits with EX_SOFTWARE. The JSON form is stable: `{error:{code,kind,message,hint,data}}`.
 */
import { ERROR_KINDS, GhostsnapError } from '../core/errors.ts';
import type { Output } from './output.ts';
import { printableLines } from './printable-text.ts';

/** EX_SOFTWARE of sysexits(3): a bug, not the user's fault. */
export const EXIT_BUG = 70;

export type ErrorFormat = 'text' | 'json';

/** Prints the error and gives the exit status. */
export function reportError(error: unknown, output: Output, format: ErrorFormat): number {
  if (!(error instanceof GhostsnapError)) return reportBug(error, output, format);
  if (format === 'json') {
    const { code, kind, message, hint, data } = error;
    output.noteJson({ error: { code, kind, message, hint: hint ?? null, data } });
  } else {
    const { red, dim } = output.noteColors;
    output.note(`${red('ghostsnap:')} ${printableLines(error.message)} ${dim(`[${error.code}]`)}`);
    if (error.hint !== undefined) output.note(`  ${printableLines(error.hint)}`);
  }
  return ERROR_KINDS[error.kind].exitCode;
}

function reportBug(error: unknown, output: Output, format: ErrorFormat): number {
  const message = error instanceof Error ? error.message : String(error);
  const hint = 'This is a bug in ghostsnap: please report it with these lines.';
  if (format === 'json') {
    const fields = { code: 'BUG', kind: 'bug', message, hint, data: {} };
    output.noteJson({ error: fields });
  } else {
    output.note(`${output.noteColors.red('ghostsnap:')} ${describe(error)}`);
    output.note(`  ${hint}`);
  }
  return EXIT_BUG;
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? '' : `\nCaused by: ${describe(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`;
}
