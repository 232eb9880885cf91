/**
 * The backend's part of a workspace's end, also where the pool has no room to begin with it.
 *
 * Ending writes a record of how far it has come, and in a full pool even that is refused. Nobody could make
 * room then: a deletion of single snapshots first ends what is in flight, which is this. So the snapshots,
 * which go anyway, go first. The tree stays whole throughout, and a crash is finished by the next open.
 */
import type { WorkOptions } from '../backend/backend.ts';
import { GhostsnapError } from '../core/errors.ts';
import type { KeptTree } from '../core/state.ts';
import type { WorkspaceSession } from './workspace-session.ts';

/** With the intent on disk. Finished by calling it again. */
export async function endTree(
  session: WorkspaceSession,
  tree: KeptTree,
  work: WorkOptions & { readonly onStep?: (label: string) => void } = {},
): Promise<void> {
  const { backend } = session.ports;
  const end = (): Promise<void> =>
    tree === 'removed'
      ? backend.removeWorkspace(session.ref, work)
      : backend.releaseWorkspace(session.ref, work);
  try {
    await end();
  } catch (error) {
    if (!isPoolFull(session, error)) throw error;
    const ids = backend.listSnapshots(session.ref).map(({ id }) => id);
    if (ids.length === 0) throw error;
    await backend.deleteSnapshots(session.ref, ids, { room: 'soon' });
    await end().catch((second: unknown) => {
      throw isPoolFull(session, second) ? roomIsComing(second) : second;
    });
  }
}

/** A file system may give room back in the background, some time after the deletion. */
function roomIsComing(cause: GhostsnapError): GhostsnapError {
  return new GhostsnapError(cause.code, cause.message, {
    hint: 'The snapshots are deleted, and their room comes back within seconds: then run "ghostsnap recover".',
    data: cause.data,
    cause,
  });
}

/** The pool itself, not the disk that the tree goes to: there the snapshots would go for nothing. */
function isPoolFull({ ref }: WorkspaceSession, error: unknown): error is GhostsnapError {
  if (!(error instanceof GhostsnapError) || error.code !== 'POOL_FULL') return false;
  const { path } = error.data;
  return typeof path === 'string' && path.startsWith(`${ref.poolRoot}/`);
}
