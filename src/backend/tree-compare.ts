/**
 * What turns one tree into another, as a stream of changes in walk order.
 *
 * Exact: what evidence does not settle is compared to the last byte. Memory is bounded by the
 * largest directory and by the number of hard links, never by the trees. The event loop gets its
 * turn now and then, and an abort takes effect between two paths.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { GhostsnapError } from '../core/errors.ts';
import type { RawPath } from '../core/raw-path.ts';
import type { TreeChange } from '../core/tree-change.ts';
import { isCaptured, type TreeEntry } from '../core/tree-entry.ts';
import type { TreeReader, WorkOptions } from './backend.ts';
import { DirectoryTree } from './directory-tree.ts';
import { type ComparedTrees, differenceBeside, type EntryDifference } from './entry-difference.ts';
import { LinkGroups } from './link-groups.ts';
import { withLinkedPaths } from './linked-paths.ts';
import { type EnteredSides, LockstepWalk, type Visit } from './lockstep-walk.ts';
import { interrupted } from './syscall-failure.ts';
import { isSameInode, type TreeEvidence } from './tree-evidence.ts';
import { isChosen, type ScopeOptions } from './walk-scope.ts';

export interface CompareRequest extends TreeEvidence, ScopeOptions, WorkOptions {
  readonly from: TreeReader;
  readonly to: TreeReader;
  /** Report a difference in mtime alone. Default true. */
  readonly mtimes?: boolean;
  /**
   * 'exact': on both sides `nlink` counts names inside the tree, so a difference in it is one in
   * the hard link structure. Default: exact where both trees are whole subvolumes.
   */
  readonly linkCounts?: 'exact' | 'unknown';
}

/** Visits between two turns of the event loop. */
const VISITS_PER_TURN = 256;

/**
 * Compares two trees. A directory that exists on one side only, or that is another inode on each
 * side, is compared with everything below it, whatever the candidates are.
 * @throws GhostsnapError CAPTURE_FAILED, INTERRUPTED, IO
 */
export async function* compareTrees(request: CompareRequest): AsyncGenerator<TreeChange> {
  const comparison = new Comparison(request);
  for (;;) {
    if (request.signal?.aborted === true) throw interrupted('The comparison');
    const changes = await comparison.nextTurn();
    yield* changes.found;
    if (changes.isEnd) return;
    await nextTurn();
    request.onProgress?.(comparison.visited, null);
  }
}

class Comparison {
  visited = 0;
  readonly #walk: LockstepWalk;
  readonly #trees: ComparedTrees;
  readonly #request: CompareRequest;
  readonly #hasExactLinks: boolean;
  readonly #fromLinks = new LinkGroups();
  readonly #toLinks = new LinkGroups();

