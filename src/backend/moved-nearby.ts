/**
 * Whether a workspace whose directory is not at its path was moved to somewhere near it.
 *
 * A rollback makes a workspace anew that was deleted. One that was only renamed would then be there twice: an
 * old state at the path, and what people go on working in, which nothing protects any more. So what is near the
 * path is looked at first, each directory for what it is and not for its name. The look is bounded and
 * enters no mount: it finds the ordinary `mv`, and what it does not find counts as deleted.
 */
import { type Dirent, readdirSync } from 'node:fs';
import path from 'node:path';
import { GhostsnapError } from '../core/errors.ts';
import { rawFromText } from '../core/raw-path.ts';
import { listMountsBelow } from './list-uncovered.ts';

/** `mv ~/shop ~/work/shop` and back: below the directory it was in, and below the one above that. */
const LEVELS = 3;
const DIRECTORIES_MAX = 4000;

/**
 * For a workspace of which nothing is at its path.
 * @param isIt whether the directory at this path is the workspace
 * @throws GhostsnapError WORKSPACE_GONE when it is near: it was moved
 */
export function assertNotMovedNearby(at: string, isIt: (candidate: string) => boolean): void {
  const now = findNearby(at, isIt);
  if (now === null) return;
  throw new GhostsnapError('WORKSPACE_GONE', `The workspace was moved from ${at} to ${now}`, {
    hint: `Move it back, or go on where it is: "ghostsnap recover -w ${now}", then roll back there.`,
    data: { path: at, movedTo: now },
  });
}

function findNearby(at: string, isIt: (candidate: string) => boolean): string | null {
  const parent = path.dirname(at);
  const isMount = mountPointsBelow(path.dirname(parent));
  const queue = [parent, path.dirname(parent)].map((start) => ({ at: start, levels: LEVELS }));
  const seen = new Set<string>();
  for (const { at: directory, levels } of queue) {
    if (seen.has(directory)) continue;
    if (seen.size >= DIRECTORIES_MAX) return null;
    seen.add(directory);
    for (const entry of entriesOf(directory)) {
      if (!entry.isDirectory()) continue;
      const candidate = path.join(directory, entry.name);
      // Nobody renames a mount point, and what is mounted there may not answer.
      if (isMount(candidate)) continue;
      if (isIt(candidate)) return candidate;
      if (levels > 1) queue.push({ at: candidate, levels: levels - 1 });
    }
  }
  return null;
}

function mountPointsBelow(top: string): (candidate: string) => boolean {
  const found = new Set<string>(listMountsBelow(top).map((mount) => mount.path));
  return (candidate) => found.has(rawFromText(path.relative(top, candidate)));
}

/** Empty where nobody may look: nothing there is proven to be the workspace. */
function entriesOf(directory: string): readonly Dirent[] {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch {
    return [];
  }
}
