/**
 * Rename detection over a stream of changes, in bounded memory.
 *
 * A rename can only be found once every deleted and added path was seen, so changes are held back up to
 * a bound; past it they pass through as they come and the caller is told.
 */
import { RENAME_DETECTION_CHANGES_MAX } from '../core/limits.ts';
import { detectRenames } from '../core/rename-detection.ts';
import type { TreeChange } from '../core/tree-change.ts';

export async function* withRenames(
  changes: AsyncIterable<TreeChange>,
  options: { readonly changesMax?: number; readonly onSkipped?: () => void } = {},
): AsyncGenerator<TreeChange> {
  const { changesMax = RENAME_DETECTION_CHANGES_MAX, onSkipped } = options;
  let held: TreeChange[] | null = [];
  for await (const change of changes) {
    if (held === null) yield change;
    else if (held.length < changesMax) held.push(change);
    else {
      onSkipped?.();
      yield* held;
      yield change;
      held = null;
    }
  }
  if (held !== null) yield* detectRenames(held);
}
