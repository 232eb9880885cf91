/**
 * A turn that the disk has no room to end: it stays in flight, and snapshots that it does not need can be
 * deleted to make some.
 */
import { describe, expect, it } from 'vitest';
import type { SnapshotId } from '../../src/index.ts';
import { type EngineWorld, makeEngineWorld } from './engine-world.ts';

interface Stuck extends EngineWorld {
  readonly spare: SnapshotId;
  readonly target: SnapshotId;
  readonly precautionary: SnapshotId;
  readonly operation: string;
}

/** A rollback that came half-way and could not be taken back: the disk is full. */
async function makeStuck(): Promise<Stuck> {
  const world = await makeEngineWorld();
  const { workspace, live, failEach } = world;
  live().set('a', 1);
  const { id: spare } = await workspace.snapshot();
  live().set('b', 2);
  const { id: target } = await workspace.snapshot();
  live().set('a', 7);
  live().set('b', 8);
  failEach('apply:after', 'POOL_FULL');
  await expect(workspace.rollback(target, { mode: 'in-place' })).rejects.toMatchObject({
    code: 'RESTORE_FAILED',
  });
  const [operation] = workspace.operations(1);
  if (operation === undefined) throw new Error('there is no operation');
  const { precautionary, operation: id } = operation;
  return { ...world, spare, target, precautionary, operation: id };
}

describe('a turn without room', () => {
  it('lets a snapshot be deleted that it does not need, and is finished when there is room', async () => {
    const { workspace, spare, target, operation, failEach, live } = await makeStuck();
    await expect(workspace.snapshot()).rejects.toMatchObject({ code: 'POOL_FULL' });
    const done = await workspace.prune({ specs: [spare] });
    expect(done).toMatchObject({ deleted: [spare], unfinished: { operation } });
    expect(workspace.list().map(({ id }) => id)).not.toContain(spare);
    failEach('apply:after', null);
    expect((await workspace.recover()).finished).toEqual([operation]);
    expect([...live()]).toEqual([
      ['a', 1],
      ['b', 2],
    ]);
    expect(workspace.list().map(({ id }) => id)).toContain(target);
  });

  it('keeps its target and its precautionary snapshot, and then deletes none of those named', async () => {
    const { workspace, spare, target, precautionary } = await makeStuck();
    const before = workspace.list();
    for (const needed of [target, precautionary]) {
      await expect(workspace.prune({ specs: [spare, needed] })).rejects.toMatchObject({
        code: 'SNAPSHOT_NEEDED',
      });
    }
    const names = workspace.list().map(({ id }) => id);
    expect(names).toEqual(expect.arrayContaining(before.map(({ id }) => id)));
  });

  it('deletes nothing where it is not room that the turn lacks', async () => {
    const { workspace, again, spare, failEach } = await makeStuck();
    failEach('apply:after', 'WORKSPACE_REPLACED');
    const replaced = { code: 'WORKSPACE_REPLACED' };
    await expect(workspace.prune({ specs: [spare] })).rejects.toMatchObject(replaced);
    await using next = again();
    await expect(next.open()).rejects.toMatchObject(replaced);
    expect(workspace.list().map(({ id }) => id)).toContain(spare);
  });

  it('does not keep the workspace from being opened, read and pruned by again process', async () => {
    const { again, spare, target, operation } = await makeStuck();
    await using workspace = again();
    await workspace.open();
    expect(workspace.openReport.unfinished).toMatchObject({ operation });
    const changes = [];
    for await (const change of workspace.diff(spare, target)) changes.push(change);
    expect(changes).toHaveLength(1);
    expect((await workspace.prune({ specs: [spare] })).deleted).toEqual([spare]);
  });

  it('survives that the deletion is cut off: both are ended by the next recovery', async () => {
    const { workspace, again, spare, operation, failEach, catalog, ref } = await makeStuck();
    failEach('delete:before', 'IO');
    await expect(workspace.prune({ specs: [spare] })).rejects.toMatchObject({ code: 'IO' });
    expect(catalog.loadState(ref.id)?.inFlight).toMatchObject({
      type: 'delete',
      snapshots: [spare],
      during: { operation },
    });
    failEach('delete:before', null);
    failEach('apply:after', null);
    await using next = again();
    await next.open();
    expect(next.openReport.finished).toHaveLength(2);
    expect(next.openReport.finished).toContain(operation);
    expect(catalog.loadState(ref.id)?.inFlight).toBeNull();
  });
});
