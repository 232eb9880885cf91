import { describe, expect, it } from 'vitest';
import { Simulator } from './simulator.ts';

const BOUNDED = { steps: 600, workspaces: 4, crashOneIn: 60, failOneIn: 80 };

describe('the simulator', () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'finds no lost snapshot, no id twice and no torn state with seed %i',
    async (seed) => {
      const report = await new Simulator({ seed, ...BOUNDED }).run();
      expect(report.crashes).toBeGreaterThan(0);
      expect(report.failures).toBeGreaterThan(0);
      expect(report.snapshotsAcknowledged).toBeGreaterThan(50);
    },
  );

  // Each of these once failed.
  it.each([
    [144, 'a redo that first ends an interrupted turn'],
    [149, 'a redo that first ends an interrupted turn'],
    [371, 'an undo that first ends an interrupted turn'],
  ])('holds with the pinned seed %i: %s', async (seed) => {
    await new Simulator({ seed, ...BOUNDED }).run();
  });

  it('gives the same run for the same seed', async () => {
    const options = { seed: 99, ...BOUNDED };
    expect(await new Simulator(options).run()).toEqual(await new Simulator(options).run());
  });
});
