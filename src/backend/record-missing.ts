/** A workspace whose record is gone from its pool: what is said of it, the same for every backend. */
import { GhostsnapError } from '../core/errors.ts';
import type { WorkspaceRef } from './backend.ts';

/**
 * Without its record nothing proves that the directory at the path is the workspace, so nothing is written into it
 * any more. What its snapshots hold can be read all the same.
 */
export function recordMissing(ref: WorkspaceRef, recordPath: string): GhostsnapError {
  return new GhostsnapError(
    'WORKSPACE_NOT_FOUND',
    `The workspace's record is missing: ${recordPath}`,
    {
      data: { workspace: ref.id, path: recordPath },
      hint:
        'Put the file back. If it is lost: take what you need from the snapshots with ' +
        '"ghostsnap restore @ . --to DIR" (another for each, see "ghostsnap log"), give the path up with ' +
        '"ghostsnap recover --forget", and run "ghostsnap init" again.',
    },
  );
}
