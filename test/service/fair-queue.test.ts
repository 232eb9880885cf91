import { describe, expect, it } from 'vitest';
import { FairQueue } from '../../src/service/fair-queue.ts';

const BOUNDS = { name: 'call', concurrent: 1, waitingMax: 4, waitingOfTenantMax: 3 };
const signal = new AbortController().signal;

/** Work that ends when it is told to. */
function job(): { readonly work: () => Promise<void>; readonly end: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { work: () => promise, end: resolve };
}

function turn(tenant: string, deadline?: number) {
  return { tenant, signal, deadline };
}

describe('a fair queue', () => {
  it('lets tenants take turns, whoever asked more', async () => {
    const queue = new FairQueue(BOUNDS, () => 0);
    const first = job();
    const order: string[] = [];
    const note = (name: string) => async () => void order.push(name);
    const all = [
      queue.run(turn('a'), first.work),
      ...['a1', 'a2', 'a3'].map((name) => queue.run(turn('a'), note(name))),
      queue.run(turn('b'), note('b1')),
    ];
    first.end();
    await Promise.all(all);
    expect(order).toEqual(['a1', 'b1', 'a2', 'a3']);
  });

  it("refuses what is beyond a tenant's share with 429, and beyond all with 503", async () => {
    const queue = new FairQueue(BOUNDS, () => 0);
    const first = job();
    const none = async (): Promise<void> => undefined;
    const held = [queue.run(turn('a'), first.work)];
    for (let i = 0; i < 3; i += 1) held.push(queue.run(turn('a'), none));
    await expect(queue.run(turn('a'), none)).rejects.toMatchObject({
      code: 'TOO_MANY_REQUESTS',
      data: { retryAfterMs: expect.any(Number) },
    });
    held.push(queue.run(turn('b'), none));
    await expect(queue.run(turn('c'), none)).rejects.toMatchObject({ code: 'OVERLOADED' });
    first.end();
    await Promise.all(held);
    expect({ waiting: queue.waiting, running: queue.running }).toEqual({ waiting: 0, running: 0 });
  });

  it('refuses at once what could not begin before its deadline', async () => {
    const queue = new FairQueue(BOUNDS, () => 100);
    const first = job();
    const held = queue.run(turn('a'), first.work);
    const begun: string[] = [];
    const late = queue.run(turn('b', 101), async () => void begun.push('late'));
    await expect(late).rejects.toMatchObject({ code: 'OVERLOADED' });
    first.end();
    await held;
    await expect(queue.run(turn('b', 100), first.work)).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
    expect(begun).toEqual([]);
  });

  it('forgets who went away while waiting, and begins nothing for them', async () => {
    const queue = new FairQueue(BOUNDS, () => 0);
    const first = job();
    const held = queue.run(turn('a'), first.work);
    const gone = new AbortController();
    const begun: string[] = [];
    const waiting = queue.run(
      { ...turn('b'), signal: gone.signal },
      async () => void begun.push('b'),
    );
    gone.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'INTERRUPTED' });
    first.end();
    await held;
    expect(begun).toEqual([]);
    expect(queue.waiting).toBe(0);
  });

  it('takes nobody new once it is closed, and ends what it has', async () => {
    const queue = new FairQueue(BOUNDS, () => 0);
    const first = job();
    const held = queue.run(turn('a'), first.work);
    const waiting = queue.run(turn('a'), async () => 'done');
    queue.close();
    await expect(queue.run(turn('b'), first.work)).rejects.toMatchObject({ code: 'STOPPING' });
    first.end();
    await held;
    expect(await waiting).toBe('done');
  });

  it('goes on after work that failed', async () => {
    const queue = new FairQueue(BOUNDS, () => 0);
    await expect(queue.run(turn('a'), () => Promise.reject(new Error('x')))).rejects.toThrow('x');
    expect(await queue.run(turn('a'), async () => 'next')).toBe('next');
  });
});
