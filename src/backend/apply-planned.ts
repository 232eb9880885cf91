/**
 * Turning single paths of a live tree as a plan says, path by path, with what turning a whole tree has:
 * nothing is followed out of the tree, a file changes in one rename, a second run finishes a first. A path
 * that was another name of a file which the plan leaves alone becomes one again.
 */
import type { ApplyOptions, ApplyResult, PlannedPath, TreeReader } from './backend.ts';
import { findOuterLinks } from './outer-links.ts';
import { PathSet } from './path-set.ts';
import { PlannedTree } from './planned-tree.ts';
import { applyTree } from './tree-apply.ts';

export interface ApplyPlannedRequest
  extends Pick<ApplyOptions, 'onStep' | 'onProgress' | 'signal'> {
  readonly livePath: string;
  readonly live: TreeReader;
  readonly snapshot: TreeReader;
  readonly planned: readonly PlannedPath[];
}

/** @throws GhostsnapError as `applyTree` */
export async function applyPlannedPaths(request: ApplyPlannedRequest): Promise<ApplyResult> {
  const { live, snapshot, planned, ...rest } = request;
  const source = new PlannedTree({ live, snapshot }, planned);
  const paths = new PathSet(planned.map(({ path }) => path));
  return await applyTree({
    ...rest,
    source,
    sameContent: (path) => (source.isLive(path) ? true : 'unknown'),
    candidates: paths,
    outerLinks: await findOuterLinks({
      ...{ live, source: snapshot, paths, below: 'untouched', signal: rest.signal },
    }),
  });
}
