import { beforeEach, describe, expect, it } from 'vitest';
import { GhostsnapError } from '../../src/core/errors.ts';
import { type EngineWorld, makeEngineWorld } from './engine-world.ts';

let world: EngineWorld;

beforeEach(async () => {
  world = await makeEngineWorld();
});

function tree(): Record<string, number> {
  return Object.fromEntries(world.live());
}

async function collect<T>(values: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const value of values) found.push(value);
  return found;
}

describe('@', () => {
  it('typed twice goes to the same state twice: what a rollback left is not the newest', async () => {
    world.live().set('a', 1);
    await world.workspace.snapshot();
    for (const damage of [2, 3, 4]) {
      world.live().set('a', damage);
      await world.workspace.rollback('@');
      expect(tree()).toEqual({ a: 1 });
    }
    expect(await collect(world.workspace.diff('@'))).toEqual([]);
    await world.workspace.undo();
    expect(tree()).toEqual({ a: 4 });
  });

  it('counts back over any number of precautionary snapshots', async () => {
    world.live().set('a', 1);
    const { id } = await world.workspace.snapshot();
    const { id: second } = await world.workspace.snapshot();
    for (let i = 0; i < 70; i += 1) await world.workspace.rollback('@');
    expect(world.workspace.resolve('@')).toBe(second);
    expect(world.workspace.resolve('@~1')).toBe(id);
    expect(() => world.workspace.resolve('@~3')).toThrow(
      expect.objectContaining({ code: 'SNAPSHOT_NOT_FOUND' }),
    );
  });
});

describe('a tool call', () => {
  const begin = (key: string) =>
    world.workspace.beginCall({ session: 's', harness: 'codex', tool: 'Bash', key });

  it('is the state before it, by its id or the beginning of it', async () => {
    world.live().set('a', 1);
    const first = await begin('1');
    world.live().set('a', 2);
    const second = await begin('2');
    expect(world.workspace.resolve(first.call)).toBe(first.snapshot);
    expect(world.workspace.resolve(second.call.slice(0, -1).toLowerCase())).toBe(second.snapshot);
    await world.workspace.rollback(first.call);
    expect(tree()).toEqual({ a: 1 });
  });

  it('that is none, or means several, or has no state, is an error that says so', async () => {
    const { call, snapshot } = await begin('1');
    await begin('2');
    await world.workspace.prune({ specs: [String(snapshot)], apply: true });
    const codeOf = (spec: string): unknown => {
      try {
        return world.workspace.resolve(spec);
      } catch (error) {
        return error instanceof GhostsnapError ? error.code : error;
      }
    };
    expect(codeOf(call.slice(0, 10))).toBe('AMBIGUOUS_ID');
    expect(codeOf('call_00000000000000000000000000')).toBe('CALL_NOT_FOUND');
    expect(codeOf(call)).toBe('SNAPSHOT_NOT_FOUND');
  });
});

describe('createdAt', () => {
  it('is the same wherever a snapshot is shown', async () => {
    const { id, createdAt } = await world.workspace.snapshot();
    expect(world.workspace.show(id).createdAt).toBe(createdAt);
    expect(world.workspace.list({ limit: 1 })[0]?.createdAt).toBe(createdAt);
    expect((await world.workspace.status()).newest?.createdAt).toBe(createdAt);
  });
});

describe('planWalk()', () => {
  it('says what undo and redo would do, and changes nothing', async () => {
    const { id } = await world.workspace.snapshot();
    world.live().set('a', 1);
    const plan = await world.workspace.planWalk('undo');
    expect(plan.target).toBe(id);
    expect((await collect(plan.changes)).map(({ kind }) => kind)).toEqual(['deleted']);
    expect(tree()).toEqual({ a: 1 });
    await world.workspace.undo();
    const redo = await world.workspace.planWalk('redo');
    expect((await collect(redo.changes)).map(({ kind }) => kind)).toEqual(['added']);
    expect(tree()).toEqual({});
    await world.workspace.redo();
    const again = world.workspace.planWalk('redo');
    await expect(again).rejects.toMatchObject({ code: 'NOTHING_TO_REDO' });
  });
});
