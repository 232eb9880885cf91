import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type BisectMark,
  type BisectPlan,
  type BisectVerdict,
  planBisect,
  verdictOfStatus,
} from '../../src/core/bisect.ts';
import type { SnapshotId } from '../../src/core/ids.ts';

/** States in id order; the first is good and the last is bad. */
function statesOf(count: number): readonly SnapshotId[] {
  return Array.from(
    { length: count },
    (_, i) => `ghost_${String(i).padStart(26, '0')}` as SnapshotId,
  );
}

interface Searched {
  readonly plan: BisectPlan;
  readonly trials: number;
  readonly marks: readonly BisectMark[];
}

/** Answers each trial until the search is over. */
function search(
  states: readonly SnapshotId[],
  verdictAt: (index: number) => BisectVerdict,
): Searched {
  const [good, bad] = [states[0]!, states.at(-1)!];
  const marks: BisectMark[] = [];
  for (;;) {
    const plan = planBisect({ good, bad, marks }, states);
    if (plan.next === null) return { plan, trials: marks.length, marks };
    expect(plan.next > plan.good && plan.next < plan.bad).toBe(true);
    expect(marks.some(({ state }) => state === plan.next)).toBe(false);
    marks.push({ state: plan.next, verdict: verdictAt(states.indexOf(plan.next)) });
  }
}

const sized = fc
  .integer({ min: 2, max: 300 })
  .chain((count) =>
    fc.record({ count: fc.constant(count), turn: fc.integer({ min: 1, max: count - 1 }) }),
  );

describe('planBisect()', () => {
  it('finds where it turned, in no more trials than halving takes', () => {
    fc.assert(
      fc.property(sized, ({ count, turn }) => {
        const states = statesOf(count);
        const { plan, trials } = search(states, (index) => (index < turn ? 'good' : 'bad'));
        expect([plan.good, plan.bad]).toEqual([states[turn - 1], states[turn]]);
        expect(trials).toBeLessThanOrEqual(Math.ceil(Math.log2(count - 1)));
      }),
    );
  });

  it('ends with good and bad neighbours also where it turned several times', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 200 }), (between) => {
        const verdicts = [true, ...between, false];
        const states = statesOf(verdicts.length);
        const { plan } = search(states, (index) => (verdicts[index] ? 'good' : 'bad'));
        const at = states.indexOf(plan.good);
        expect(plan.bad).toBe(states[at + 1]);
        expect([verdicts[at], verdicts[at + 1]]).toEqual([true, false]);
      }),
    );
  });

  it('ends with a range that holds the turn, and in it nothing but skipped states', () => {
    fc.assert(
      fc.property(sized, fc.infiniteStream(fc.boolean()), ({ count, turn }, skips) => {
        const states = statesOf(count);
        const isSkipped = states.map(() => skips.next().value === true);
        const { plan } = search(states, (index) => {
          if (isSkipped[index]) return 'skip';
          return index < turn ? 'good' : 'bad';
        });
        const [from, to] = [states.indexOf(plan.good), states.indexOf(plan.bad)];
        expect(from < turn && turn <= to).toBe(true);
        expect(plan.skipped).toEqual(states.slice(from + 1, to));
        expect(states.slice(from + 1, to).every((_, i) => isSkipped[from + 1 + i])).toBe(true);
      }),
    );
  });

  it('goes on from the same marks with the same state, also when retention took some', () => {
    fc.assert(
      fc.property(sized, fc.nat(), ({ count, turn }, pick) => {
        const states = statesOf(count);
        const { marks } = search(states, (index) => (index < turn ? 'good' : 'bad'));
        const some = marks.slice(0, marks.length === 0 ? 0 : pick % marks.length);
        const on = { good: states[0]!, bad: states.at(-1)!, marks: some };
        expect(planBisect(on, states)).toEqual(planBisect(on, states));
        const kept = states.filter((state) => !some.some((mark) => mark.state === state));
        const { good, bad } = planBisect(on, kept);
        expect({ good, bad }).toMatchObject(boundsOf(planBisect(on, states)));
      }),
    );
  });

  it('keeps its bounds whatever is marked outside of them', () => {
    const states = statesOf(9);
    const [good, bad] = [states[2]!, states[6]!];
    const marks = [
      { state: states[1]!, verdict: 'bad' },
      { state: states[7]!, verdict: 'good' },
      { state: states[4]!, verdict: 'bad' },
      { state: states[5]!, verdict: 'good' },
    ] as const;
    const plan = planBisect({ good, bad, marks }, states);
    expect(plan).toMatchObject({ good, bad: states[4], next: states[3] });
  });

  it('goes far away from what cannot be judged', () => {
    const states = statesOf(17);
    const ends = { good: states[0]!, bad: states[16]! };
    const marks = [{ state: states[8]!, verdict: 'skip' }] as const;
    expect(planBisect({ ...ends, marks }, states).next).toBe(states[4]);
  });
});

function boundsOf({ good, bad }: BisectPlan): Pick<BisectPlan, 'good' | 'bad'> {
  return { good, bad };
}

it('verdictOfStatus() reads exit statuses as git does', () => {
  const of = (...statuses: number[]): unknown => statuses.map(verdictOfStatus);
  expect(of(0, 1, 124, 125, 126, 127)).toEqual(['good', 'bad', 'bad', 'skip', 'bad', 'bad']);
  expect(of(128, 130, 255, -1)).toEqual([null, null, null, null]);
});
