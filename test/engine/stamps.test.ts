/** An open compares catalog and disk only when something happened that no snapshot of ours explains. */
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { EngineWorkspace } from '../../src/engine/engine-workspace.ts';
import { type EngineWorld, makeEngineWorld } from './engine-world.ts';

let world: EngineWorld;

beforeEach(async () => {
  world = await makeEngineWorld();
});

/** Opens, and says whether the snapshots on disk were listed for it. */
async function open(): Promise<{ workspace: EngineWorkspace; compared: boolean }> {
  const listing = vi.spyOn(world.backend, 'listSnapshots');
  const workspace = world.again();
  await workspace.open();
  const compared = listing.mock.calls.length > 0;
  listing.mockRestore();
  return { workspace, compared };
}

describe('the stamp of the snapshots on disk', () => {
  it('follows what was taken, so that the next open has nothing to compare', async () => {
    const first = await open();
    await first.workspace.snapshot();
    first.workspace.snapshotSync();
    await first.workspace.close();
    const second = await open();
    expect(second.compared).toBe(false);
    second.workspace.snapshotSync();
    second.workspace[Symbol.dispose]();
    expect((await open()).compared).toBe(false);
  });

  it('hides no snapshot that went while a workspace was open', async () => {
    const { workspace } = await open();
    const { id } = await workspace.snapshot();
    await world.backend.deleteSnapshots(world.ref, [id]);
    await workspace.snapshot();
    await workspace.close();
    const next = await open();
    expect(next.compared).toBe(true);
    expect(next.workspace.openReport.lost).toEqual([id]);
  });

  it('is not recorded by who dies: the next open compares and finds all in order', async () => {
    const { workspace } = await open();
    await workspace.snapshot();
    const next = await open();
    expect(next.compared).toBe(true);
    expect(next.workspace.openReport).toMatchObject({ adopted: [], lost: [], torn: [] });
  });

  it('decides nothing for who inherits the lock of a process that died', async () => {
    const before = await open();
    const { id } = await before.workspace.snapshot();
    await before.workspace.close();
    // A clock that ticks coarsely: the directory looks as before.
    const stamp = world.backend.snapshotsStamp(world.ref);
    await world.backend.deleteSnapshots(world.ref, [id]);
    const coarse = vi.spyOn(world.backend, 'snapshotsStamp').mockReturnValue(stamp);
    world.inheritNext();
    const next = await open();
    coarse.mockRestore();
    expect(next.workspace.openReport.lost).toEqual([id]);
  });
});
