import { describe, expect, it } from 'vitest';
import { DELETE_STEPS } from '../../src/engine/delete-snapshots.ts';
import { TURN_STEPS } from '../../src/engine/turn-tree.ts';
import { makeEngineWorld } from './engine-world.ts';

describe('labelled steps', () => {
  it('of a turn and of a deletion are all passed, in order: where tests kill the process', async () => {
    const { workspace, live } = await makeEngineWorld();
    const { id } = await workspace.snapshot();
    live().set('a', 1);
    const seen: string[] = [];
    const onStep = (label: string): void => {
      seen.push(label);
    };
    await workspace.rollback(id, { mode: 'in-place', onStep });
    expect(seen.filter((label) => label.startsWith('turn:'))).toEqual([...TURN_STEPS]);
    seen.length = 0;
    const [newest] = workspace.list();
    await workspace.prune({ specs: [newest?.id ?? ''], onStep });
    expect(seen).toEqual([...DELETE_STEPS]);
  });
});
