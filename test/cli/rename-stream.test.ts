import { describe, expect, it } from 'vitest';
import { withRenames } from '../../src/cli/rename-stream.ts';
import type { TreeChange } from '../../src/core/tree-change.ts';
import { change, entry } from '../core/change-samples.ts';

const of = entry({ ino: 9 });
const moved = [
  change('deleted', 'a', { of }),
  change('added', 'b', { of }),
  change('modified', 'c', {}),
];

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
    const found = await collect(withRenames(streamOf(moved), { changesMax: 3 }));
    expect(found.map((one) => one.kind)).toEqual(['renamed', 'modified']);
  });

  it('passes everything on in order, and says so, when they do not fit', async () => {
    let skipped = 0;
    const onSkipped = (): void => {
      skipped += 1;
    };
    const found = await collect(withRenames(streamOf(moved), { changesMax: 2, onSkipped }));
    expect(found).toEqual(moved);
    expect(skipped).toBe(1);
  });
});
