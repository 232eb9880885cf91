/** A number of things to print, as it is typed after an option. */
import { InvalidArgumentError } from 'commander';

/** @throws InvalidArgumentError, which commander turns into a usage error that names the option */
export function parseCount(text: string): number {
  const count = Number(text);
  if (Number.isSafeInteger(count) && count > 0) return count;
  throw new InvalidArgumentError('Give a whole number above 0.');
}
