/**
 * Places that a command is told and that turn out to be empty.
 *
 * `ghostsnap -w "$PROJECT" rollback @` in a script where PROJECT is not set must not work on whatever
 * workspace the script happens to stand in. An empty text is therefore never "here": it is refused.
 */
import type { Command } from 'commander';
import { GhostsnapError } from '../core/errors.ts';

/** Options whose value is a directory, a pool or an address, as commander names them. */
const PLACES: ReadonlySet<string> = new Set(['workspace', 'to', 'pool', 'directory', 'server']);

/** @throws GhostsnapError BAD_ARGUMENT for an option that names a place and is empty */
export function assertPlacesNamed(command: Command): void {
  for (let at: Command | null = command; at !== null; at = at.parent) {
    for (const option of at.options) {
      const name = option.attributeName();
      if (PLACES.has(name) && at.getOptionValue(name) === '') throw emptyPlace(option.flags);
    }
  }
}

/** An argument that names a directory. @throws GhostsnapError BAD_ARGUMENT when it is empty */
export function namedDirectory(argument: string | undefined): string | undefined {
  if (argument === '') throw emptyPlace('[dir]');
  return argument;
}

function emptyPlace(what: string): GhostsnapError {
  return new GhostsnapError('BAD_ARGUMENT', `The value of '${what}' is empty.`, {
    hint: 'Is a variable of your script not set? "." means the current directory.',
  });
}
