/**
 * What a turn of single paths is taken back by.
 *
 * On the way to a path the turn makes directories that are missing, also in the place of something else. Going back
 * by the path alone would leave them, and what was in their place would be gone. The precautionary
 * snapshot says what was there: where it holds no directory on the way, the way back begins there.
 */
import type { SnapshotId } from '../core/ids.ts';
import { parentOf, type RawPath, ROOT_PATH } from '../core/raw-path.ts';
import type { WorkspaceSession } from './workspace-session.ts';

/** `paths`, each as itself or as the first on the way to it that was no directory; none stay none. */
export async function pathsBack(
  session: WorkspaceSession,
  precautionary: SnapshotId,
  paths: readonly RawPath[],
): Promise<readonly RawPath[]> {
  if (paths.length === 0) return paths;
  using tree = await session.ports.backend.openTree(session.ref, precautionary);
  const beginning = (path: RawPath): RawPath => {
    let first = path;
    for (let at = parentOf(path); at !== ROOT_PATH; at = parentOf(at)) {
      if (tree.lookup(at)?.type !== 'dir') first = at;
    }
    return first;
  };
  return paths.map((path) => (path === ROOT_PATH ? path : beginning(path)));
}
