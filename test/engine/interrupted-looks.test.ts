/** Whoever asks to stop is heard by what only looks, or writes elsewhere, as well. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { RollbackPlan } from '../../src/engine/workspace-api.ts';
import { protect } from '../never/protected-workspace.ts';

const STOPPED = { code: 'INTERRUPTED' };
const signal = AbortSignal.abort();

async function read({ changes }: RollbackPlan): Promise<number> {
  let count = 0;
  for await (const _ of changes) count += 1;
  return count;
}

describe.each(['store', 'btrfs'] as const)('on a %s workspace', (kind) => {
  it('stops plans', async () => {
    await using place = await protect({ kind, before: 'mkdir d; touch d/a d/b' });
    await using workspace = await place.open();
    const { id } = await workspace.snapshot();
    place.sh('rm -r d');
    // The root's own times as well.
    expect(await read(await workspace.planRollback(id))).toBe(4);
    await expect(workspace.planRollback(id, { signal }).then(read)).rejects.toMatchObject(STOPPED);
    const restore = workspace.planRestore(id, ['d'], { signal });
    await expect(restore.then(read)).rejects.toMatchObject(STOPPED);
  });

  it('stops writing paths elsewhere', async () => {
    await using place = await protect({ kind, before: 'mkdir d; touch d/a d/b' });
    await using workspace = await place.open();
    const { id } = await workspace.snapshot();
    const to = join(place.path, '..', 'taken-out');
    await expect(workspace.extract(id, ['d'], to, { signal })).rejects.toMatchObject(STOPPED);
  });
});
