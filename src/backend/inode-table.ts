/**
 * A number for each of many inodes, in a few bytes each and outside of the JavaScript heap.
 *
 * A tree that came from a package store is hard links throughout: a Map would take hundreds of bytes for
 * each file of it, this takes 16 to 64. Open addressing with linear probing; nothing is ever removed.
 */
const CAPACITY_MIN = 1024;
/** Of two thirds: beyond, probing gets long. */
const FILLED_MAX = 2 / 3;

export class InodeTable {
  /** 0: free. A damaged tree may say that an inode has that number: such a one is kept as -1. */
  #inodes = new Float64Array(CAPACITY_MIN);
  #values = new Float64Array(CAPACITY_MIN);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(inode: number): number | undefined {
    const at = this.#slotOf(inode === 0 ? -1 : inode);
    return this.#inodes[at] === 0 ? undefined : this.#values[at];
  }

  has(inode: number): boolean {
    return this.get(inode) !== undefined;
  }

  set(inode: number, value: number): void {
    if (this.#size + 1 > this.#inodes.length * FILLED_MAX) this.#grow();
    const key = inode === 0 ? -1 : inode;
    const at = this.#slotOf(key);
    if (this.#inodes[at] === 0) this.#size += 1;
    this.#inodes[at] = key;
    this.#values[at] = value;
  }

  /** In no order. */
  *values(): Generator<number> {
    for (let at = 0; at < this.#inodes.length; at += 1) {
      if (this.#inodes[at] !== 0) yield this.#values[at] as number;
    }
  }

  /** Where the inode is, or the free slot where it would be. */
  #slotOf(inode: number): number {
    const mask = this.#inodes.length - 1;
    let at = hashOf(inode) & mask;
    while (this.#inodes[at] !== inode && this.#inodes[at] !== 0) at = (at + 1) & mask;
    return at;
  }

  #grow(): void {
    const [inodes, values] = [this.#inodes, this.#values];
    this.#inodes = new Float64Array(inodes.length * 2);
    this.#values = new Float64Array(inodes.length * 2);
    for (let from = 0; from < inodes.length; from += 1) {
      const inode = inodes[from] as number;
      if (inode === 0) continue;
      const at = this.#slotOf(inode);
      this.#inodes[at] = inode;
      this.#values[at] = values[from] as number;
    }
  }
}

/** The finalizer of MurmurHash3 over both halves: neighbouring numbers must not crowd together. */
function hashOf(inode: number): number {
  let h = Math.imul(Math.floor(inode / 2 ** 32), 0x9e3779b1) ^ (inode >>> 0);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
