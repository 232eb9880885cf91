/**
 * What an engine knows of one live workspace between two snapshots.
 *
 * Without watching: nothing; the index is read from disk and written back, every entry is checked against
 * it, and the directories that are not as they were are looked at.
 * With watching: the index stays in memory with the directories that changed, and a snapshot looks only
 * at those, at directories of hard-linked and of mapped files, and at the ones that were busy lately.
 * Whatever makes this knowledge doubtful turns the next snapshot into a full look.
 */
import { readFileSync, rmSync } from 'node:fs';
import {
  isWithin,
  joinRaw,
  parentOf,
  type RawPath,
  ROOT_PATH,
  rawFromText,
} from '../../core/raw-path.ts';
import type { UncoveredPath, WorkspaceRef } from '../backend.ts';
import type { DirectoryTree } from '../directory-tree.ts';
import type { InodeTable } from '../inode-table.ts';
import { PathSet } from '../path-set.ts';
import { errnoOf } from '../syscall-failure.ts';
import { filesystemMagic } from '../syscalls-inode-linux.ts';

import { FormatError } from './binary-codec.ts';
import { ChangeWatcher, type HeardChanges } from './change-watcher.ts';
import type { IndexBlock } from './index-block.ts';
import { isLocalFilesystem } from './local-filesystems.ts';
import { tryReadManifest } from './manifest-files.ts';
import { loadIndex, type StatIndex, saveIndex } from './stat-index.ts';
import { formatOf, inoOf, S_IFDIR } from './stat-record.ts';
import { workspacePaths } from './store-layout.ts';
import type { TreeScan } from './tree-scan.ts';
import { directoriesToLookAt } from './unmoved-directories.ts';

/** Busy directories that stay under observation: a mapping of another user's process may be there. */
const BUSY_DIRECTORIES_MAX = 32;
/** Bigger directories are not looked at on mere suspicion. */
const BUSY_ENTRIES_MAX = 1000;
/** Snapshots between two writes of the index while it is in memory. */
const SNAPSHOTS_PER_SAVE = 32;

/** What the next scan has to look at. */
export interface LookPlan {
  readonly oldBlocks: ReadonlyMap<RawPath, IndexBlock>;
  /** null: everything. */
  readonly scope: PathSet | null;
  readonly moved: PathSet;
  readonly heard: HeardChanges | null;
}

const NOTHING_KNOWN: ReadonlyMap<RawPath, IndexBlock> = new Map();

export class LiveState implements Disposable {
  readonly #ref: WorkspaceRef;
  readonly #watcher: ChangeWatcher | null;
  #index: StatIndex | null = null;
  #uncovered = new Map<RawPath, readonly UncoveredPath[]>();
  #linked = new Set<RawPath>();
  readonly #busy = new Set<RawPath>();
  /** Directories of files that were mapped at the last look. */
  #mapped: ReadonlySet<RawPath> = new Set();
  #mounts = '';
  #unsaved = 0;

  constructor(ref: WorkspaceRef, watch: 'on' | 'off') {
    this.#ref = ref;
    this.#watcher = watch === 'on' ? new ChangeWatcher() : null;
  }

  get watcher(): ChangeWatcher | null {
    return this.#watcher;
  }

