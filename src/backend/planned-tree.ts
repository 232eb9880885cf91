/**
 * A live tree with some of its paths as a plan wants them: what is turned into when single paths change.
 *
 * Everything that the plan does not name is read from the live tree itself, so it never differs from it and
 * is never touched. Planned content comes from a snapshot, from the live file or from bytes. Read-only; both
 * trees below stay their owners' to close.
 */
import { writeSync } from 'node:fs';
import { baseOf, joinRaw, parentOf, type RawName, type RawPath } from '../core/raw-path.ts';
import type { TreeEntry } from '../core/tree-entry.ts';
import type { PlannedPath, TreeReader } from './backend.ts';
import type { Steps } from './steps.ts';

export class PlannedTree implements TreeReader {
  readonly ref = 'live';
  readonly #live: TreeReader;
  readonly #snapshot: TreeReader;
  readonly #planned = new Map<RawPath, PlannedPath>();
  readonly #below = new Map<RawPath, PlannedPath[]>();

  constructor(
    trees: { readonly live: TreeReader; readonly snapshot: TreeReader },
    planned: readonly PlannedPath[],
  ) {
    this.#live = trees.live;
    this.#snapshot = trees.snapshot;
    for (const one of planned) {
      this.#planned.set(one.path, one);
      const siblings = this.#below.get(parentOf(one.path)) ?? [];
      siblings.push(one);
      this.#below.set(parentOf(one.path), siblings);
    }
  }

  /** True when the content at the path is the live file's own. */
  isLive(path: RawPath): boolean {
    return (this.#planned.get(path)?.content ?? 'live') === 'live';
  }

  root(): TreeEntry {
    const live = this.#live.root();
    const planned = this.#planned.get('' as RawPath)?.entry;
    return planned === undefined || planned === null ? live : { ...planned, ino: live.ino };
  }

  lookup(path: RawPath): TreeEntry | null {
    if (path === '') return this.root();
    const planned = this.#planned.get(path);
    if (planned === undefined) return this.#live.lookup(path);
    return this.#entryOf(planned);
  }

  readDirectory(path: RawPath): readonly TreeEntry[] {
    const entries = new Map<RawName, TreeEntry>();
    const isLiveDirectory = path === '' || this.#live.lookup(path)?.type === 'dir';
    for (const entry of isLiveDirectory ? this.#live.readDirectory(path) : []) {
      if (!this.#planned.has(joinRaw(path, entry.name))) entries.set(entry.name, entry);
    }
    for (const planned of this.#below.get(path) ?? []) {
      const entry = this.#entryOf(planned);
      if (entry !== null && planned.path !== '') entries.set(entry.name, entry);
    }
    return [...entries.values()].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  }

  readLink(path: RawPath): string {
    return this.#treeOf(path).readLink(path);
  }

  readXattrs(path: RawPath): ReturnType<TreeReader['readXattrs']> {
    const planned = this.#planned.get(path);
    if (planned === undefined) return this.#live.readXattrs(path);
    const { xattrs } = planned;
    const tree = xattrs.of === 'live' ? this.#live : this.#snapshot;
    return tree.readXattrs(xattrs.path);
  }

  readFile(path: RawPath, offset: number, length: number): Uint8Array {
    const content = this.#planned.get(path)?.content;
    if (content instanceof Uint8Array) return content.subarray(offset, offset + length);
    return this.#treeOf(path).readFile(path, offset, length);
  }

  *copyFileTo(path: RawPath, toFd: number): Steps<void> {
    const content = this.#planned.get(path)?.content;
    if (content instanceof Uint8Array) {
      for (let at = 0; at < content.length; ) at += writeSync(toFd, content, at);
    } else yield* this.#treeOf(path).copyFileTo(path, toFd);
  }

  [Symbol.dispose](): void {
    // The trees below are closed by whoever opened them.
  }

  /** A directory goes only when the plan removes all that is in it now: nothing unknown goes along. */
  #isEmptied(path: RawPath): boolean {
    return this.#live.readDirectory(path).every(({ name }) => {
      const planned = this.#planned.get(joinRaw(path, name));
      return planned !== undefined && this.#entryOf(planned) === null;
    });
  }

  #treeOf(path: RawPath): TreeReader {
    return this.isLive(path) ? this.#live : this.#snapshot;
  }

  /** A directory that stays keeps its inode: what is below it is then known to be the same place. */
  #entryOf({ path, entry, content }: PlannedPath): TreeEntry | null {
    const live = this.#live.lookup(path);
    if (entry === null) return live?.type === 'dir' && !this.#isEmptied(path) ? live : null;
    const ino = entry.type === 'dir' && live?.type === 'dir' ? live.ino : entry.ino;
    const sizeBytes = content instanceof Uint8Array ? content.length : entry.sizeBytes;
    return { ...entry, name: baseOf(path), ino, sizeBytes };
  }
}
