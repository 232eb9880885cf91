/**
 * Hard links: which paths of one tree share an inode, and whether the other tree agrees.
 *
 * Only inodes with more than one link are remembered, each by the first path it was seen under. Two
 * trees have the same structure exactly when, at every path, both name the same first path.
 */
import type { RawPath } from '../core/raw-path.ts';
import type { TreeEntry } from '../core/tree-entry.ts';

export class LinkGroups {
  readonly #first = new Map<number, RawPath>();

  /** The first path of the entry's group; the path itself when it is the first or has one link. */
  firstOf(path: RawPath, entry: TreeEntry | null): RawPath {
    if (entry === null || entry.nlink < 2 || entry.type === 'dir') return path;
    const known = this.#first.get(entry.ino);
    if (known !== undefined) return known;
    this.#first.set(entry.ino, path);
    return path;
  }
}
