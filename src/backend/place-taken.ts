/** The path that a tree was to be put to, in one step that replaces nothing, is not free. */
import { GhostsnapError } from '../core/errors.ts';

export function placeTaken(path: string): GhostsnapError {
  return new GhostsnapError('TARGET_EXISTS', `Something stands there already: ${path}`, {
    data: { path },
    hint: 'Name a path where nothing is.',
  });
}
