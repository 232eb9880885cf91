/** How a turn comes to its mode: what it looks at, and what it leaves alone when the mode is refused. */
import { expect, it, vi } from 'vitest';
import { makeEngineWorld } from './engine-world.ts';

it('a turn in the mode "auto" counts changes once, from the snapshot it has just taken', async () => {
  const world = await makeEngineWorld();
  const { id } = await world.workspace.snapshot();
  world.live().set('a', 1);
  const compare = vi.spyOn(world.backend, 'compare');
  const { mode, precautionary } = await world.workspace.rollback(id);
  expect(mode).toBe('in-place');
  expect(compare.mock.calls.map(([, from, to]) => [from, to])).toEqual([[precautionary, id]]);
});

it('a swap that is refused takes no snapshot', async () => {
  const world = await makeEngineWorld();
  const { id } = await world.workspace.snapshot();
  world.live().set('a', 1);
  vi.spyOn(world.backend, 'checkSwap').mockReturnValue({ allowed: false, reason: 'a shell' });
  const before = world.workspace.list().length;
  await expect(world.workspace.rollback(id, { mode: 'swap' })).rejects.toMatchObject({
    code: 'UNSUPPORTED_MODE',
  });
  expect(world.workspace.list()).toHaveLength(before);
});

it('single paths are restored in place, however much of the workspace has changed', async () => {
  const world = await makeEngineWorld();
  const live = world.live();
  live.set('a', 1);
  const { id } = await world.workspace.snapshot();
  live.set('a', 2);
  live.set('b', 2);
  const compare = world.backend.compare.bind(world.backend);
  vi.spyOn(world.backend, 'compare').mockImplementation(async function* (...args) {
    for (let count = 0; count <= 2000; count += 1) yield* compare(...args);
  });
  const { mode } = await world.workspace.restore(id, ['f0']);
  expect(mode).toBe('in-place');
  expect([...live]).toEqual([
    ['a', 1],
    ['b', 2],
  ]);
  expect((await world.workspace.rollback(id)).mode).toBe('swap');
});
