import { describe, expect, it } from 'vitest';
import type { WorkspaceId } from '../../src/core/ids.ts';
import { BackgroundArming } from '../../src/service/background-arming.ts';
import { DEFAULT_LANES, Lanes } from '../../src/service/lanes.ts';

const BOUNDS = { ...DEFAULT_LANES, call: { concurrent: 4, waitingMax: 4, waitingOfTenantMax: 3 } };
const { signal } = new AbortController();

const turnAt = (pool: string, tenant = 'a') =>
  ({ tenant, signal, deadline: undefined, lane: 'call', pool, workspace: null }) as const;

/** Work that never ends, as on a disk that hangs. */
const hang = (): Promise<void> => Promise.withResolvers<void>().promise;
const done = async (): Promise<string> => 'done';

describe('lanes of two pools', () => {
  it('a pool that hangs fills its own half, and the other one is served', async () => {
    const lanes = new Lanes({ bounds: BOUNDS, poolCount: 2, monotonicMs: () => 0 });
    for (let n = 0; n < 4; n += 1) void lanes.run(turnAt('slow'), hang);
    expect(lanes.depth('call')).toEqual({ waiting: 2, running: 2 });
    await expect(lanes.run(turnAt('slow'), done)).rejects.toMatchObject({ code: 'OVERLOADED' });
    expect(await lanes.run(turnAt('good'), done)).toBe('done');
  });

  it('other bounds are shared as well, and a lane that is closed lets nobody in anywhere', async () => {
    const lanes = new Lanes({ bounds: BOUNDS, poolCount: 2, monotonicMs: () => 0 });
    for (let n = 0; n < 4; n += 1) void lanes.run(turnAt('slow'), hang);
    lanes.resize({ ...BOUNDS, call: { ...BOUNDS.call, concurrent: 6 } });
    expect(lanes.depth('call')).toEqual({ waiting: 1, running: 3 });
    lanes.close();
    for (const pool of ['slow', 'new']) {
      await expect(lanes.run(turnAt(pool), done)).rejects.toMatchObject({ code: 'STOPPING' });
    }
  });

  it('one pool alone has all of it', () => {
    const lanes = new Lanes({ bounds: BOUNDS, poolCount: 1, monotonicMs: () => 0 });
    for (let n = 0; n < 5; n += 1) void lanes.run(turnAt('only'), hang);
    expect(lanes.depth('call')).toEqual({ waiting: 1, running: 4 });
  });
});

describe('threads', () => {
  /** Of the service unless somebody says otherwise. */
  const THREADS = 64;
  const ASKED = 100;

  it.each([2, 3, 4, 5, 6, 7, 8])('are left when all of %i pools but one hang', (poolCount) => {
    const lanes = new Lanes({ bounds: DEFAULT_LANES, poolCount, monotonicMs: () => 0 });
    let held = 0;
    const hold = (): Promise<void> => {
      held += 1;
      return hang();
    };
    const arming = new BackgroundArming({ poolCount, arm: hold, onError: () => undefined });
    for (let pool = 1; pool < poolCount; pool += 1) {
      for (const lane of ['call', 'read', 'turn', 'bulk'] as const) {
        for (let n = 0; n < ASKED; n += 1) {
          // More than may wait is refused, which is not what is looked at here.
          lanes.run({ ...turnAt(`${pool}`), lane }, hold).catch(() => undefined);
        }
      }
      for (let n = 0; n < ASKED; n += 1) arming.add(`ws_${pool}_${n}` as WorkspaceId, `${pool}`);
    }
    expect(held).toBeLessThan(THREADS);
    // And not by giving nobody anything.
    expect(held).toBeGreaterThan(THREADS / 2);
  });
});

it('arming on a pool that hangs waits for itself alone', () => {
  const armed: string[] = [];
  const arm = (id: WorkspaceId): Promise<void> => {
    armed.push(id);
    return hang();
  };
  const arming = new BackgroundArming({ poolCount: 2, arm, onError: () => undefined });
  for (let n = 0; n < 20; n += 1) arming.add(`ws_slow${n}` as WorkspaceId, 'slow');
  arming.add('ws_good' as WorkspaceId, 'good');
  expect(armed).toHaveLength(5);
  expect(armed).toContain('ws_good');
  expect(arming.waiting).toBe(16);
});
