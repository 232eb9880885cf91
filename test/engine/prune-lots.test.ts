/** Retention deletes in lots, so that what a tool call waits for comes between two of them. */
import { describe, expect, it } from 'vitest';
import type { BisectUnderWay } from '../../src/core/retention/keep-bisected.ts';
import { KEEP_EVERYTHING_POLICY } from '../../src/core/retention/policy.ts';
import type { PruneResult, SnapshotId, SnapshotResult } from '../../src/index.ts';
import { type EngineWorld, type EngineWorldOptions, makeEngineWorld } from './engine-world.ts';

const NOTHING_BY_AGE = { keepWithinMs: 0, hourlyForMs: 0, dailyForMs: 0, weeklyForMs: 0 };
const KEEP_FEW = { ...KEEP_EVERYTHING_POLICY, ...NOTHING_BY_AGE, keepLast: 4 };
const MANY = 60;

async function withSnapshots(
  options: EngineWorldOptions = {},
): Promise<EngineWorld & { readonly ids: readonly SnapshotId[] }> {
  const world = await makeEngineWorld({ policy: KEEP_FEW, ...options });
  const ids: SnapshotId[] = [];
  for (let content = 1; content <= MANY; content += 1) {
    world.live().set('a', content);
    ids.push((await world.workspace.snapshot()).id);
  }
  return { ...world, ids };
}

describe('prune()', () => {
  it('lets a snapshot in between two lots', async () => {
    const { workspace, catalog, ref } = await withSnapshots();
    const { sequence = 0 } = catalog.loadState(ref.id) ?? {};
    let taking: Promise<SnapshotResult> | null = null;
    const onStep = (): void => {
      taking ??= workspace.snapshot();
    };
    const pruned = await workspace.prune({ onStep });
    const taken = await taking;
    expect(pruned.deleted.length).toBeGreaterThan(MANY - 10);
    const types = catalog.events(ref.id, sequence, 1000).map(({ type }) => type);
    const at = types.indexOf('snapshot.created');
    expect(types.slice(0, at)).toContain('snapshots.deleted');
    expect(types.slice(at)).toContain('snapshots.deleted');
    expect(workspace.list()[0]?.id).toBe((taken as SnapshotResult | null)?.id);
  });

  it('looks again before each lot: what became the target of a rollback meanwhile stays', async () => {
    const { workspace, ids, live } = await withSnapshots();
    const [, target] = ids as [SnapshotId, SnapshotId];
    const [pruned, turned] = await Promise.all([
      workspace.prune(),
      workspace.rollback(target, { mode: 'in-place' }),
    ]);
    expect(pruned.decisions.find(({ id }) => id === target)?.keep).toBe(false);
    expect(pruned.deleted).not.toContain(target);
    expect(workspace.show(target).id).toBe(turned.target);
    expect([...live()]).toEqual([['a', 2]]);
  });

  it('keeps what a bisect needs that began between two lots', async () => {
    let bisect: BisectUnderWay | null = null;
    const { workspace, ids } = await withSnapshots({ bisect: () => bisect });
    const [good, bad] = [ids[40]!, ids[50]!];
    const there = workspace.list().length;
    const begun = { good, bad, marks: [], origin: null, steppedAtMs: Number.MAX_SAFE_INTEGER };
    const onStep = (): void => {
      bisect ??= begun;
    };
    const { deleted } = await workspace.prune({ onStep });
    const left = workspace.list().map(({ id }) => id);
    expect(left).toEqual(expect.arrayContaining(ids.slice(40, 51)));
    expect(deleted).toHaveLength(there - left.length);
    bisect = null;
    await workspace.prune();
    expect(workspace.list()).toHaveLength(KEEP_FEW.keepLast);
  });

  it('keeps the newest there are when others were deleted by name between two lots', async () => {
    const { workspace, ids } = await withSnapshots();
    let deleting: Promise<PruneResult> | null = null;
    const onStep = (): void => {
      deleting ??= workspace.prune({ specs: ids.slice(-KEEP_FEW.keepLast) });
    };
    await workspace.prune({ onStep });
    const named = (await deleting) as PruneResult | null;
    expect(named?.deleted).toHaveLength(KEEP_FEW.keepLast);
    expect(workspace.list()).toHaveLength(KEEP_FEW.keepLast);
  });

  it('ends between two lots when it is interrupted, and what was deleted stays so', async () => {
    const { workspace } = await withSnapshots();
    const interrupt = new AbortController();
    const onStep = (label: string): void => {
      if (label === 'delete:completed') interrupt.abort();
    };
    await expect(workspace.prune({ onStep, signal: interrupt.signal })).rejects.toMatchObject({
      code: 'INTERRUPTED',
    });
    const left = workspace.list().length;
    expect(left).toBeLessThan(MANY);
    expect(left).toBeGreaterThan(MANY - 20);
    expect((await workspace.prune()).unfinished).toBeNull();
  });
});
