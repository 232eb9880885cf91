/**
 * What has to be looked at in a live tree whose index is at hand and whose changes nobody has heard.
 *
 * Every directory of the index is checked, by this thread and by as many helpers as have come up; those
 * that are not proven are what the walk looks at. The blocking and the asynchronous caller differ in
 * whether the event loop gets its turn between two lots.
 */
import { joinRaw, type RawPath, ROOT_PATH } from '../../core/raw-path.ts';
import type { DirectoryTree } from '../directory-tree.ts';
import { PathSet } from '../path-set.ts';
import { dismissHelpers, giveToHelpers } from '../side-threads.ts';
import { filesystemMagic } from '../syscalls-inode-linux.ts';
import { makeLotMemory, PROVEN } from '../work-lots.ts';
import type { IndexBlock } from './index-block.ts';
import { IndexChecker, TASK_WORDS } from './index-check.ts';
import { isLocalFilesystem } from './local-filesystems.ts';
import type { StatIndex } from './stat-index.ts';
import { formatOf, S_IFDIR } from './stat-record.ts';

/** Entries below which one thread is done before a second would have come up. */
const HELPED_ENTRIES_MIN = 15_000;
/** A lot takes milliseconds; a helper that needs this long is not coming back. */
const HELPER_MS_MAX = 10_000;

const CHECK_MODULE = new URL(
  `./index-check-worker${import.meta.url.slice(import.meta.url.lastIndexOf('.'))}`,
  import.meta.url,
).href;

interface Tasks {
  readonly blocks: readonly IndexBlock[];
  readonly words: SharedArrayBuffer;
  /** Directories that hold another one the index does not know: a boundary. */
  readonly unfit: ReadonlySet<IndexBlock>;
}

/**
 * The directories that are not proven to be as the index has them; null: the index is of no use for
 * this. Yields between two lots.
 */
export function* directoriesToLookAt(
  tree: DirectoryTree,
  index: StatIndex,
): Generator<'pause', PathSet | null> {
  const { file } = index;
  const tasks = file === null ? null : tasksOf(index);
  if (file === null || tasks === null) {
    dismissHelpers();
    return null;
  }
  const memory = makeLotMemory(tasks.blocks.length);
  const job = {
    ...memory,
    index: file,
    tasks: tasks.words,
    rootFd: tree.rootFd,
    rootMountId: tree.identity.rootMountId,
    listings: isLocalFilesystem(filesystemMagic(tree.rootFd)) ? 'vouched by ctime' : 'read',
  } as const;
  const entries = index.blocks.get(ROOT_PATH)?.subtreeEntries ?? 0;
  if (entries >= HELPED_ENTRIES_MIN) giveToHelpers({ module: CHECK_MODULE, data: job });
  else dismissHelpers();
  const checker = new IndexChecker(job);
  while (checker.checkLot()) yield 'pause';
  if (!checker.waitForOthers(HELPER_MS_MAX)) return null;
  return unproven(tasks, new Uint8Array(memory.verdicts));
}

/** null: a directory that no other one holds, so the index is not of one tree. */
function tasksOf({ blocks, offsets }: StatIndex): Tasks | null {
  const all = [...blocks.values()];
  const words = new SharedArrayBuffer(all.length * TASK_WORDS * 4);
  const tasks = new Int32Array(words);
  const numbers = new Map<RawPath, number>();
  const unfit = new Set<IndexBlock>();
  let number = 0;
  for (const path of blocks.keys()) {
    tasks[number * TASK_WORDS] = offsets[number] ?? -1;
    tasks[number * TASK_WORDS + 1] = -1;
    numbers.set(path, number);
    number += 1;
  }
  number = 0;
  let held = 0;
  for (const [path, block] of blocks) {
    for (let i = 0; i < block.count; i += 1) {
      if (formatOf(block.records, i) !== S_IFDIR) continue;
      const child = numbers.get(joinRaw(path, block.name(i)));
      if (child === undefined) {
        unfit.add(block);
        continue;
      }
      tasks[child * TASK_WORDS + 1] = offsets[number] ?? -1;
      tasks[child * TASK_WORDS + 2] = i;
      held += 1;
    }
    number += 1;
  }
  const isOneTree = blocks.has(ROOT_PATH) && held === all.length - 1;
  return isOneTree ? { blocks: all, words, unfit } : null;
}

function unproven({ blocks, unfit }: Tasks, verdicts: Uint8Array): PathSet {
  const paths = new PathSet();
  for (const [i, block] of blocks.entries()) {
    if (verdicts[i] !== PROVEN || unfit.has(block)) paths.add(block.path);
  }
  return paths;
}
