/** What was armed and is not the live tree any more goes behind the snapshot that somebody waits for. */
import { beforeEach, expect, it, vi } from 'vitest';
import { type EngineWorld, makeEngineWorld } from './engine-world.ts';

const CALL = { session: 's1', harness: 'test', tool: 'Bash', key: 'k' };

let world: EngineWorld;

beforeEach(async () => {
  world = await makeEngineWorld();
  await world.workspace.startSession(CALL);
  expect(await world.workspace.arm()).toMatchObject({ armed: true });
  world.live().set('a', 1);
});

const armedOnDisk = (): readonly string[] => world.backend.arming.list(world.ref);

it('is removed after the snapshot was taken, and both are one transaction', async () => {
  const create = vi.spyOn(world.backend, 'createSnapshot');
  const drop = vi.spyOn(world.backend.arming, 'drop');
  const commit = vi.spyOn(world.catalog, 'commit');
  const { snapshot } = await world.workspace.beginCall(CALL);
  expect(armedOnDisk()).toEqual([]);
  expect(create.mock.invocationCallOrder[0]).toBeLessThan(drop.mock.invocationCallOrder[0] ?? 0);
  expect(commit.mock.calls.map(([, events]) => events.map(({ type }) => type))).toEqual([
    ['snapshot.disarmed', 'snapshot.created', 'call.begun'],
  ]);
  world.live().delete('a');
  await world.workspace.rollback(snapshot ?? '');
  expect(Object.fromEntries(world.live())).toEqual({ a: 1 });
});

it('gives way to a snapshot that found no room', async () => {
  world.failEach('create:before', 'POOL_FULL');
  await expect(world.workspace.snapshot()).rejects.toMatchObject({ code: 'POOL_FULL' });
  expect(armedOnDisk()).toEqual([]);
  world.failEach('create:before', null);
  await world.workspace.snapshot();
});

it('is no reason not to arm when a process died between the snapshot and its record', async () => {
  world.failEach('create:after', 'IO');
  await expect(world.workspace.snapshot()).rejects.toMatchObject({ code: 'IO' });
  world.failEach('create:after', null);
  expect(await world.workspace.arm()).toMatchObject({ armed: true });
  const { adopted } = await world.workspace.beginCall(CALL);
  expect(adopted).toBe(true);
});
