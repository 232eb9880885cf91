import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isCandidate, membersOf, unionOf } from '../../src/backend/candidates.ts';
import { PathSet } from '../../src/backend/path-set.ts';
import type { RawPath } from '../../src/core/raw-path.ts';

const paths = fc.array(
  fc
    .array(fc.constantFrom('a', 'b', 'a.b', 'c'), { minLength: 1, maxLength: 4 })
    .map((names) => names.join('/') as RawPath),
  { maxLength: 12 },
);

test('the union of two sets of candidates is iterated as one set of all of them', () => {
  fc.assert(
    fc.property(paths, paths, paths, (some, others, asked) => {
      const union = unionOf(new PathSet(some), new PathSet(others));
      const all = new PathSet([...some, ...others]);
      expect([...membersOf(union)].map(({ path }) => path)).toEqual([...all]);
      for (const path of asked) expect(isCandidate(union, path)).toBe(all.hasExact(path));
    }),
  );
});

test('what is added to one of them later is in their union', () => {
  const others = new PathSet();
  const union = unionOf(new PathSet(['a/b'] as RawPath[]), others);
  expect(isCandidate(union, 'a/c' as RawPath)).toBe(false);
  others.add('a/c' as RawPath);
  expect(isCandidate(union, 'a/c' as RawPath)).toBe(true);
  expect([...membersOf(union)].map(({ path }) => path)).toEqual(['a/b', 'a/c']);
});
