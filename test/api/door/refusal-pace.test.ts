import { describe, expect, it } from 'vitest';
import { RefusalPace } from '../../../src/api/door/refusal-pace.ts';

function paceOf(perSecond: number): { pace: RefusalPace; pass: (ms: number) => void } {
  let nowMs = 0;
  const pace = new RefusalPace({ monotonicMs: () => nowMs, perSecond: () => perSecond });
  return {
    pace,
    pass: (ms) => {
      nowMs += ms;
    },
  };
}

describe('RefusalPace', () => {
  it('lets as many go at once as a second has, and spaces those that follow', () => {
    const { pace } = paceOf(10);
    const waits = Array.from({ length: 13 }, () => pace.take('a'));
    expect(waits).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100, 200, 300]);
  });

  it('is one for each identity, and earns with time', () => {
    const { pace, pass } = paceOf(10);
    for (let n = 0; n < 12; n += 1) pace.take('a');
    expect(pace.take('b')).toBe(0);
    pass(500);
    expect(pace.take('a')).toBe(0);
  });

  it('lets nobody wait for longer than two seconds, whatever was sent before', () => {
    const { pace, pass } = paceOf(10);
    for (let n = 0; n < 10_000; n += 1) expect(pace.take('a')).toBeLessThanOrEqual(2000);
    pass(3000);
    expect(pace.take('a')).toBe(0);
  });
});
