/** The disk is the truth: what an open learns from it, and what it must leave alone. */
import { beforeEach, expect, it, vi } from 'vitest';
import { type EngineWorld, makeEngineWorld } from './engine-world.ts';

let world: EngineWorld;

beforeEach(async () => {
  world = await makeEngineWorld();
});

it('offers no snapshot that is not whole, and closes the row of one that was', async () => {
  const { id: torn } = await world.workspace.snapshot();
  const { id: whole } = await world.workspace.snapshot();
  const list = world.backend.listSnapshots.bind(world.backend);
  vi.spyOn(world.backend, 'listSnapshots').mockImplementation((ref) =>
    list(ref).map((found) => (found.id === torn ? { ...found, isWhole: false } : found)),
  );
  const report = await world.workspace.recover();
  expect(report).toMatchObject({ torn: [torn], lost: [torn], adopted: [] });
  expect(world.workspace.list().map(({ id }) => id)).toContain(whole);
  expect(() => world.workspace.resolve(torn)).toThrow(
    expect.objectContaining({ code: 'SNAPSHOT_NOT_FOUND' }),
  );
});

it('learns pins again when the catalog is lost, so that nothing deletes what was kept', async () => {
  const { id } = await world.workspace.pin('@');
  const workspace = world.withoutCatalog();
  await workspace.open();
  expect(workspace.list().find((row) => row.id === id)?.pinned).toBe(true);
  await expect(workspace.prune({ specs: [id] })).rejects.toMatchObject({ code: 'SNAPSHOT_PINNED' });
});
