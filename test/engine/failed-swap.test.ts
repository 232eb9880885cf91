/** A swap that fails is judged by where the tree is: exchanged, it is a turn like any other. */
import { expect, it } from 'vitest';
import { makeEngineWorld } from './engine-world.ts';

it('counts as made when it fails after the exchange, and undo takes it back', async () => {
  const { workspace, live, failEach, catalog, ref } = await makeEngineWorld();
  live().set('a', 1);
  const { id } = await workspace.snapshot();
  live().set('a', 2);
  failEach('swap:after', 'IO');
  await expect(workspace.rollback(id, { mode: 'swap' })).rejects.toMatchObject({
    code: 'RESTORE_FAILED',
    message: expect.stringMatching(/^The rollback was carried out, .*swap:after/),
  });
  failEach('swap:after', null);
  expect([...live()]).toEqual([['a', 1]]);
  expect(catalog.loadState(ref.id)?.inFlight).toBeNull();
  expect(catalog.events(ref.id, 0, 100).at(-1)).toMatchObject({ type: 'turn.completed' });
  await workspace.undo();
  expect([...live()]).toEqual([['a', 2]]);
});

it('was none when it fails before the exchange: undo takes back what came before it', async () => {
  const { workspace, live, failEach, backend, catalog, ref } = await makeEngineWorld();
  live().set('a', 1);
  const { id } = await workspace.snapshot();
  live().set('a', 2);
  let applied = 0;
  const applyInPlace = backend.applyInPlace.bind(backend);
  backend.applyInPlace = (...args) => {
    applied += 1;
    return applyInPlace(...args);
  };
  failEach('swap:before', 'IO');
  await expect(workspace.rollback(id, { mode: 'swap' })).rejects.toMatchObject({ code: 'IO' });
  failEach('swap:before', null);
  expect([...live()]).toEqual([['a', 2]]);
  expect(catalog.events(ref.id, 0, 100).at(-1)).toMatchObject({ type: 'turn.abandoned' });
  expect(applied).toBe(0);
});
