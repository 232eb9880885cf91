/**
 * Finding out, on every processor, where two trees that share inodes need no comparison.
 *
 * The directories near the root are divided into subtrees, enough of them that threads end together and
 * that a changed file costs the comparison of a small one. The answer is evidence (`sameSubtree`) for
 * the walk that follows: it enters only what is not proven.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { joinRaw, type RawName, type RawPath, ROOT_PATH } from '../core/raw-path.ts';
import { DirectoryListing, DT_DIR } from './directory-listing.ts';
import type { DirectoryTree } from './directory-tree.ts';
import { dismissHelpers, giveToHelpers } from './side-threads.ts';
import { SubtreeChecker } from './subtree-check.ts';
import { interrupted } from './syscall-failure.ts';
import { makeLotMemory, PROVEN } from './work-lots.ts';

/** As many subtrees as make a changed one cheap to compare. */
const SUBTREES_WANTED = 512;
/** Directories that are listed, on one side, to find so many. */
const LISTED_MAX = 2048;
/** Fewer are most likely done before another thread has come up. */
const HELPED_SUBTREES_MIN = 64;
/** A lot takes milliseconds; a thread that needs this long is not coming back. */
const OTHERS_MS_MAX = 10_000;

const CHECK_MODULE = new URL(
  `./subtree-check-worker${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`,
  import.meta.url,
).href;

/** Synchronous use only: filled and read out without a pause between. */
const listing = new DirectoryListing();

export interface TreesInCommon {
  readonly from: DirectoryTree;
  readonly to: DirectoryTree;
  /** As `TreeEvidence.inodesTrustedBeforeMs`. */
  readonly trustedBeforeMs: number;
  readonly signal?: AbortSignal;
}

/**
 * Directories below which the trees are equal; nothing is said of the others, nor of the attributes of
 * the directories themselves. Both trees stay open until it is settled. @throws GhostsnapError INTERRUPTED
 */
export async function provenSubtrees(trees: TreesInCommon): Promise<ReadonlySet<RawPath>> {
  const { from, to, trustedBeforeMs, signal } = trees;
  const paths = subtreesOf(from);
  const memory = makeLotMemory(paths.length);
  const job = { ...memory, from: sideOf(from), to: sideOf(to), trustedBeforeMs, paths };
  if (paths.length >= HELPED_SUBTREES_MIN) giveToHelpers({ module: CHECK_MODULE, data: job });
  else dismissHelpers();
  const checker = new SubtreeChecker(job);
  while (checker.checkLot()) {
    await nextTurn();
    if (signal?.aborted !== true) continue;
    checker.waitForOthers(OTHERS_MS_MAX);
    throw interrupted('The comparison');
  }
  checker.waitForOthers(OTHERS_MS_MAX);
  const verdicts = new Uint8Array(memory.verdicts);
  return new Set(paths.filter((_, i) => verdicts[i] === PROVEN));
}

function sideOf(tree: DirectoryTree): {
  readonly rootFd: number;
  readonly identity: DirectoryTree['identity'];
} {
  const { rootDev, rootMountId, isBtrfs } = tree.identity;
  return { rootFd: tree.rootFd, identity: { rootDev, rootMountId, isBtrfs } };
}

/** From the root down, level by level; what can't be listed now is compared later, and says why then. */
function subtreesOf(tree: DirectoryTree): readonly RawPath[] {
  let level: RawPath[] = [ROOT_PATH];
  for (let listed = 0; level.length > 0 && level.length < SUBTREES_WANTED; ) {
    const below: RawPath[] = [];
    for (const path of level) {
      listed += 1;
      for (const name of directoriesIn(tree, path)) below.push(joinRaw(path, name));
    }
    // What lies between the root and the subtrees is compared anyway: only more of them are worth it.
    if (listed > LISTED_MAX || below.length <= level.length) break;
    level = below;
  }
  return level.filter((path) => path !== ROOT_PATH);
}

function directoriesIn(tree: DirectoryTree, path: RawPath): readonly RawName[] {
  const names: RawName[] = [];
  try {
    tree.listInto(listing, path);
  } catch {
    return names;
  }
  for (let at = 0; at < listing.lengthBytes; at = listing.next(at)) {
    if (listing.direntType(at) === DT_DIR && !listing.isDotOrDotDot(at))
      names.push(listing.name(at));
  }
  return names;
}
