import { beforeEach, describe, expect, it, vi } from 'vitest';
import { emptyState, encodeState, foldEvents } from '../../src/core/fold-event.ts';
import type { BeginCallRequest } from '../../src/engine/call-results.ts';
import { type EngineWorld, makeEngineWorld } from './engine-world.ts';

let world: EngineWorld;

beforeEach(async () => {
  world = await makeEngineWorld();
});

const CALL: BeginCallRequest = {
  session: 's1',
  harness: 'test',
  tool: 'Bash',
  input: { command: 'rm -rf build', token: 'hunter2' },
  key: 'toolu_1',
};

function tree(): Record<string, number> {
  return Object.fromEntries(world.live());
}

describe('beginCall()', () => {
  it('takes a snapshot that names the call, before the call is in the log', async () => {
    world.live().set('a', 1);
    const begun = await world.workspace.beginCall(CALL);
    const [snapshot] = world.workspace.list({ limit: 1 });
    expect(snapshot).toMatchObject({
      ...{ id: begun.snapshot, tool: 'Bash', session: 's1', call: 'toolu_1' },
    });
    expect(world.workspace.showCall(begun.call)).toMatchObject({
      ...{ tool: 'Bash', session: 's1', snapshot: begun.snapshot, readOnly: false },
      ...{ input: '{"command":"rm -rf build","token":"[redacted]"}', endedAt: null },
    });
    world.live().delete('a');
    await world.workspace.rollback(begun.snapshot ?? '');
    expect(tree()).toEqual({ a: 1 });
  });

  it('records the snapshot and the call in one transaction', async () => {
    await world.workspace.startSession(CALL);
    const commit = vi.spyOn(world.catalog, 'commit');
    await world.workspace.beginCall(CALL);
    const committed = commit.mock.calls.map(([, events]) => events.map(({ type }) => type));
    expect(committed).toEqual([['snapshot.created', 'call.begun']]);
  });

  it('shares the snapshot before it when the tool changes nothing', async () => {
    const first = await world.workspace.beginCall(CALL);
    const read = await world.workspace.beginCall({ ...CALL, key: 'r', readOnly: 'yes' });
    expect(read.snapshot).toBe(first.snapshot);
    expect(world.workspace.list()).toHaveLength(2);
    expect(world.workspace.showCall(read.call)).toMatchObject({ readOnly: true });
  });

  it('says which calls overlap, in both of them', async () => {
    const first = await world.workspace.beginCall(CALL);
    const second = await world.workspace.beginCall({ ...CALL, key: 'toolu_2' });
    expect(second.overlaps).toEqual([first.call]);
    expect(world.workspace.showCall(first.call).overlaps).toEqual([second.call]);
    await world.workspace.endCall({ call: first.call, outcome: 'ok' });
    await world.workspace.endCall({ session: 's1', key: 'toolu_2', outcome: 'failed' });
    const third = await world.workspace.beginCall({ ...CALL, key: 'toolu_3' });
    expect(third.overlaps).toEqual([]);
    expect(world.workspace.showCall(second.call).outcome).toBe('failed');
  });

  it('is the same call when a unique key is reported twice, another when keys are made up', async () => {
    const first = await world.workspace.beginCall(CALL);
    const again = await world.workspace.beginCall(CALL);
    expect(again).toMatchObject({ call: first.call, snapshot: first.snapshot, repeated: true });
    const derived = { ...CALL, key: 'made-up', keyKind: 'derived' } as const;
    const one = await world.workspace.beginCall(derived);
    const two = await world.workspace.beginCall(derived);
    expect(two.call).not.toBe(one.call);
    const ended = await world.workspace.endCall({ session: 's1', key: 'made-up', outcome: 'ok' });
    expect(ended).toBe(one.call);
  });

  it('throws when no snapshot can be taken, and records that the call was not let through', async () => {
    await world.workspace.startSession({ session: 's1', harness: 'test' });
    world.failNext('POOL_FULL');
    const commit = vi.spyOn(world.catalog, 'commit');
    await expect(world.workspace.beginCall(CALL)).rejects.toMatchObject({ code: 'POOL_FULL' });
    expect(world.workspace.listCalls()).toMatchObject([{ outcome: 'blocked' }]);
    // Begun and not ended it would be found, and be let through, when it is asked for again.
    const types = commit.mock.calls.map(([, events]) => events.map(({ type }) => type));
    expect(types).toContainEqual(['call.begun', 'call.ended']);
  });

  it('records why a call has no snapshot when that is allowed', async () => {
    await world.workspace.startSession({ session: 's1', harness: 'test' });
    world.failNext('POOL_FULL');
    const begun = await world.workspace.beginCall({ ...CALL, onSnapshotFailure: 'warn' });
    expect(begun.snapshot).toBe(null);
    expect(begun.unprotected).toContain('POOL_FULL');
    expect(world.workspace.showCall(begun.call).unprotected).toBe(begun.unprotected);
  });

  it('refuses names that are empty, too long or not of one line', async () => {
    for (const bad of ['', 'x'.repeat(257), 'a\nb']) {
      for (const field of ['session', 'tool', 'key', 'harness'] as const) {
        await expect(world.workspace.beginCall({ ...CALL, [field]: bad })).rejects.toMatchObject({
          code: 'BAD_ARGUMENT',
        });
      }
    }
    expect(world.workspace.listCalls()).toEqual([]);
    expect(world.workspace.list()).toHaveLength(1);
  });
});