  /** The index, if the snapshot it stands for is still there: only then do its objects exist. */
  usableIndex(): StatIndex | null {
    const index = this.#index ?? loadIndex(workspacePaths(this.#ref.poolRoot, this.#ref.id).index);
    if (index === null) return null;
    const manifest = tryReadManifest(this.#ref, index.snapshot);
    const isUsable = manifest !== null && manifest.root.child === index.rootId;
    if (!isUsable) this.#index = null;
    return isUsable ? index : null;
  }

  /** Entries of the last snapshot, for a progress bar; null when unknown. */
  knownEntries(): number | null {
    return this.#index?.blocks.get(ROOT_PATH)?.subtreeEntries ?? null;
  }

  /**
   * Yields where others may have their turn.
   * @param mapped files that are mapped writable
   */
  *planLook(tree: DirectoryTree, mapped: ReadonlySet<RawPath>): Generator<'pause', LookPlan> {
    const index = this.usableIndex();
    const oldBlocks = index?.blocks ?? NOTHING_KNOWN;
    const everything = { oldBlocks, scope: null, moved: new PathSet(), heard: null };
    const watcher = this.#watcher;
    if (watcher === null && index !== null) {
      const scope = yield* directoriesToLookAt(tree, index);
      for (const path of mapped) if (oldBlocks.has(parentOf(path))) scope?.add(parentOf(path));
      return { ...everything, scope };
    }
    if (watcher === null || !isLocalFilesystem(filesystemMagic(tree.rootFd))) return everything;
    watcher.drain();
    const mounts = mountsAround(rawFromText(this.#ref.path));
    const isKnown = this.#index !== null && watcher.isComplete && mounts === this.#mounts;
    this.#mounts = mounts;
    if (!isKnown) {
      this.#mapped = new Set([...mapped].map(parentOf));
      watcher.startOver();
      return everything;
    }
    const heard = watcher.take();
    const scope = this.#scope(heard, oldBlocks, mapped);
    return { oldBlocks, scope, moved: heard.moved, heard };
  }

  /**
   * `plan` with the directories that hold other names of files whose links moved: whoever makes a link is
   * heard in the directory of the new name only. The same plan when all of them were looked at.
   */
  withOtherNames(plan: LookPlan, scan: TreeScan): LookPlan {
    if (plan.scope === null || scan.movedLinks.size === 0) return plan;
    const scope = new PathSet(plan.scope);
    const before = scope.size;
    for (const [path, block] of plan.oldBlocks) {
      if (!scan.listed.has(path) && holdsAnyOf(block, scan.movedLinks)) scope.add(path);
    }
    return scope.size === before ? plan : { ...plan, scope };
  }

  /** Nothing that is known holds: the index contradicts the store. */
  forgetIndex(): LookPlan {
    this.#index = null;
    this.#watcher?.startOver();
    return { oldBlocks: NOTHING_KNOWN, scope: null, moved: new PathSet(), heard: null };
  }

  /** After a failed look. */
  giveBack(plan: LookPlan): void {
    if (plan.heard === null) this.#watcher?.loseTrack();
    else this.#watcher?.returnHeard(plan.heard);
  }

  /** Uncovered paths of the whole tree, given what the scan saw of a part. Before `adopt`. */
  uncoveredAfter(scan: TreeScan, plan: LookPlan): UncoveredPath[] {
    if (plan.scope === null) this.#uncovered = new Map();
    for (const path of scan.updated.keys()) {
      const noted = scan.uncovered.get(path);
      if (noted !== undefined) this.#uncovered.set(path, noted);
      else if (scan.listed.has(path)) this.#uncovered.delete(path);
    }
    return [...this.#uncovered.values()].flat();
  }

  /** The snapshot is in place: what the scan saw is what is known from now on. */
  adopt(scan: TreeScan, plan: LookPlan, snapshot: StatIndex['snapshot']): void {
    const blocks = plan.scope === null ? scan.updated : new Map(plan.oldBlocks);
    if (plan.scope !== null) {
      this.#remove(blocks, removedDirectories(scan, plan.oldBlocks));
      for (const [path, block] of scan.updated) blocks.set(path, block);
    }
    const index: StatIndex = { snapshot, rootId: scan.root.id, blocks, file: null, offsets: [] };
    if (this.#watcher === null) {
      this.#save(index);
      return;
    }
    if (plan.scope === null) this.#linked.clear();
    for (const [path, block] of scan.updated) {
      if (block.linkedFiles > 0) this.#linked.add(path);
      else this.#linked.delete(path);
    }
    this.#index = index;
    this.#unsaved += 1;
    if (plan.scope === null || this.#unsaved >= SNAPSHOTS_PER_SAVE) this.#save(index);
  }

  [Symbol.dispose](): void {
    if (this.#index !== null && this.#unsaved > 0) this.#save(this.#index);
    this.#watcher?.[Symbol.dispose]();
  }

  #scope(
    heard: HeardChanges,
    blocks: ReadonlyMap<RawPath, IndexBlock>,
    mapped: ReadonlySet<RawPath>,
  ): PathSet {
    const scope = new PathSet();
    for (const path of heard.dirty) {
      scope.add(path);
      this.#busy.delete(path);
      this.#busy.add(path);
    }
    for (const path of this.#busy) {
      if (this.#busy.size > BUSY_DIRECTORIES_MAX) this.#busy.delete(path);
      else if ((blocks.get(path)?.count ?? BUSY_ENTRIES_MAX) < BUSY_ENTRIES_MAX) scope.add(path);
    }
    for (const path of this.#linked) scope.add(path);
    // What was mapped the last time may have been stored to since, and let go without a trace.
    for (const path of this.#mapped) if (blocks.has(path)) scope.add(path);
    this.#mapped = new Set([...mapped].map(parentOf));
    for (const path of this.#mapped) if (blocks.has(path)) scope.add(path);
    return scope;
  }

  #remove(blocks: Map<RawPath, IndexBlock>, roots: readonly RawPath[]): void {
    if (roots.length === 0) return;
    const isGone = (path: RawPath): boolean => roots.some((root) => isWithin(path, root));
    for (const path of blocks.keys()) if (isGone(path)) blocks.delete(path);
    for (const path of this.#linked) if (isGone(path)) this.#linked.delete(path);
    for (const path of this.#uncovered.keys()) if (isGone(path)) this.#uncovered.delete(path);
    this.#watcher?.forget(roots);
  }

  /** A cache that can't be written is none: the next snapshot reads more, and nothing else happens. */
  #save(index: StatIndex): void {
    const { index: path } = workspacePaths(this.#ref.poolRoot, this.#ref.id);
    this.#unsaved = 0;
    try {
      saveIndex(path, index);
    } catch (error) {
      if (!(error instanceof FormatError) && errnoOf(error) === '') throw error;
      rmSync(`${path}.new`, { force: true });
    }
  }
}

function holdsAnyOf(block: IndexBlock, inodes: InodeTable): boolean {
  for (let i = 0; i < block.count; i += 1) if (inodes.has(inoOf(block.records, i))) return true;
  return false;
}

/**
 * The mounts that a path lies on or holds, as text to be compared: mounting over a directory is no event
 * in it. Other mounts of a machine come and go all the time and change nothing here.
 */
function mountsAround(path: string): string {
  const lines = readFileSync('/proc/self/mountinfo', 'latin1').split('\n');
  const isAround = (line: string): boolean => {
    const mount = (line.split(' ', 5)[4] ?? '').replace(/\\([0-7]{3})/g, (_, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    );
    return (
      isWithin(mount as RawPath, path as RawPath) ||
      mount === '/' ||
      isWithin(path as RawPath, mount as RawPath)
    );
  };
  return lines.filter(isAround).join('\n');
}

/** Directories that were there before and are no longer, of those that were looked at. */
function removedDirectories(
  scan: TreeScan,
  before: ReadonlyMap<RawPath, IndexBlock>,
): readonly RawPath[] {
  const removed: RawPath[] = [];
  for (const [path, block] of scan.updated) {
    const old = before.get(path);
    if (old === undefined || old === block) continue;
    for (let i = 0; i < old.count; i += 1) {
      if (formatOf(old.records, i) !== S_IFDIR) continue;
      const name = old.name(i);
      const now = block.find(name);
      if (now >= 0 && formatOf(block.records, now) === S_IFDIR) continue;
      removed.push(joinRaw(path, name));
    }
    block.forgetPositions();
  }
  return removed;
}
