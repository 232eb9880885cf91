/** What only records something waits for its turn, as everything does: another call may be under way. */
import { expect, it } from 'vitest';
import { makeEngineWorld } from './engine-world.ts';

it('pins, labels and unpins beside other calls, each in its turn', async () => {
  const { workspace, live } = await makeEngineWorld();
  live().set('a', 1);
  const { id } = await workspace.snapshot();
  live().set('a', 2);
  const [, pinned, labelled, turned, unpinned] = await Promise.all([
    workspace.snapshot(),
    workspace.pin(id),
    workspace.label(id, 'first'),
    workspace.rollback(id),
    workspace.unpin(id),
  ]);
  expect(pinned).toMatchObject({ id, pinned: true, label: null });
  expect(labelled).toMatchObject({ id, pinned: true, label: 'first' });
  expect(turned.target).toBe(id);
  expect(unpinned).toMatchObject({ id, pinned: false });
});

it('says what is wrong with a name or a label by a rejection', async () => {
  const { workspace } = await makeEngineWorld();
  await expect(workspace.pin('nothing')).rejects.toMatchObject({ code: 'BAD_ID' });
  await expect(workspace.label('@', 'live')).rejects.toMatchObject({ kind: 'usage' });
});
