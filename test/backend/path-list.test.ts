import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PathList } from '../../src/backend/path-list.ts';
import type { RawPath } from '../../src/core/raw-path.ts';

const anyByte = fc.integer({ min: 1, max: 255 }).map((code) => String.fromCharCode(code));
const anyPath = fc
  .array(fc.string({ unit: anyByte, maxLength: 300 }), { maxLength: 40 })
  .map((names) => names.join('/') as RawPath);

test('a PathList gives back every path, by its place and in order, whatever they are', () => {
  fc.assert(
    fc.property(fc.array(anyPath, { maxLength: 300 }), (paths) => {
      const list = new PathList();
      expect(paths.map((path) => list.push(path))).toEqual(paths.map((_, i) => i));
      expect(list.length).toBe(paths.length);
      expect([...list]).toEqual(paths);
      expect(paths.map((_, i) => list.at(i))).toEqual(paths);
      expect(() => list.at(paths.length)).toThrow(RangeError);
    }),
    { numRuns: 50 },
  );
});

test('a PathList keeps a path of a hundred thousand bytes', () => {
  const list = new PathList();
  const long = 'd/'.repeat(50_000) as RawPath;
  for (let i = 0; i < 130; i += 1) list.push(`${long}${i}` as RawPath);
  expect(list.at(128)).toBe(`${long}128`);
});
