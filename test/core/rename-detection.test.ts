import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { comparePaths } from '../../src/core/raw-path.ts';
import { detectRenames, needsContentEvidence } from '../../src/core/rename-detection.ts';
import type { TreeChange } from '../../src/core/tree-change.ts';
import { change, entry } from './change-samples.ts';

describe('detectRenames()', () => {
  it('pairs a deleted and an added path of one inode, size and mtime', () => {
    const of = entry({ ino: 7, sizeBytes: 100, mtimeNs: 5n });
    const result = detectRenames([change('added', 'b', { of }), change('deleted', 'a', { of })]);
    expect(result).toEqual([
      { path: 'b', kind: 'renamed', from: of, to: of, fields: [], oldPath: 'a' },
    ]);
  });

  it.each([
    ['inode', { ino: 8 }],
    ['size', { sizeBytes: 101 }],
    ['mtime', { mtimeNs: 6n }],
    ['type', { type: 'symlink' as const }],
  ])('does not pair paths whose %s differs', (_, difference) => {
    const of = entry({ ino: 7, sizeBytes: 100, mtimeNs: 5n });
    const changes = [
      change('deleted', 'a', { of }),
      change('added', 'b', { of: { ...of, ...difference } }),
    ];
    expect(detectRenames(changes)).toEqual(changes);
  });

  it('pairs by content where inode numbers are missing, one of the same base name first', () => {
    const of = entry({ ino: 0, sizeBytes: 5 });
    const changes = [
      change('deleted', 'a/x', { of }),
      change('deleted', 'a/y', { of }),
      change('added', 'b/y', { of }),
    ];
    const result = detectRenames(changes, () => true);
    expect(result.map(({ kind, path, oldPath }) => [kind, path, oldPath])).toEqual([
      ['deleted', 'a/x', undefined],
      ['renamed', 'b/y', 'a/y'],
    ]);
    expect(needsContentEvidence(changes)).toBe(true);
  });

  it.each([
    ['empty files', entry({ ino: 0, sizeBytes: 0 })],
    ['directories', entry({ ino: 0, type: 'dir', sizeBytes: 0 })],
  ])('does not ask for the content of %s', (_, of) => {
    const changes = [change('deleted', 'a', { of }), change('added', 'b', { of })];
    expect(detectRenames(changes, () => true)).toEqual(changes);
    expect(needsContentEvidence(changes)).toBe(false);
  });

  it('never asks for content where two inode numbers differ', () => {
    const changes = [
      change('deleted', 'a', { of: entry({ ino: 1 }) }),
      change('added', 'b', { of: entry({ ino: 2 }) }),
    ];
    expect(detectRenames(changes, () => true)).toEqual(changes);
    expect(needsContentEvidence(changes)).toBe(false);
  });

  it('never pairs entries without an inode number by itself, nor boundaries', () => {
    for (const of of [entry({ ino: 0 }), entry({ ino: 256, type: 'subvolume' })]) {
      const changes = [change('deleted', 'a', { of }), change('added', 'b', { of })];
      expect(detectRenames(changes)).toEqual(changes);
    }
  });

  it('names the metadata that changed with the name', () => {
    const from = entry({ ino: 7, mode: 0o600, uid: 1 });
    const to = entry({ ino: 7, mode: 0o755, uid: 2, nlink: 2 });
    const [only] = detectRenames([
      change('deleted', 'a', { of: from }),
      change('added', 'b', { of: to }),
    ]);
    expect(only?.fields).toEqual(['mode', 'owner', 'links']);
  });

  it('gives the same result whatever the order of the changes, in walk order, losing no path', () => {
    const arbitrary = fc.uniqueArray(
      fc.record({
        path: fc.stringMatching(/^[ab.]{1,3}(\/[ab]{1,2})?$/),
        kind: fc.constantFrom('added' as const, 'deleted' as const, 'modified' as const),
        ino: fc.integer({ min: 1, max: 3 }),
      }),
      { selector: (item) => item.path, maxLength: 12 },
    );
    fc.assert(
      fc.property(arbitrary, fc.infiniteStream(fc.nat()), (items, salt) => {
        const changes = items.map((item) =>
          change(item.kind, item.path, { of: entry({ ino: item.ino }) }),
        );
        const weights = new Map(changes.map((one) => [one, salt.next().value]));
        const shuffled = changes.toSorted((a, b) => weights.get(a) - weights.get(b));
        const result = detectRenames(changes);
        expect(detectRenames(shuffled)).toEqual(result);
        expect(result).toEqual(result.toSorted((a, b) => comparePaths(a.path, b.path)));
        expect(pathsOf(result)).toEqual(changes.map((one) => one.path).toSorted());
      }),
    );
  });
});

function pathsOf(changes: readonly TreeChange[]): string[] {
  return changes
    .flatMap((one) => (one.oldPath === undefined ? [one.path] : [one.path, one.oldPath]))
    .toSorted();
}
