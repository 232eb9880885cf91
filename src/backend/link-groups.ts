/**
 * Hard links: which visits of a walk came to the same inode, and whether the other tree agrees.
 *
 * Only inodes with more than one link are remembered, each by the number of the visit that came to it
 * first. Two trees have the same structure exactly when, at every visit, both name the same first one.
 */
import type { TreeEntry } from '../core/tree-entry.ts';
import { InodeTable } from './inode-table.ts';

export class LinkGroups {
  readonly #first = new InodeTable();

  /** The first visit of the entry's group: `visit` itself when it is the first or has one link. */
  firstOf(visit: number, entry: TreeEntry | null): number {
    if (entry === null || entry.nlink < 2 || entry.type === 'dir') return visit;
    const known = this.#first.get(entry.ino);
    if (known !== undefined) return known;
    this.#first.set(entry.ino, visit);
    return visit;
  }
}
