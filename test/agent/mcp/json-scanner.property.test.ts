import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JsonScanner } from '../../../src/agent/mcp/json-scanner.ts';
import { inPieces, oddMessage } from './odd-message.ts';

interface Found {
  readonly path: readonly (string | null)[];
  readonly text: string;
  readonly raw: string | null;
}

function scan(text: string, sizes: readonly number[]): { found: Found[]; isWhole: boolean } {
  const bytes = Buffer.from(text);
  const found: Found[] = [];
  const scanner = new JsonScanner({
    depthMax: 4,
    onValue: (path, { start, end }, raw) => {
      found.push({ path: [...path], text: bytes.toString('utf8', start, end), raw });
    },
  });
  for (const piece of inPieces(bytes, sizes)) scanner.feed(piece);
  return { found, isWhole: scanner.end() };
}

const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 });

describe('JsonScanner', () => {
  it('takes every JSON text for whole, and finds what JSON.parse finds', () => {
    fc.assert(
      fc.property(oddMessage, sizes, (text, pieces) => {
        let expected: unknown;
        try {
          expected = JSON.parse(text);
        } catch {
          // What is no JSON is looked at by the next test.
          return;
        }
        const { found, isWhole } = scan(text, pieces);
        expect(isWhole).toBe(true);
        expect(found.at(-1)?.path).toEqual([]);
        for (const { path, text: part } of found) JSON.parse(part) ?? path;
        if (typeof expected !== 'object' || expected === null || Array.isArray(expected)) return;
        for (const [name, value] of Object.entries(expected)) {
          const last = found.findLast(({ path }) => path.length === 1 && path[0] === name);
          expect(JSON.parse(last?.text ?? 'undefined')).toEqual(value);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('finds the same whatever the pieces are', () => {
    fc.assert(
      fc.property(oddMessage, sizes, (text, pieces) => {
        expect(scan(text, pieces)).toEqual(scan(text, [1 << 20]));
      }),
      { numRuns: 2000 },
    );
  });

  it('leaps over a string of any size and forgets it', () => {
    const long = `{"id":1,"data":"${'\\"x'.repeat(400_000)}","method":"ping"}`;
    const { found, isWhole } = scan(long, [65_536]);
    expect(isWhole).toBe(true);
    expect(found.map(({ path, raw }) => [path.join('.'), raw])).toEqual([
      ['id', '1'],
      ['data', null],
      ['method', '"ping"'],
      ['', null],
    ]);
  });

  it.each([
    '{"a":1}x',
    '{"a" 1}',
    '{"a":1,}',
    '[1,]',
    '[1 2]',
    '{a:1}',
    "{'a':1}",
    '{"a":1]',
    '"open',
    '',
    '/* */1',
    '[[[',
  ])('does not take %s for whole', (text) => {
    expect(scan(text, [3]).isWhole).toBe(false);
  });

  it('gives up on nesting without end instead of remembering it', () => {
    expect(scan('['.repeat(1_000_000), [65_536]).isWhole).toBe(false);
  });
});