describe('measureCall() and findUnattributed()', () => {
  async function call(key: string, work: () => void): Promise<string> {
    const { call: id } = await world.workspace.beginCall({ ...CALL, key });
    work();
    await world.workspace.endCall({ call: id, outcome: 'ok' });
    await world.workspace.measureCall(id);
    return id;
  }

  it('count what the call did', async () => {
    world.live().set('old', 1);
    world.live().set('gone', 1);
    const id = await call('1', () => {
      world.live().set('new', 1);
      world.live().set('old', 2);
      world.live().delete('gone');
    });
    expect(world.workspace.showCall(id).changes).toMatchObject({
      ...{ added: 1, modified: 1, deleted: 1 },
    });
  });

  it('find a change that no call made, and only then', async () => {
    const first = await call('1', () => world.live().set('a', 1));
    const quiet = await world.workspace.beginCall({ ...CALL, key: '2' });
    expect(await world.workspace.findUnattributed(quiet.call)).toBe(false);
    await world.workspace.endCall({ call: quiet.call, outcome: 'ok' });
    await world.workspace.measureCall(quiet.call);
    world.live().set('by-hand', 9);
    const after = await world.workspace.beginCall({ ...CALL, key: '3' });
    expect(await world.workspace.findUnattributed(after.call)).toBe(true);
    expect(world.workspace.listUnattributed()).toMatchObject([
      { snapshot: after.snapshot, since: quiet.call },
    ]);
    expect(first).not.toBe(quiet.call);
  });

  it('take no rollback for a change without a call', async () => {
    await call('1', () => world.live().set('a', 1));
    await world.workspace.undo();
    const after = await world.workspace.beginCall({ ...CALL, key: '2' });
    expect(await world.workspace.findUnattributed(after.call)).toBe(false);
  });

  it('blame nobody while calls overlap', async () => {
    await call('1', () => world.live().set('a', 1));
    await world.workspace.beginCall({ ...CALL, key: '2' });
    world.live().set('b', 1);
    const third = await world.workspace.beginCall({ ...CALL, key: '3' });
    expect(await world.workspace.findUnattributed(third.call)).toBe(false);
  });
});

describe('sessions and prompts', () => {
  it('are recorded once, resumed, and give calls their prompt, a subagent its parent’s', async () => {
    const session = { session: 's1', harness: 'test' };
    await world.workspace.startSession(session);
    await world.workspace.startSession(session);
    const prompt = await world.workspace.submitPrompt({ ...session, text: 'fix\nthe build' });
    const sub = { ...CALL, session: 's1/agent', parentSession: 's1' };
    const { call } = await world.workspace.beginCall(sub);
    expect(world.workspace.showCall(call).prompt).toBe(prompt);
    expect(world.workspace.listPrompts()).toMatchObject([{ prompt, text: 'fix the build' }]);
    await world.workspace.endSession('s1/agent');
    expect(world.workspace.showCall(call).outcome).toBe('unknown');
    await world.workspace.endSession('s1');
    await world.workspace.endSession('s1');
    await world.workspace.startSession(session);
    expect(world.workspace.listSessions()).toMatchObject([
      { session: 's1', parent: null, endedAt: null },
      { session: 's1/agent', parent: 's1' },
    ]);
    const types = world.catalog.events(world.ref.id, 0, 100).map(({ type }) => type);
    expect(types.filter((type) => type.startsWith('session.'))).toEqual([
      ...['session.started', 'session.started', 'session.ended', 'session.ended'],
      'session.started',
    ]);
  });

  it('replay to the identical state', async () => {
    await world.workspace.beginCall(CALL);
    await world.workspace.submitPrompt({ session: 's2', harness: 'test', text: 'x' });
    await world.workspace.beginCall({ ...CALL, session: 's2' });
    const state = world.catalog.loadState(world.ref.id);
    const events = world.catalog.events(world.ref.id, 0, 1000);
    expect(encodeState(foldEvents(emptyState(world.ref.id), events))).toBe(
      encodeState(state ?? emptyState(world.ref.id)),
    );
    expect(state?.calls).toHaveLength(2);
  });
});