  constructor(request: CompareRequest) {
    const { from, to } = request;
    this.#request = request;
    this.#hasExactLinks =
      request.linkCounts === undefined
        ? [from, to].every((tree) => tree instanceof DirectoryTree && tree.hasExactLinkCounts)
        : request.linkCounts === 'exact';
    this.#trees = {
      from,
      to,
      evidence: request,
      mtimes: request.mtimes === false ? 'ignored' : 'compared',
    };
    this.#walk = new LockstepWalk({ ...scopeWithLinks(request), from, to, evidence: request });
  }

  async nextTurn(): Promise<{ readonly found: readonly TreeChange[]; readonly isEnd: boolean }> {
    const found: TreeChange[] = [];
    for (let i = 0; i < VISITS_PER_TURN; i += 1) {
      const visit = this.#walk.next();
      if (visit === null) return { found, isEnd: true };
      if (visit.step === 'leave') continue;
      this.visited += 1;
      const seen = this.#changeAt(visit);
      // Only a long file is waited for: a turn for each of a thousand entries would cost more than they do.
      const change = seen instanceof Promise ? await seen : seen;
      if (change !== null) found.push(change);
      const unreadable = this.#enter(visit);
      if (unreadable !== null) found.push(unreadable);
    }
    return { found, isEnd: false };
  }

  #changeAt(visit: Visit): TreeChange | null | Promise<TreeChange | null> {
    const { path, from, to } = visit;
    // On the way to a chosen path: only that it is missing on one side belongs to the difference.
    if (!isChosen(visit.scope) && !(from === null && to?.type === 'dir')) return null;
    const isFromHeld = from !== null && isCaptured(from.type);
    const isToHeld = to !== null && isCaptured(to.type);
    if ((from !== null && !isFromHeld) || (to !== null && !isToHeld)) return uncovered(visit);
    if (from === null) return this.#withLinks(visit, 'added');
    if (to === null) return this.#withLinks(visit, 'deleted');
    if (from.type !== to.type) return this.#withLinks(visit, 'type');
    return this.#difference(visit, { path, from, to });
  }

  #difference(
    visit: Visit,
    pair: { path: RawPath; from: TreeEntry; to: TreeEntry },
  ): TreeChange | null | Promise<TreeChange | null> {
    const isDifferentlyLinked = this.#areLinksDifferent(visit);
    const changeOf = (difference: EntryDifference | null): TreeChange | null => {
      if (difference === null && !isDifferentlyLinked) return null;
      const fields = difference?.fields ?? [];
      return {
        ...pair,
        kind: difference?.kind === 'content' ? 'modified' : 'metadata',
        fields: isDifferentlyLinked ? [...fields, 'links'] : fields,
      };
    };
    if (visit.isUnchanged) return changeOf(null);
    const difference = differenceBeside(this.#trees, pair, this.#request.signal);
    return difference instanceof Promise ? difference.then(changeOf) : changeOf(difference);
  }

  #withLinks(visit: Visit, kind: 'added' | 'deleted' | 'type'): TreeChange {
    this.#areLinksDifferent(visit);
    return { path: visit.path, kind, from: visit.from, to: visit.to, fields: [] };
  }

  #areLinksDifferent({ from, to }: Visit): boolean {
    const { visited } = this;
    const isOtherFirst =
      this.#fromLinks.firstOf(visited, from) !== this.#toLinks.firstOf(visited, to);
    if (isOtherFirst || !this.#hasExactLinks || from === null || to === null) return isOtherFirst;
    return from.type !== 'dir' && from.nlink !== to.nlink;
  }

  /** Enters what there is to enter; a change when a directory can't be read. */
  #enter(visit: Visit): TreeChange | null {
    const sides = sidesToEnter(visit);
    if (sides === null) return null;
    const { path, from, to } = visit;
    if (sides === 'both' && from !== null && to !== null) {
      if (this.#request.sameSubtree?.(path, from, to) === true) return null;
    }
    try {
      this.#walk.enter(visit, sides);
      return null;
    } catch (error) {
      if (!(error instanceof GhostsnapError) || error.data.errno !== 'EACCES') throw error;
      return { ...{ path, from, to }, kind: 'uncovered', fields: [], reason: 'unreadable' };
    }
  }
}

/** null: not a directory that is captured on either side, or a boundary on one. */
export function sidesToEnter({ from, to }: Visit): EnteredSides | null {
  const isFromDirectory = from?.type === 'dir';
  const isToDirectory = to?.type === 'dir';
  const isBoundary =
    from?.type === 'mount' ||
    from?.type === 'subvolume' ||
    to?.type === 'mount' ||
    to?.type === 'subvolume' ||
    from?.type === 'socket' ||
    to?.type === 'socket';
  if (isBoundary || (!isFromDirectory && !isToDirectory)) return null;
  if (isFromDirectory && isToDirectory) return 'both';
  return isFromDirectory ? 'from' : 'to';
}

/** Boundaries and sockets that are the same on both sides are no difference. */
function uncovered({ path, from, to }: Visit): TreeChange | null {
  if (from !== null && to !== null && from.type === to.type) return null;
  const type = from !== null && !isCaptured(from.type) ? from.type : to?.type;
  return { path, kind: 'uncovered', from, to, fields: [], reason: type ?? 'unreadable' };
}

/** Candidates, with the other names of files that have several. */
export function scopeWithLinks(request: CompareRequest): ScopeOptions {
  const { from, to, candidates, subtreeRoots } = request;
  const isKnownSame = (a: TreeEntry, b: TreeEntry) => isSameInode(request, a, b);
  const all =
    candidates === undefined ? undefined : withLinkedPaths({ from, to, candidates, isKnownSame });
  return {
    ...(all === undefined ? {} : { candidates: all }),
    ...(subtreeRoots === undefined ? {} : { subtreeRoots }),
  };
}
