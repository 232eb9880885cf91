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
import type { Anchor, OuterLinks } from './outer-links.ts';

/** What to do with a live entry whose content is already right. */
export type LinkVerdict = 'keep' | 'relink' | 'separate';

export interface WaitingLink {
  readonly path: RawPath;
  readonly want: TreeEntry;
}

export class ApplyLinks {
  /** Inode in the source to the live name that holds it. */
  readonly #anchors = new Map<number, Anchor>();
  /** Live inode with several names to the one thing in the source it may stand for. */
  readonly #claims = new Map<number, string>();
  readonly #waiting: WaitingLink[] = [];
  readonly #outer: OuterLinks;

  constructor(outer: OuterLinks) {
    this.#outer = outer;
  }

  verdictOn(path: RawPath, have: TreeEntry, want: TreeEntry): LinkVerdict {
    const isGroup = want.nlink > 1;
    const outer = this.#outer.anchorOf(want);
    if (outer !== null) return outer.liveIno === have.ino ? 'keep' : 'relink';
    if (this.#outer.holds(have.ino)) return isGroup ? 'relink' : 'separate';
    if (have.nlink > 1) {
      const claim = isGroup ? `inode ${want.ino}` : `path ${path}`;
      const known = this.#claims.get(have.ino);
      if (known !== undefined && known !== claim) return isGroup ? 'relink' : 'separate';
      this.#claims.set(have.ino, claim);
    }
    if (!isGroup) return 'keep';
    const anchor = this.#anchors.get(want.ino);
    if (anchor === undefined) {
      this.setAnchor(want, path, have.ino);
      return 'keep';
    }
    return anchor.liveIno === have.ino ? 'keep' : 'relink';
  }

  setAnchor(want: TreeEntry, path: RawPath, liveIno: number): void {
    this.#anchors.set(want.ino, { path, liveIno });
  }

  anchorOf(want: TreeEntry): Anchor | null {
    // One that was made because the outer one had gone comes first.
    return this.#anchors.get(want.ino) ?? this.#outer.anchorOf(want);
  }

  wait(path: RawPath, want: TreeEntry): void {
    this.#waiting.push({ path, want });
  }

  get waiting(): readonly WaitingLink[] {
    return this.#waiting;
  }
}
