/**
 * In a service a commit lands some time after it was decided. What is told and what is destroyed waits for
 * it, and a commit that did not land leaves nobody in a wrong belief.
 */
import { beforeEach, expect, it, vi } from 'vitest';
import { type EngineWorld, makeEngineWorld } from './engine-world.ts';

const CALL = { session: 's1', harness: 'test', tool: 'Bash', key: 'k' };

let world: EngineWorld;

beforeEach(async () => {
  world = await makeEngineWorld({ commits: 'grouped' });
});

it('a snapshot is acknowledged once its record has landed, waiting or at once', async () => {
  const first = await world.workspace.snapshot();
  expect(world.landed().head).toBe(first.id);
  const second = world.workspace.snapshotSync();
  expect(world.landed().head).toBe(second.id);
});

it('nothing is deleted before the intent has landed', async () => {
  const { id } = await world.workspace.snapshot();
  await world.workspace.snapshot();
  const remove = vi.spyOn(world.backend, 'deleteSnapshots').mockImplementation(async () => {
    expect(world.landed().inFlight).toMatchObject({ type: 'delete', snapshots: [id] });
  });
  await world.workspace.prune({ specs: [id] });
  expect(remove).toHaveBeenCalledOnce();
});

it('no tree is released before the intent has landed', async () => {
  const release = vi.spyOn(world.backend, 'releaseWorkspace').mockImplementation(async () => {
    expect(world.landed().inFlight).toMatchObject({ type: 'destroy' });
  });
  await world.workspace.destroy();
  expect(release).toHaveBeenCalledOnce();
  expect(world.landed().status).toBe('destroyed');
});

it.each(['waiting', 'at once'])(
  'a snapshot whose record failed to land is found by the next (%s)',
  async (how) => {
    const { workspace } = world;
    world.failEach('commit:before', 'IO');
    const snapshot = async (): Promise<unknown> =>
      how === 'waiting' ? await workspace.snapshot() : workspace.snapshotSync();
    await expect(snapshot()).rejects.toMatchObject({ code: 'IO' });
    world.failEach('commit:before', null);
    await workspace.snapshot();
    expect(workspace.list().map(({ role }) => role)).toEqual(['ordinary', 'adopted', 'ordinary']);
  },
);

it('a session whose beginning failed to land begins again with its next call', async () => {
  const { workspace } = world;
  await workspace.startSession(CALL);
  await workspace.endSession(CALL.session);
  world.failEach('commit:before', 'IO');
  await expect(workspace.beginCall(CALL)).rejects.toMatchObject({ code: 'IO' });
  world.failEach('commit:before', null);
  await workspace.beginCall(CALL);
  expect(world.catalog.session(world.ref.id, CALL.session)).toMatchObject({ endedAtMs: null });
});
