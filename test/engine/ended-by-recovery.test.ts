/** What a crash or a failing disk left in flight is ended the way that was decided, never another. */
import { beforeEach, expect, it, vi } from 'vitest';
import { GhostsnapError } from '../../src/core/errors.ts';
import { type EngineWorld, makeEngineWorld } from './engine-world.ts';

let world: EngineWorld;

beforeEach(async () => {
  world = await makeEngineWorld();
  world.live().set('a', 1);
});

/** The turn has begun, and neither its end nor the way back can be written. */
async function leaveTurnInFlight(id: string): Promise<void> {
  world.failEach('apply:after', 'IO');
  await expect(world.workspace.rollback(id, { mode: 'in-place' })).rejects.toThrow();
  world.failEach('apply:after', null);
  expect(world.landed().inFlight).toMatchObject({ type: 'turn' });
}

it.each(['kept', 'removed'] as const)('a destruction whose tree is %s', async (tree) => {
  const { backend, workspace } = world;
  const failure = new GhostsnapError('IO', 'The simulated disk failed.');
  const kept = vi.spyOn(backend, 'releaseWorkspace').mockResolvedValue();
  const removed = vi.spyOn(backend, 'removeWorkspace').mockResolvedValue();
  const [right, wrong] = tree === 'kept' ? [kept, removed] : [removed, kept];
  right.mockRejectedValueOnce(failure);
  await expect(workspace.destroy({ tree })).rejects.toBe(failure);
  await expect(world.again().open()).rejects.toMatchObject({ code: 'WORKSPACE_DESTROYED' });
  expect(right).toHaveBeenCalledTimes(2);
  expect(wrong).not.toHaveBeenCalled();
});

it.each([
  ['identify', 'WORKSPACE_GONE', 'kept'],
  ['assertRemovable', 'NOT_PERMITTED', 'removed'],
] as const)('a destruction that %s refuses is never begun', async (method, code, tree) => {
  vi.spyOn(world.backend, method).mockImplementation(() => {
    throw new GhostsnapError(code, 'Refused.');
  });
  await expect(world.workspace.destroy({ tree })).rejects.toMatchObject({ code });
  expect(world.landed()).toMatchObject({ inFlight: null, status: 'active' });
});

it('a turn whose target was removed by hand goes back to where it began', async () => {
  const { id } = await world.workspace.snapshot();
  world.live().set('a', 2);
  await leaveTurnInFlight(id);
  await world.backend.deleteSnapshots(world.ref, [id]);
  const next = world.again();
  await next.open();
  expect(next.openReport.abandoned).toHaveLength(1);
  expect(Object.fromEntries(world.live())).toEqual({ a: 2 });
});

it('a turn, while a pin on disk waits for its record: nothing else may be decided then', async () => {
  const { id } = await world.workspace.snapshot();
  world.live().set('a', 2);
  await leaveTurnInFlight(id);
  world.backend.setPinned(world.ref, id, 'pinned');
  const next = world.again();
  await next.open();
  expect(next.openReport.finished).toHaveLength(1);
  expect(next.list().find((row) => row.id === id)?.pinned).toBe(true);
});

it('a turn takes a precautionary snapshot of its own, also where one is armed', async () => {
  const { id } = await world.workspace.snapshot();
  world.live().set('a', 2);
  await world.workspace.arm();
  const { precautionary } = await world.workspace.rollback(id);
  const row = world.workspace.list().find((found) => found.id === precautionary);
  expect(row?.role).toBe('precautionary');
  expect(world.workspace.resolve('@')).toBe(id);
});
