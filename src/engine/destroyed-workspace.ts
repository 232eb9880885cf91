/**
 * What is said of a workspace whose `destroy` has ended, by whoever ended it. The directory is a plain one
 * with the same contents; nothing is left to open.
 */
import { GhostsnapError } from '../core/errors.ts';

/** WORKSPACE_DESTROYED. `path` as text. */
export function workspaceDestroyed(path: string): GhostsnapError {
  return new GhostsnapError(
    'WORKSPACE_DESTROYED',
    `The workspace was destroyed and is a plain directory now: ${path}`,
    { hint: 'Protect the directory again with "ghostsnap init".', data: { path } },
  );
}
