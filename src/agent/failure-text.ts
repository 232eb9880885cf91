/** Why a call did not run, and what to do, for a model and for a person. */
import { GhostsnapError } from '../core/errors.ts';

export function failureText(failure: unknown): string {
  const start = 'The tool was not run: ghostsnap could not take a snapshot before it.';
  if (!(failure instanceof GhostsnapError)) return `${start} ${String(failure)}`;
  const { message, code, hint } = failure;
  // The policy spoke, and its words are whole.
  if (code === 'CONFIRMATION_NEEDED') return [message, hint].join('\n');
  return [start, `${message} [${code}]`, hint].filter((part) => part !== undefined).join(' ');
}
