/**
 * Hard links while a tree is turned.
 *
 * A live inode that already holds what a group of the source wants becomes the group's anchor,
 * wherever in the tree it is met; every other member waits until the walk is over and is then made
 * a name of the anchor. Only a group without any anchor is written anew. So an unchanged member
 * keeps its inode, and two files that the source keeps apart never share one. Where single paths are
 * turned, a name beside them that holds what a group wants is its anchor before any other.
 */
import type { RawPath } from '../core/raw-path.ts';
import type { TreeEntry } from '../core/tree-entry.ts';
import { InodeTable } from './inode-table.ts';
import type { Anchor, OuterLinks } from './outer-links.ts';
import { PathList } from './path-list.ts';

/** What to do with a live entry whose content is already right. */
export type LinkVerdict = 'keep' | 'relink' | 'separate';

export class ApplyLinks {
  /** Live names that hold what a group of the source wants. */
  readonly #anchors = new PathList();
  /** Inode in the source to its anchor's place in the list, and to the anchor's inode. */
  readonly #anchorOf = new InodeTable();
  readonly #anchorInode = new InodeTable();
  /**
   * Live inode with several names to the one thing in the source it may stand for: a group by its inode
   * number, a single path by its place in the list, counted from -1 downwards.
   */
  readonly #claims = new InodeTable();
  readonly #claimed = new PathList();
  readonly #waiting = new PathList();
  readonly #outer: OuterLinks;

  constructor(outer: OuterLinks) {
    this.#outer = outer;
  }

  verdictOn(path: RawPath, have: TreeEntry, want: TreeEntry): LinkVerdict {
    const isGroup = want.nlink > 1;
    const outer = this.#outer.anchorOf(want);
    if (outer !== null) return outer.liveIno === have.ino ? 'keep' : 'relink';
    if (this.#outer.holds(have.ino)) return isGroup ? 'relink' : 'separate';
    if (have.nlink > 1 && !this.#claim(path, have, want)) return isGroup ? 'relink' : 'separate';
    if (!isGroup) return 'keep';
    const anchor = this.#anchorInode.get(want.ino);
    if (anchor === undefined) {
      this.setAnchor(want, path, have.ino);
      return 'keep';
    }
    return anchor === have.ino ? 'keep' : 'relink';
  }

  setAnchor(want: TreeEntry, path: RawPath, liveIno: number): void {
    this.#anchorOf.set(want.ino, this.#anchors.push(path));
    this.#anchorInode.set(want.ino, liveIno);
  }

  anchorOf(want: TreeEntry): Anchor | null {
    const at = this.#anchorOf.get(want.ino);
    const liveIno = this.#anchorInode.get(want.ino);
    // One that was made because the outer one had gone comes first.
    if (at === undefined || liveIno === undefined) return this.#outer.anchorOf(want);
    return { path: this.#anchors.at(at), liveIno };
  }

  wait(path: RawPath): void {
    this.#waiting.push(path);
  }

  /** In the order in which they began to wait: that of the walk. */
  get waiting(): Iterable<RawPath> {
    return this.#waiting;
  }

  /** False: it stands for another thing already. */
  #claim(path: RawPath, have: TreeEntry, want: TreeEntry): boolean {
    const known = this.#claims.get(have.ino);
    if (known !== undefined) {
      if (known >= 0) return want.nlink > 1 && known === want.ino;
      return want.nlink <= 1 && this.#claimed.at(-1 - known) === path;
    }
    this.#claims.set(have.ino, want.nlink > 1 ? want.ino : -1 - this.#claimed.push(path));
    return true;
  }
}
