/** Cursors: where a page ended, as text that nobody needs to read. One that was made up is refused. */
import { GhostsnapError } from '../core/errors.ts';

export function encodeCursor(at: unknown): string {
  return Buffer.from(JSON.stringify(at), 'utf8').toString('base64url');
}

/** @throws GhostsnapError BAD_ARGUMENT */
export function decodeCursor<T>(cursor: string, parse: (value: unknown) => T | null): T {
  const parsed = parse(parseJson(Buffer.from(cursor, 'base64url').toString('utf8')));
  if (parsed !== null) return parsed;
  throw new GhostsnapError('BAD_ARGUMENT', 'This cursor is not one that was given.', {
    hint: 'Pass "nextCursor" of the page before, unchanged and with the same question.',
  });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON: not one of ours, which is what null says to the parser.
    return null;
  }
}
