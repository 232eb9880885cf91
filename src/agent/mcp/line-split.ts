/**
 * Cuts a stream into lines without changing a byte: a line is handed on with its newline, and what
 * follows the last newline is handed on as it is when the stream ends.
 *
 * Memory is bounded: of a line over the bound nothing is kept, and it is handed on as `too-long`.
 */
const NEWLINE = 0x0a;

export type Line = { readonly bytes: Buffer } | { readonly tooLongBytes: number };

export interface SplitOptions {
  readonly lineBytesMax: number;
}

export async function* splitLines(
  chunks: AsyncIterable<Buffer>,
  { lineBytesMax }: SplitOptions,
): AsyncGenerator<Line> {
  let parts: Buffer[] = [];
  let heldBytes = 0;
  const take = (): Line => {
    const line: Line =
      heldBytes > lineBytesMax ? { tooLongBytes: heldBytes } : { bytes: joined(parts) };
    parts = [];
    heldBytes = 0;
    return line;
  };
  const hold = (part: Buffer): void => {
    heldBytes += part.length;
    if (heldBytes > lineBytesMax) parts = [];
    else parts.push(part);
  };
  for await (const chunk of chunks) {
    let from = 0;
    while (from < chunk.length) {
      const newline = chunk.indexOf(NEWLINE, from);
      const end = newline < 0 ? chunk.length : newline + 1;
      hold(chunk.subarray(from, end));
      from = end;
      if (newline >= 0) yield take();
    }
  }
  if (heldBytes > 0) yield take();
}

function joined(parts: readonly Buffer[]): Buffer {
  const [only] = parts;
  return parts.length === 1 && only !== undefined ? only : Buffer.concat(parts);
}
