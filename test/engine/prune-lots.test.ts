/** Retention deletes in lots, so that what a tool call waits for comes between two of them. */
import { describe, expect, it } from 'vitest';
import type { DeleteOptions } from '../../src/backend/backend.ts';
import { DELETE_LOT_MIN, DELETE_ROOM_EVERY } from '../../src/core/limits.ts';
import type { BisectUnderWay } from '../../src/core/retention/keep-bisected.ts';
import { KEEP_EVERYTHING_POLICY } from '../../src/core/retention/policy.ts';
import { isPruneDue } from '../../src/engine/prune.ts';
import type { PruneResult, SnapshotId, SnapshotResult } from '../../src/index.ts';
import { type EngineWorld, type EngineWorldOptions, makeEngineWorld } from './engine-world.ts';

const NOTHING_BY_AGE = { keepWithinMs: 0, hourlyForMs: 0, dailyForMs: 0, weeklyForMs: 0 };
const KEEP_FEW = { ...KEEP_EVERYTHING_POLICY, ...NOTHING_BY_AGE, keepLast: 4 };
const MANY = 60;

async function withSnapshots(
  options: EngineWorldOptions = {},
  count = MANY,
): Promise<EngineWorld & { readonly ids: readonly SnapshotId[] }> {
  const world = await makeEngineWorld({ policy: KEEP_FEW, ...options });
  const ids: SnapshotId[] = [];
  for (let content = 1; content <= count; content += 1) {
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

  it('deletes none of those that are named when one of them may not go', async () => {
    const { workspace, ids } = await withSnapshots();
    const pinned = ids[50]!;
    await workspace.pin(pinned);
    const there = workspace.list().length;
    const specs = [...ids.slice(20, 20 + 3 * DELETE_LOT_MIN), pinned];
    await expect(workspace.prune({ specs })).rejects.toMatchObject({ code: 'SNAPSHOT_PINNED' });
    expect(workspace.list()).toHaveLength(there);
  });

  it('takes away what a swap left aside, unless only named ones are to go', async () => {
    const { workspace, ids, backend, ref } = await withSnapshots({}, 3);
    const [first, second] = ids as [SnapshotId, SnapshotId];
    await workspace.rollback(first, { mode: 'swap' });
    await workspace.prune({ specs: [second] });
    expect(await backend.removeReplaced(ref)).toBe(1);
    await workspace.rollback(first, { mode: 'swap' });
    await workspace.prune();
    expect(await backend.removeReplaced(ref)).toBe(0);
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

  it.each([
    ['which the events say', false],
    ['which no event says that can be read', true],
  ])(
    'keeps the newest when others were deleted by name between two lots, %s',
    async (_, isMute) => {
      const { workspace, ids, catalog } = await withSnapshots();
      if (isMute) catalog.events = () => [];
      let deleting: Promise<PruneResult> | null = null;
      const onStep = (): void => {
        deleting ??= workspace.prune({ specs: ids.slice(-KEEP_FEW.keepLast) });
      };
      await workspace.prune({ onStep });
      const named = (await deleting) as PruneResult | null;
      expect(named?.deleted).toHaveLength(KEEP_FEW.keepLast);
      expect(workspace.list()).toHaveLength(KEEP_FEW.keepLast);
    },
  );

  it('plans once where others delete what the rules had let go of as well', async () => {
    let plans = 0;
    const policy = {
      ...KEEP_FEW,
      get keepLast() {
        plans += 1;
        return KEEP_FEW.keepLast;
      },
    };
    const { workspace, ids } = await withSnapshots({ policy });
    const others = ids.slice(20, 40);
    const [one, named] = await Promise.all([workspace.prune(), workspace.prune({ specs: others })]);
    expect(named.deleted).toHaveLength(others.length);
    expect(one.deleted.length).toBeGreaterThan(0);
    expect(workspace.list()).toHaveLength(KEEP_FEW.keepLast);
    expect(plans).toBe(1);
  });

  it('deletes few at a time while somebody waits, and takes their room back now and then', async () => {
    const count = 4 * DELETE_ROOM_EVERY;
    const { workspace, backend } = await withSnapshots({ tickMs: 0 }, count);
    const lots: { readonly size: number; readonly room: string | undefined }[] = [];
    const deleting = backend.deleteSnapshots.bind(backend);
    backend.deleteSnapshots = async (ref, ids, options?: DeleteOptions) => {
      lots.push({ size: ids.length, room: options?.room });
      await deleting(ref, ids);
    };
    let asked = Promise.resolve<unknown>(null);
    const onStep = (label: string): void => {
      if (label === 'delete:begin') asked = workspace.snapshot();
    };
    await workspace.prune({ onStep });
    await asked;
    expect(Math.max(...lots.map(({ size }) => size))).toBe(DELETE_LOT_MIN);
    expect(lots.at(-1)?.room).toBe('soon');
    const soon = lots.flatMap(({ room }, index) => (room === 'soon' ? [index] : []));
    expect(soon.length).toBeGreaterThanOrEqual(3);
    for (const [i, index] of soon.entries()) {
      const between = lots.slice((soon[i - 1] ?? -1) + 1, index + 1);
      const deleted = between.reduce((sum, { size }) => sum + size, 0);
      expect(deleted).toBeLessThan(DELETE_ROOM_EVERY + DELETE_LOT_MIN);
    }
  });

  it('waits for the one before it: the second finds nothing left to delete', async () => {
    const { workspace } = await withSnapshots();
    const [one, other] = await Promise.all([workspace.prune(), workspace.prune()]);
    expect(workspace.list()).toHaveLength(KEEP_FEW.keepLast);
    expect(one.deleted.length).toBeGreaterThan(MANY - 10);
    expect(other.decisions).toHaveLength(KEEP_FEW.keepLast);
    expect(other.deleted).toEqual([]);
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

describe('isPruneDue()', () => {
  const dueUpTo = (count: number): number[] =>
    Array.from({ length: count }, (_, index) => index).filter(isPruneDue);

  it('is each time that 32 have come on top, or a share where thousands are kept', () => {
    expect(dueUpTo(129)).toEqual([32, 64, 96, 128]);
    const many = dueUpTo(20_000).filter((count) => count >= 10_000);
    expect(many[0]).toBe(10_240);
    expect(many.every((count, index) => index === 0 || count - (many[index - 1] ?? 0) >= 256)).toBe(
      true,
    );
  });

  it('is never further behind than a share of what is kept', () => {
    const due = dueUpTo(100_000);
    for (const [index, count] of due.entries()) {
      const before = due[index - 1] ?? 0;
      expect(count - before).toBeLessThanOrEqual(Math.max(32, count / 16));
    }
  });
});
