/**
 * Places that nothing may be written into but by ghostsnap itself: its own directories, and the trees of
 * other workspaces, whose next rollback would take away what was put there.
 *
 * A place is judged by where it really lies: what leads there by a symlink is as forbidden. The workspace
 * whose paths are written is not among them, wherever its tree is.
 */
import path from 'node:path';
import { GhostsnapError } from '../core/errors.ts';
import type { WorkspaceInfo } from '../engine/workspace-api.ts';
import { GHOST_DIRECTORY, type PoolRecord } from '../pool/pool.ts';
import type { Home } from './home.ts';
import { treeInPool } from './locate-path.ts';
import { isInside, listPoolRecords, listWorkspaceRecords } from './registry.ts';
import { realPathOf } from './workspace-around.ts';

interface OwnPlace {
  readonly path: string;
  readonly what: string;
}

/**
 * @param own the workspace whose paths are written
 * @param places absolute; they need not be there
 * @throws GhostsnapError TARGET_PROTECTED
 */
export function assertNotOwnPlaces(
  home: Home,
  own: WorkspaceInfo,
  places: readonly string[],
): void {
  const allowed = [own.path, treeInPool(own)].map(realPathOf);
  const owned = ownPlaces(home, own).map((place) => ({ ...place, path: realPathOf(place.path) }));
  for (const place of places) {
    const real = realPathOf(place);
    if (allowed.some((tree) => isInside(real, tree))) continue;
    const around = owned.find((one) => isInside(real, one.path));
    if (around === undefined) continue;
    throw new GhostsnapError('TARGET_PROTECTED', `${place} is in ${around.what}: ${around.path}`, {
      hint: 'Name a directory outside of it. Nothing was written.',
      data: { path: place, protected: around.path },
    });
  }
}

function ownPlaces(home: Home, own: WorkspaceInfo): readonly OwnPlace[] {
  const directory = "ghostsnap's own directory";
  const others = listWorkspaceRecords(home).filter(({ id }) => id !== own.workspace);
  return [
    { path: home.data, what: directory },
    { path: home.config, what: directory },
    ...listPoolRecords(home).map(poolPlace),
    ...others.flatMap((other) =>
      [other.path, other.movedTo ?? other.path].map((tree) => ({
        path: tree,
        what: 'another workspace',
      })),
    ),
  ];
}

/** An image belongs to the pool as a whole; any other filesystem is the person's. */
function poolPlace({ name, kind, root }: PoolRecord): OwnPlace {
  const what = `the pool ${name}`;
  return { path: kind === 'image' ? root : path.join(root, GHOST_DIRECTORY), what };
}
