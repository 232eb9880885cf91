/**
 * Texts that are nearly JSON: what a fuzzer of a JSON reader wants, as an arbitrary and as a stream.
 *
 * Made by breaking good JSON in few places, because random bytes are refused at the first of them. The
 * stream is seeded, so that a finding can be repeated.
 */
import fc from 'fast-check';

const PIECES = [
  ...['', '"', '{', '}', '[', ']', ',', ':', '\\', '\\u', '\\ud83d', '\\ude00', ' ', '\n', '\t'],
  ...['0', '-', '.', 'e', '1e999', '-0', '00', 'true', 'null', 'NaN', '"a":', '"a":1,', '{"a":'],
  ...['__proto__', '"__proto__":', '9007199254740993', '\u0000', '\u001f', '\u007f', '\u2028'],
  ...['/*', '//', "'", '\\"', '\\\\', '\\x', '\\u00', '\ufeff', '[[[[[[[[[[[[[[[[[', '1e-400'],
];

const change = fc.record({ at: fc.nat(), drop: fc.nat(3), put: fc.constantFrom(...PIECES) });

/** As UTF-8 carries them: a change may have cut a character in two. */
export const mutatedJson: fc.Arbitrary<string> = fc
  .tuple(fc.json({ maxDepth: 5 }), fc.array(change, { maxLength: 3 }))
  .map(([text, changes]) => Buffer.from(changes.reduce(applied, text)).toString());

function applied(
  text: string,
  { at, drop, put }: { at: number; drop: number; put: string },
): string {
  const from = at % (text.length + 1);
  return text.slice(0, from) + put + text.slice(from + drop);
}

/** Mutations of `seeds`, for ever; the same seed gives the same ones. */
export function* mutations(seeds: readonly string[], seed: number): Generator<string> {
  let state = seed >>> 0 || 1;
  const below = (bound: number): number => {
    // xorshift32: quick, and repeated on any machine.
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % bound;
  };
  for (;;) {
    let text = seeds[below(seeds.length)] ?? '';
    for (let left = below(4); left >= 0; left -= 1) {
      const put = PIECES[below(PIECES.length)] ?? '';
      text = applied(text, { at: below(text.length + 1), drop: below(4), put });
    }
    yield text;
  }
}
