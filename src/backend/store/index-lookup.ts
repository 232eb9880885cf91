/**
 * Finding paths in the index, in bounded memory.
 *
 * Where in a block a name is, is found by a table that is made when somebody asks. A walk needs the tables
 * of the directories on its way; those of the others go, or they would grow with the tree.
 */
import { baseOf, parentOf, type RawPath } from '../../core/raw-path.ts';
import type { IndexBlock } from './index-block.ts';
import type { StatIndex } from './stat-index.ts';

/** Entries of blocks whose tables are held. */
const POSITIONS_HELD_MAX = 32_768;

export interface FoundRecord {
  readonly block: IndexBlock;
  readonly at: number;
}

export class IndexLookup {
  readonly #index: StatIndex;
  /** In order of use, the one used last at the end. */
  readonly #blocks = new Set<IndexBlock>();
  #last: IndexBlock | null = null;
  #entries = 0;

  constructor(index: StatIndex) {
    this.#index = index;
  }

  /** null: the index does not know the path; it has no record of the root. */
  find(path: RawPath): FoundRecord | null {
    if (path === '') return null;
    const block = this.#index.blocks.get(parentOf(path));
    if (block === undefined) return null;
    this.#use(block);
    const at = block.find(baseOf(path));
    return at < 0 ? null : { block, at };
  }

  #use(block: IndexBlock): void {
    if (block === this.#last) return;
    this.#last = block;
    if (!this.#blocks.delete(block)) this.#entries += block.count;
    this.#blocks.add(block);
    for (const oldest of this.#blocks) {
      if (this.#entries <= POSITIONS_HELD_MAX || oldest === block) return;
      this.#blocks.delete(oldest);
      this.#entries -= oldest.count;
      oldest.forgetPositions();
    }
  }
}
