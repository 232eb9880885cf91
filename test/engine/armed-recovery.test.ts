/** What is armed when a process dies, a disk fails or a catalog is lost: kept where somebody may know of it. */
import { beforeEach, expect, it, vi } from 'vitest';
import type { SnapshotId } from '../../src/core/ids.ts';
import type { EngineWorkspace } from '../../src/engine/engine-workspace.ts';
import { type EngineWorld, makeEngineWorld } from './engine-world.ts';

let world: EngineWorld;

beforeEach(async () => {
  world = await makeEngineWorld();
  world.live().set('a', 1);
  expect(await world.workspace.arm()).toMatchObject({ armed: true });
});

const armedOnDisk = (): readonly SnapshotId[] => world.backend.arming.list(world.ref);

async function reopened(): Promise<EngineWorkspace> {
  const workspace = world.again();
  await workspace.open();
  return workspace;
}

async function expectGivesBack(workspace: EngineWorkspace, id: string): Promise<void> {
  world.live().set('a', 2);
  await workspace.rollback(id);
  expect(Object.fromEntries(world.live())).toEqual({ a: 1 });
}

it('is not adopted while it is not proven that nothing has changed', async () => {
  vi.spyOn(world.backend.arming, 'check').mockReturnValue('unproven');
  const adopt = vi.spyOn(world.backend.arming, 'adopt');
  const { id } = await world.workspace.snapshot();
  expect(adopt).not.toHaveBeenCalled();
  await expectGivesBack(world.workspace, id);
});

it.each(['waiting', 'at once'])(
  'gets its name later when it could not at once (%s)',
  async (how) => {
    const { workspace } = world;
    world.failEach('adopt:before', 'IO');
    const snapshot = async (): Promise<unknown> =>
      how === 'waiting' ? await workspace.snapshot() : workspace.snapshotSync();
    await expect(snapshot()).rejects.toMatchObject({ code: 'IO' });
    world.failEach('adopt:before', null);
    const [recorded] = workspace.list();
    await workspace.snapshot();
    expect(armedOnDisk()).toEqual([]);
    await expectGivesBack(workspace, recorded?.id ?? '');
  },
);

it('gets its name again when that was lost with the power', async () => {
  await world.workspace.close();
  const second = await reopened();
  vi.spyOn(world.backend.arming, 'adopt').mockImplementationOnce(() => undefined);
  const { id } = await second.snapshot();
  expect(armedOnDisk()).toEqual([id]);
  await expectGivesBack(await reopened(), id);
});

it('becomes a snapshot when the catalog that knew of it is lost: it may have been one', async () => {
  const [id = ''] = armedOnDisk();
  const workspace = world.withoutCatalog();
  await workspace.open();
  expect(workspace.openReport.adopted).toContain(id);
  expect(armedOnDisk()).toEqual([]);
  await expectGivesBack(workspace, id);
});

it('stays armed through a recovery that finds it as it was', async () => {
  const before = armedOnDisk();
  const report = await world.workspace.recover();
  expect(report).toMatchObject({ adopted: [], lost: [] });
  expect(armedOnDisk()).toEqual(before);
  expect((await world.workspace.beginCall(CALL)).adopted).toBe(true);
});

it('is removed when its end was recorded and it is still on disk', async () => {
  vi.spyOn(world.backend.arming, 'drop').mockImplementationOnce(() => undefined);
  world.live().set('a', 3);
  await world.workspace.snapshot();
  expect(armedOnDisk()).toHaveLength(1);
  const report = await world.workspace.recover();
  expect(report.adopted).toEqual([]);
  expect(armedOnDisk()).toEqual([]);
});

it('is forgotten when it is gone from the disk, and another can be armed', async () => {
  const [id] = armedOnDisk();
  if (id !== undefined) world.backend.arming.drop(world.ref, id);
  const workspace = await reopened();
  expect(workspace.openReport).toMatchObject({ adopted: [], lost: [] });
  const drop = vi.spyOn(world.backend.arming, 'drop');
  expect(await workspace.arm()).toMatchObject({ armed: true });
  expect(drop).not.toHaveBeenCalled();
  expect((await workspace.beginCall(CALL)).adopted).toBe(true);
});

const CALL = { session: 's1', harness: 'test', tool: 'Bash', key: 'k' };
