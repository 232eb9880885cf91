import { describe, expect, it } from 'vitest';
import { changedPaths, changeStats } from '../../src/core/change-stats.ts';
import { change } from './change-samples.ts';

describe('changeStats()', () => {
  it('counts each kind', () => {
    const stats = changeStats([change('added', 'a'), change('added', 'b'), change('type', 'c')]);
    expect(stats).toEqual({
      added: 2,
      deleted: 0,
      modified: 0,
      metadata: 0,
      type: 1,
      renamed: 0,
      uncovered: 0,
    });
  });

  it('does not count an uncovered path as changed', () => {
    const stats = changeStats([change('uncovered', 'a'), change('renamed', 'b')]);
    expect(changedPaths(stats)).toBe(1);
  });
});
