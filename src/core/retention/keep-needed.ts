/**
 * What the workspace still needs: the head, the target and the precautionary snapshot of an operation in
 * flight, what undo and redo lead to. The caller knows them; no policy switches this off.
 */
import type { SnapshotId } from '../ids.ts';
import type { RetentionRule } from './rule.ts';

export function keepNeeded(ids: ReadonlySet<SnapshotId>): RetentionRule {
  return (candidates) =>
    new Map(
      candidates
        .filter(({ id }) => ids.has(id))
        .map(({ id }) => [id, 'needed by the live tree, an operation, undo or redo']),
    );
}
