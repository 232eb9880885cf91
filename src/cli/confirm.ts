/**
 * Asking a person. Only on a terminal: where nobody can answer, the answer is an error that names
 * the option to give, never a guess.
 */
import { GhostsnapError } from '../core/errors.ts';
import type { CliContext } from './cli-context.ts';

/** @throws GhostsnapError CONFIRMATION_NEEDED when there is nobody to ask or the answer is no */
export async function confirmOrThrow(
  context: CliContext,
  request: { readonly question: string; readonly what: string },
): Promise<void> {
  if (context.environment.isTty !== true) {
    throw new GhostsnapError('CONFIRMATION_NEEDED', `${request.what} needs a confirmation.`, {
      hint: 'Give --yes, or run it on a terminal to be asked.',
    });
  }
  const { confirm } = await import('@clack/prompts');
  const answer = await confirm({
    message: request.question,
    initialValue: false,
    output: process.stderr,
  });
  if (answer === true) return;
  throw new GhostsnapError('CONFIRMATION_NEEDED', `${request.what} was not confirmed.`, {
    hint: 'Nothing was changed.',
  });
}

/** One of several answers; `fallback` when the question is cancelled. */
export async function askChoice<T extends string>(request: {
  readonly question: string;
  readonly choices: readonly { readonly value: T; readonly label: string }[];
  readonly fallback: T;
}): Promise<T> {
  const { select } = await import('@clack/prompts');
  const answer: unknown = await select({
    message: request.question,
    options: request.choices.map(({ value, label }) => ({ value: value as string, label })),
    output: process.stderr,
  });
  const chosen = request.choices.find((choice) => choice.value === answer);
  return chosen === undefined ? request.fallback : chosen.value;
}
