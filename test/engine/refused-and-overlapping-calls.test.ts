/** What the log is to know of calls that did not run, that ran at once, and whose session ended. */
import { describe, expect, it } from 'vitest';
import { makeEngineWorld } from './engine-world.ts';

async function makeStory() {
  const { workspace, live, failNext } = await makeEngineWorld();
  let made = 0;
  const begin = (session = 's', parentSession: string | null = null) => {
    made += 1;
    const names = { session, harness: 'test', tool: 'Bash', key: `k${made}`, parentSession };
    return workspace.beginCall(names);
  };
  /** Ends the call and counts it, as whoever reports an end does. */
  const end = async ({ call }: Awaited<ReturnType<typeof begin>>): Promise<void> => {
    await workspace.endCall({ call, outcome: 'ok' });
    await workspace.judgeCall(call);
  };
  return { workspace, live, begin, end, failNext };
}

it('a call that is not let through has its entry, with the reason, and changes nothing', async () => {
  const { workspace, begin, end, failNext, live } = await makeStory();
  const before = await begin();
  live().set('a', 1);
  await end(before);
  failNext('POOL_FULL');
  await expect(begin()).rejects.toMatchObject({ code: 'POOL_FULL' });
  const [refused] = workspace.listCalls();
  expect(refused).toMatchObject({ outcome: 'blocked', readOnly: true, snapshot: null });
  expect(refused?.unprotected).toContain('POOL_FULL');
  // It stands between two calls and hides nothing: what changed meanwhile is found.
  live().set('b', 1);
  const after = await begin();
  expect(await workspace.findUnattributed(after.call)).toBe(true);
});

describe('findUnattributed() after calls that ran at the same time', () => {
  it('finds a change that none of them made, and none where there is none', async () => {
    const { workspace, begin, end, live } = await makeStory();
    const [one, two] = [await begin(), await begin()];
    live().set('a', 1);
    live().set('b', 1);
    await end(one);
    live().set('b', 2);
    await end(two);
    const quiet = await begin();
    expect(await workspace.findUnattributed(quiet.call)).toBe(false);
    await end(quiet);
    live().set('a', 3);
    const stray = await begin();
    expect(await workspace.findUnattributed(stray.call)).toBe(true);
    expect(workspace.listUnattributed()).toMatchObject([{ since: quiet.call }]);
  });

  it('compares with the one that ended last, whichever began last', async () => {
    const { workspace, begin, end, live } = await makeStory();
    const [long, short] = [await begin(), await begin()];
    await end(short);
    live().set('a', 1);
    await end(long);
    live().set('b', 1);
    const next = await begin();
    expect(await workspace.findUnattributed(next.call)).toBe(true);
    expect(workspace.listUnattributed()).toMatchObject([{ since: long.call }]);
  });

  it('says nothing while one of them runs still', async () => {
    const { workspace, begin, end, live } = await makeStory();
    const [, two] = [await begin(), await begin()];
    await end(two);
    live().set('a', 1);
    const next = await begin();
    expect(await workspace.findUnattributed(next.call)).toBe(false);
  });
});

it('the end of a session ends the calls of those that its agent started', async () => {
  const { workspace, begin } = await makeStory();
  await begin('parent');
  await begin('parent/child', 'parent');
  await begin('parent/child/grandchild', 'parent/child');
  await begin('other');
  await workspace.endSession('parent');
  const open = workspace.listCalls().filter(({ outcome }) => outcome === null);
  expect(open.map(({ session }) => session)).toEqual(['other']);
  const ended = workspace.listSessions().filter(({ endedAt }) => endedAt !== null);
  expect(ended).toHaveLength(3);
});
