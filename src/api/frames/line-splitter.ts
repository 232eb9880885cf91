/**
 * Bytes of a stream cut into lines, in bounded memory.
 *
 * A line is held until its end has come, and never more of it than the bound: what is longer ends the
 * stream, as nobody can tell where the next line would begin. Bytes are handed on as they came.
 */
const NEWLINE = 0x0a;

export class LineSplitter {
  readonly #bytesMax: number;
  /** Pieces of the line that has begun. */
  #held: Buffer[] = [];
  #heldBytes = 0;

  /** @param bytesMax of one line, without its newline */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Something has begun and not ended. */
  get isInside(): boolean {
    return this.#heldBytes > 0;
  }

  /** @returns the lines that end in `chunk`; null: one is longer than the bound */
  push(chunk: Buffer): Buffer[] | null {
    const lines: Buffer[] = [];
    let from = 0;
    for (;;) {
      const end = chunk.indexOf(NEWLINE, from);
      const piece = chunk.subarray(from, end < 0 ? chunk.length : end);
      if (this.#heldBytes + piece.length > this.#bytesMax) return null;
      if (end < 0) {
        if (piece.length > 0) this.#hold(piece);
        return lines;
      }
      lines.push(this.#complete(piece));
      from = end + 1;
    }
  }

  /** Copied: a chunk is a part of a buffer that others share, and would keep it all. */
  #hold(piece: Buffer): void {
    this.#held.push(Buffer.from(piece));
    this.#heldBytes += piece.length;
  }

  #complete(piece: Buffer): Buffer {
    if (this.#heldBytes === 0) return piece;
    const line = Buffer.concat([...this.#held, piece]);
    this.#held = [];
    this.#heldBytes = 0;
    return line;
  }
}
