import fc from 'fast-check';
import { expect, test } from 'vitest';
import { InodeTable } from '../../src/backend/inode-table.ts';

const inode = fc.oneof(
  fc.integer({ min: 0, max: 5000 }),
  // As XFS has them: the number of the allocation group in the upper half.
  fc.integer({ min: 0, max: 5000 }).map((low) => 2 ** 32 * 7 + low),
  fc.maxSafeNat(),
);

test('an InodeTable knows what a Map knows', () => {
  const entries = fc.array(fc.tuple(inode, fc.integer()), { maxLength: 6000, size: 'max' });
  fc.assert(
    fc.property(entries, (set) => {
      const table = new InodeTable();
      const map = new Map<number, number>();
      for (const [key, value] of set) {
        table.set(key, value);
        map.set(key, value);
      }
      expect(table.size).toBe(map.size);
      for (const [key, value] of map) expect(table.get(key)).toBe(value);
      for (const [key] of set) expect(table.has(key + 5001)).toBe(map.has(key + 5001));
      expect([...table.values()].sort()).toEqual([...map.values()].sort());
    }),
    { numRuns: 20 },
  );
});
