import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nextUlid, type SnapshotId, snapshotId, type Ulid } from '../../../src/core/ids.ts';
import {
  planRetention,
  type RetentionRequest,
} from '../../../src/core/retention/plan-retention.ts';
import type { RetentionPolicy } from '../../../src/core/retention/policy.ts';
import type { RetentionSnapshot } from '../../../src/core/retention/rule.ts';

const NOW_MS = Date.UTC(2025, 5, 18, 12, 34, 56, 789);
const HOUR_MS = 3_600_000;
const SPAN_MS = 100 * 24 * HOUR_MS;

const ageMs = fc.oneof(
  fc.integer({ min: 0, max: 30 * HOUR_MS }),
  fc.integer({ min: 0, max: SPAN_MS }),
);

const snapshots: fc.Arbitrary<readonly RetentionSnapshot[]> = fc
  .array(
    fc.record({
      ageMs,
      /** The record may be later than the id says, or the clock may have been set back. */
      skewMs: fc.integer({ min: -HOUR_MS, max: HOUR_MS }),
      pinned: fc.boolean(),
      role: fc.constantFrom('ordinary' as const, 'precautionary' as const, 'adopted' as const),
    }),
    { maxLength: 60 },
  )
  .map((rows) => {
    let previous: Ulid | '' = '';
    return rows
      .toSorted((a, b) => b.ageMs - a.ageMs)
      .map(({ ageMs: age, skewMs, pinned, role }) => {
        previous = nextUlid(previous, NOW_MS - age, new Uint8Array(10));
        return { id: snapshotId(previous), createdAtMs: NOW_MS - age + skewMs, pinned, role };
      });
  });

const policy: fc.Arbitrary<RetentionPolicy> = fc.record({
  keepLast: fc.nat({ max: 20 }),
  keepWithinMs: fc.oneof(fc.constant(0), ageMs),
  hourlyForMs: fc.oneof(fc.constant(0), ageMs),
  dailyForMs: fc.oneof(fc.constant(0), ageMs),
  weeklyForMs: fc.oneof(fc.constant(0), ageMs),
});

const request: fc.Arbitrary<RetentionRequest> = fc
  .record({ snapshots, policy, nowMs: fc.constant(NOW_MS) })
  .chain((base) =>
    fc
      .subarray(base.snapshots.map(({ id }) => id))
      .map((ids) => ({ ...base, protectedIds: new Set(ids) })),
  );

function keptBy(asked: RetentionRequest): Set<SnapshotId> {
  return new Set(planRetention(asked).flatMap(({ id, keep }) => (keep ? [id] : [])));
}

function isSubset(inner: ReadonlySet<SnapshotId>, outer: ReadonlySet<SnapshotId>): boolean {
  return [...inner].every((id) => outer.has(id));
}

describe('planRetention()', () => {
  it('decides once about every snapshot, newest first, with a reason', () => {
    fc.assert(
      fc.property(request, (asked) => {
        const ids = asked.snapshots.map(({ id }) => id).toReversed();
        const decisions = planRetention(asked);
        expect(decisions.map(({ id }) => id)).toEqual(ids);
        expect(decisions.every(({ rule }) => rule !== '')).toBe(true);
      }),
    );
  });

  it('never drops what is pinned, what is needed or the newest', () => {
    fc.assert(
      fc.property(request, (asked) => {
        const kept = keptBy(asked);
        for (const { id, pinned } of asked.snapshots) if (pinned) expect(kept).toContain(id);
        expect(isSubset(asked.protectedIds, kept)).toBe(true);
        const newest = asked.snapshots.at(-1);
        if (newest !== undefined) expect(kept).toContain(newest.id);
      }),
    );
  });

  it('drops nothing more when it plans again over what was kept', () => {
    fc.assert(
      fc.property(request, (asked) => {
        const kept = keptBy(asked);
        const left = asked.snapshots.filter(({ id }) => kept.has(id));
        expect(keptBy({ ...asked, snapshots: left })).toEqual(kept);
      }),
    );
  });

  it('gives the same plan in whatever order the snapshots come', () => {
    const shuffled = request.chain((asked) =>
      fc
        .shuffledSubarray([...asked.snapshots], { minLength: asked.snapshots.length })
        .map((mixed) => ({ asked, mixed })),
    );
    fc.assert(
      fc.property(shuffled, ({ asked, mixed }) => {
        expect(planRetention({ ...asked, snapshots: mixed })).toEqual(planRetention(asked));
      }),
    );
  });

  it('never drops a snapshot because a rule keeps more', () => {
    const key = fc.constantFrom(
      ...(['keepLast', 'keepWithinMs', 'hourlyForMs', 'dailyForMs', 'weeklyForMs'] as const),
    );
    fc.assert(
      fc.property(request, key, fc.nat({ max: SPAN_MS }), (asked, widened, more) => {
        const wider = { ...asked.policy, [widened]: asked.policy[widened] + more };
        expect(isSubset(keptBy(asked), keptBy({ ...asked, policy: wider }))).toBe(true);
      }),
    );
  });

  it('never drops another snapshot because one is pinned or needed', () => {
    fc.assert(
      fc.property(request, fc.nat(), (asked, at) => {
        const chosen = asked.snapshots[at % Math.max(1, asked.snapshots.length)];
        if (chosen === undefined) return;
        const pinnedMore = asked.snapshots.map((one) =>
          one.id === chosen.id ? { ...one, pinned: true } : one,
        );
        const neededMore = new Set([...asked.protectedIds, chosen.id]);
        const before = keptBy(asked);
        expect(isSubset(before, keptBy({ ...asked, snapshots: pinnedMore }))).toBe(true);
        expect(isSubset(before, keptBy({ ...asked, protectedIds: neededMore }))).toBe(true);
      }),
    );
  });

  it('never brings a reason back for what time alone has passed by', () => {
    fc.assert(
      fc.property(request, fc.nat({ max: SPAN_MS }), (asked, laterMs) => {
        const later = keptBy({ ...asked, nowMs: asked.nowMs + laterMs });
        expect(isSubset(later, keptBy(asked))).toBe(true);
      }),
    );
  });
});
