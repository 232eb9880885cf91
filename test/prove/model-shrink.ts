/**
 * Shrinking a failing list of steps: ever smaller pieces are left out as long as it still fails.
 *
 * Any sub-list is a valid list, so nothing needs to be understood. Each try costs an episode, so there may
 * be an end to the patience; what was left out until then stays out.
 */
export async function shrink<T>(
  steps: readonly T[],
  fails: (steps: readonly T[]) => Promise<boolean>,
  isPatient: () => boolean,
): Promise<readonly T[]> {
  let current = steps;
  for (let size = Math.ceil(current.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < current.length && isPatient(); ) {
      const shorter = [...current.slice(0, at), ...current.slice(at + size)];
      if (await fails(shorter)) current = shorter;
      else at += size;
    }
  }
  return current;
}
