/**
 * What must be on disk when: each record that survives a power loss, and the disk's work that waits for it.
 * A line is a commit, its events and how durable it is, or a call of the backend.
 */
import { beforeEach, expect, it, vi } from 'vitest';
import type { Catalog } from '../../src/engine/ports.ts';
import { type EngineWorld, makeEngineWorld } from './engine-world.ts';

let world: EngineWorld;

beforeEach(async () => {
  world = await makeEngineWorld();
});

/** Only what destroys, names or must be announced: the rest may be lost, and is found again. */
const CALLS = ['deleteSnapshots', 'applyInPlace', 'releaseWorkspace'] as const;
const ARMING_CALLS = ['arm', 'adopt'] as const;

async function timeline(work: () => Promise<unknown> | unknown): Promise<readonly string[]> {
  const { backend } = world;
  const catalog: Catalog = world.catalog;
  const lines: [number, string][] = [];
  const spies = [
    ...CALLS.map((name) => ({ name, spy: vi.spyOn(backend, name) })),
    ...ARMING_CALLS.map((name) => ({ name, spy: vi.spyOn(backend.arming, name) })),
  ];
  const commits = vi.spyOn(catalog, 'commit');
  await work();
  for (const { name, spy } of spies) {
    for (const order of spy.mock.invocationCallOrder) lines.push([order, name]);
    spy.mockRestore();
  }
  for (const [index, [, events, , durability]] of commits.mock.calls.entries()) {
    const types = events.map(({ type }) => type).join('+');
    lines.push([commits.mock.invocationCallOrder[index] ?? 0, `${types} ${durability}`]);
  }
  commits.mockRestore();
  return lines.sort(([a], [b]) => a - b).map(([, line]) => line);
}

it('arming: announced before the backend begins', async () => {
  expect(await timeline(() => world.workspace.arm())).toEqual(['snapshot.armed power-loss', 'arm']);
});

it('adopting: recorded before it gets its name, waiting or at once', async () => {
  const adopted = ['snapshot.created power-loss', 'adopt'];
  await world.workspace.arm();
  expect(await timeline(() => world.workspace.snapshot())).toEqual(adopted);
  await world.workspace.arm();
  expect(await timeline(() => world.workspace.snapshotSync())).toEqual(adopted);
});

it('deleting: announced before the first goes, and its end recorded', async () => {
  const { id } = await world.workspace.snapshot();
  await world.workspace.snapshot();
  expect(await timeline(() => world.workspace.prune({ specs: [id] }))).toEqual([
    'snapshots.deleting power-loss',
    'deleteSnapshots',
    'snapshots.deleted power-loss',
  ]);
});

it('turning: announced before the first path, and its end recorded', async () => {
  const { id } = await world.workspace.snapshot();
  world.live().set('a', 1);
  const seen = await timeline(() => world.workspace.rollback(id, { mode: 'in-place' }));
  expect(seen).toEqual([
    'snapshot.created process-crash',
    'turn.started power-loss',
    'applyInPlace',
    'turn.completed power-loss',
  ]);
});

it('destroying: announced before the tree is released, and its end recorded', async () => {
  // The simulated disk has no tree that is more than its workspace.
  const release = vi.spyOn(world.backend, 'releaseWorkspace').mockResolvedValue();
  expect(await timeline(() => world.workspace.destroy())).toEqual([
    'workspace.destroying power-loss',
    'releaseWorkspace',
    'workspace.destroyed power-loss',
  ]);
  release.mockRestore();
});

it('recovery: the end of what a crash left is recorded, or it would be done again', async () => {
  const { workspace } = world;
  const { id } = await workspace.snapshot();
  await workspace.snapshot();
  world.failEach('delete:before', 'IO');
  await expect(workspace.prune({ specs: [id] })).rejects.toMatchObject({ code: 'IO' });
  world.failEach('delete:before', null);
  expect(await timeline(() => world.again().open())).toEqual([
    'deleteSnapshots',
    'snapshots.deleted power-loss',
  ]);
});
