import { beforeEach, describe, expect, it, vi } from 'vitest';
import { type EngineWorld, makeEngineWorld } from './engine-world.ts';

let world: EngineWorld;

beforeEach(async () => {
  world = await makeEngineWorld();
});

/** One tool call: a snapshot before it, then its effect. */
async function call(path: string, value: number): Promise<string> {
  const { id } = await world.workspace.snapshot();
  world.live().set(path, value);
  return id;
}

function tree(): Record<string, number> {
  return Object.fromEntries(world.live());
}

describe('undo and redo', () => {
  it('walk back call by call and forward again', async () => {
    await call('a', 1);
    await call('a', 2);
    await call('a', 3);
    const seen: unknown[] = [];
    for (let i = 0; i < 3; i += 1) {
      await world.workspace.undo();
      seen.push(tree());
    }
    expect(seen).toEqual([{ a: 2 }, { a: 1 }, {}]);
    await world.workspace.redo();
    await world.workspace.redo();
    expect(tree()).toEqual({ a: 2 });
    await world.workspace.redo();
    expect(tree()).toEqual({ a: 3 });
    await expect(world.workspace.redo()).rejects.toMatchObject({ code: 'NOTHING_TO_REDO' });
  });

  it('look into one of many states that are proven to be the same', async () => {
    await call('a', 1);
    for (let i = 0; i < 200; i += 1) await world.workspace.snapshot();
    const compare = vi.spyOn(world.backend, 'compare');
    await world.workspace.undo();
    expect(tree()).toEqual({});
    // The newest, the one that differs, and what the turn itself looks at.
    expect(compare.mock.calls.length).toBeLessThan(5);
  });

  it('undo takes back a rollback, then goes on before it', async () => {
    const first = await call('a', 1);
    await call('a', 2);
    await world.workspace.rollback(first);
    expect(tree()).toEqual({});
    await world.workspace.undo();
    expect(tree()).toEqual({ a: 2 });
    await world.workspace.undo();
    expect(tree()).toEqual({ a: 1 });
    await world.workspace.redo();
    expect(tree()).toEqual({ a: 2 });
    await world.workspace.redo();
    expect(tree()).toEqual({});
  });

  it('undo takes back a call that was made after an undo, then the state undone to', async () => {
    await call('a', 1);
    await call('a', 2);
    await world.workspace.undo();
    world.live().set('b', 7);
    await call('c', 8);
    expect(tree()).toEqual({ a: 1, b: 7, c: 8 });
    await world.workspace.undo();
    expect(tree()).toEqual({ a: 1, b: 7 });
    await world.workspace.undo();
    expect(tree()).toEqual({ a: 1 });
    await world.workspace.undo();
    expect(tree()).toEqual({});
  });

  it('undo after edits on an undone state goes back to that state first', async () => {
    await call('a', 1);
    await call('a', 2);
    await world.workspace.undo();
    world.live().set('b', 7);
    await expect(world.workspace.redo()).rejects.toMatchObject({ code: 'NOTHING_TO_REDO' });
    await world.workspace.undo();
    expect(tree()).toEqual({ a: 1 });
  });

  it('undo passes over states that equal the live tree', async () => {
    await call('a', 1);
    await world.workspace.snapshot();
    await world.workspace.snapshot();
    await world.workspace.undo();
    expect(tree()).toEqual({});
  });

  it('refuse when there is nothing, and change nothing', async () => {
    await expect(world.workspace.undo()).rejects.toMatchObject({ code: 'NOTHING_TO_UNDO' });
    await expect(world.workspace.redo()).rejects.toMatchObject({ code: 'NOTHING_TO_REDO' });
    expect(world.workspace.list()).toHaveLength(1);
  });
});
