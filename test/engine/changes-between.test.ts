/** Which calls may have made the difference between two snapshots. */
import { expect, it } from 'vitest';
import type { CallId, SnapshotId } from '../../src/core/ids.ts';
import { makeEngineWorld } from './engine-world.ts';

async function makeStory() {
  const { workspace, live } = await makeEngineWorld();
  let made = 0;
  const begin = async (readOnly: 'yes' | 'no' = 'no') => {
    made += 1;
    live().set('file', made);
    const names = { session: 's', harness: 'test', tool: `tool ${made}`, key: `k${made}` };
    return await workspace.beginCall({ ...names, readOnly });
  };
  const end = (call: CallId) => workspace.endCall({ call, outcome: 'ok' });
  const between = (from: SnapshotId | null, to: SnapshotId | null) =>
    workspace.changesBetween({ from: from!, to: to! });
  const names = (from: SnapshotId | null, to: SnapshotId | null) =>
    between(from, to).calls.map(({ call }) => call.call);
  return { workspace, live, begin, end, between, names };
}

it('names the one call that ran between, with its session and prompt', async () => {
  const { workspace, begin, end, between } = await makeStory();
  await workspace.submitPrompt({ session: 's', harness: 'test', text: 'break it' });
  const first = await begin();
  await end(first.call);
  const second = await begin();
  await end(second.call);
  const { calls, operations, unattributed } = between(first.snapshot, second.snapshot);
  expect(calls).toMatchObject([
    { call: { call: first.call }, session: { harness: 'test' }, prompt: { text: 'break it' } },
  ]);
  expect([operations, unattributed]).toEqual([[], false]);
});

it('counts in a call that still ran, and no call that had ended', async () => {
  const { begin, end, names } = await makeStory();
  const before = await begin();
  await end(before.call);
  const long = await begin();
  const short = await begin();
  await end(short.call);
  const next = await begin();
  await end(next.call);
  await end(long.call);
  const after = await begin();
  expect(names(short.snapshot, next.snapshot)).toEqual([long.call, short.call]);
  expect(names(next.snapshot, after.snapshot)).toEqual([long.call, next.call]);
  expect(names(before.snapshot, long.snapshot)).toEqual([before.call]);
});

it('counts in every call between states that are not neighbours, and no reader', async () => {
  const { begin, end, names } = await makeStory();
  const one = await begin();
  await end(one.call);
  const reader = await begin('yes');
  await end(reader.call);
  const two = await begin();
  await end(two.call);
  const three = await begin();
  expect(names(one.snapshot, three.snapshot)).toEqual([one.call, two.call]);
});

it('names a rollback between, and says when nothing but a person can have been it', async () => {
  const { workspace, live, begin, end, between } = await makeStory();
  const one = await begin();
  await end(one.call);
  const { id: from } = await workspace.snapshot();
  live().set('file', 99);
  const { id: by } = await workspace.snapshot();
  expect(between(from, by)).toEqual({ calls: [], operations: [], unattributed: false });
  await workspace.rollback(from);
  const { id: to } = await workspace.snapshot();
  expect(between(by, to).operations).toMatchObject([{ kind: 'rollback', target: from }]);
});
