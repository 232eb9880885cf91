import { describe, expect, it } from 'vitest';
import { AnswerBudget } from '../../../src/api/door/answer-budget.ts';

const BOUNDS = { bytesMax: 100, tenantBytesMax: 60, takenWithinMs: 10 };
const nothing = (): void => undefined;

describe('AnswerBudget', () => {
  it('has room for one answer of a tenant, however large, and for no more beyond its share', () => {
    using budget = new AnswerBudget(() => 0, BOUNDS);
    budget.assertRoom('red', 1000);
    const letGo = budget.hold('red', 1000, nothing);
    expect(() => budget.assertRoom('red')).toThrow(/Too many answers of the tenant/);
    budget.assertRoom('blue', 50);
    letGo();
    budget.assertRoom('red', 50);
    letGo();
    expect(budget.bytes).toBe(0);
  });

  it('is bounded over all tenants, and leaves each its first', () => {
    using budget = new AnswerBudget(() => 0, BOUNDS);
    for (const tenant of ['a', 'b', 'c']) budget.hold(tenant, 40, nothing);
    expect(() => budget.assertRoom('a')).toThrow(/Too many answers wait/);
    budget.assertRoom('d', 40);
  });

  it('cuts off what was not taken in time, the rest stays', () => {
    let nowMs = 0;
    using budget = new AnswerBudget(() => nowMs, BOUNDS);
    const cut: string[] = [];
    budget.hold('red', 1, () => cut.push('old'));
    budget.hold('red', 1, nothing)();
    nowMs = 9;
    budget.hold('red', 1, () => cut.push('young'));
    budget.sweep();
    expect(cut).toEqual([]);
    nowMs = 11;
    budget.sweep();
    expect(cut).toEqual(['old']);
  });
});
