import { describe, expect, it } from 'vitest';
import type { TreeReader, TreeRef } from '../../src/backend/backend.ts';
import type { TreeChange } from '../../src/core/tree-change.ts';
import { withRenames } from '../../src/engine/rename-stream.ts';
import type { Workspace } from '../../src/engine/workspace-api.ts';
import { change, entry } from '../core/change-samples.ts';

const of = entry({ ino: 9 });
const moved = [
  change('deleted', 'a', { of }),
  change('added', 'b', { of }),
  change('modified', 'c', {}),
];

/** Two trees of one-line files; opening one is counted. */
function treesOf(contents: Readonly<Record<'from' | 'to', Readonly<Record<string, string>>>>): {
  readonly workspace: Pick<Workspace, 'openTree'>;
  readonly from: TreeRef;
  readonly to: TreeRef;
  readonly opened: () => number;
} {
  let opened = 0;
  const openTree = async (ref: TreeRef): Promise<TreeReader> => {
    opened += 1;
    const files = ref === 'live' ? contents.to : contents.from;
    // At most 2 bytes at a time: a reader may give less than was asked for.
    const readFile = (path: string, offset: number, length: number): Uint8Array =>
      Buffer.from(files[path] ?? '').subarray(offset, offset + Math.min(2, length));
    const reader: Pick<TreeReader, 'readFile' | typeof Symbol.dispose> = {
      readFile,
      [Symbol.dispose]: () => {},
    };
    return reader as TreeReader;
  };
  const from = 'ghost_01ARZ3NDEKTSV4RRFFQ69G5FAV' as TreeRef;
  return { workspace: { openTree }, from, to: 'live', opened: () => opened };
}

const closed = treesOf({ from: {}, to: {} });

async function* streamOf(changes: readonly TreeChange[]): AsyncGenerator<TreeChange> {
  yield* changes;
}

async function collect(changes: AsyncIterable<TreeChange>): Promise<TreeChange[]> {
  const all: TreeChange[] = [];
  for await (const one of changes) all.push(one);
  return all;
}

describe('withRenames()', () => {
  it('finds renames while the changes fit', async () => {
    const found = await collect(withRenames(streamOf(moved), { ...closed, changesMax: 3 }));
    expect(found.map((one) => one.kind)).toEqual(['renamed', 'modified']);
  });

  it('opens no tree where inode numbers prove enough', async () => {
    await collect(withRenames(streamOf(moved), closed));
    expect(closed.opened()).toBe(0);
  });

  it('compares contents where inode numbers are missing', async () => {
    const unknown = entry({ ino: 0, sizeBytes: 5 });
    const changes = [
      change('deleted', 'a/same', { of: unknown }),
      change('deleted', 'a/other', { of: unknown }),
      change('added', 'b/same', { of: { ...unknown, ino: 7 } }),
      change('added', 'b/third', { of: { ...unknown, ino: 8 } }),
    ];
    const trees = treesOf({
      from: { 'a/same': 'equal', 'a/other': 'xxxxx' },
      to: { 'b/same': 'equal', 'b/third': 'yyyyy' },
    });
    const found = await collect(withRenames(streamOf(changes), trees));
    expect(found.map(({ kind, path, oldPath }) => [kind, path, oldPath])).toEqual([
      ['deleted', 'a/other', undefined],
      ['renamed', 'b/same', 'a/same'],
      ['added', 'b/third', undefined],
    ]);
  });

  it('passes everything on in order, and says so, when they do not fit', async () => {
    let skipped = 0;
    const onSkipped = (): void => {
      skipped += 1;
    };
    const found = await collect(
      withRenames(streamOf(moved), { ...closed, changesMax: 2, onSkipped }),
    );
    expect(found).toEqual(moved);
    expect(skipped).toBe(1);
  });
});
