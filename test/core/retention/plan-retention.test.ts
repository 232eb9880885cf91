import { describe, expect, it } from 'vitest';
import { nextUlid, type SnapshotId, snapshotId } from '../../../src/core/ids.ts';
import { planRetention } from '../../../src/core/retention/plan-retention.ts';
import {
  DEFAULT_RETENTION_POLICY,
  KEEP_EVERYTHING_POLICY,
  type RetentionPolicy,
} from '../../../src/core/retention/policy.ts';
import type { RetentionSnapshot } from '../../../src/core/retention/rule.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const WEEK_MS = 7 * DAY_MS;
/** Wednesday, 2025-06-18 12:00:00 UTC. */
const NOW_MS = Date.UTC(2025, 5, 18, 12);
const NOTHING: RetentionPolicy = {
  ...{ keepLast: 0, keepWithinMs: 0, hourlyForMs: 0, dailyForMs: 0, weeklyForMs: 0 },
};

function at(takenAtMs: number, more: Partial<RetentionSnapshot> = {}): RetentionSnapshot {
  const id = snapshotId(nextUlid('', takenAtMs, new Uint8Array(10)));
  return { id, createdAtMs: takenAtMs, pinned: false, role: 'ordinary', ...more };
}

function plan(
  snapshots: readonly RetentionSnapshot[],
  policy: RetentionPolicy,
  protectedIds: readonly SnapshotId[] = [],
): Record<string, string> {
  const request = { snapshots, policy, nowMs: NOW_MS, protectedIds: new Set(protectedIds) };
  return Object.fromEntries(
    planRetention(request).map(({ id, keep, rule }) => [id, `${keep ? 'keep' : 'drop'}: ${rule}`]),
  );
}

describe('planRetention()', () => {
  it('plans nothing for no snapshots', () => {
    expect(plan([], DEFAULT_RETENTION_POLICY)).toEqual({});
  });

  it('keeps the newest snapshot under a policy that keeps nothing', () => {
    const [old, newest] = [at(NOW_MS - 9 * WEEK_MS), at(NOW_MS - 8 * WEEK_MS)];
    expect(plan([old, newest], NOTHING)).toEqual({
      [newest.id]: 'keep: the newest snapshot',
      [old.id]: 'drop: older than every rule keeps',
    });
  });

  it('keeps pins and what is needed, and says so', () => {
    const pinned = at(NOW_MS - 3 * DAY_MS, { pinned: true });
    const needed = at(NOW_MS - 2 * DAY_MS, { role: 'precautionary' });
    const free = at(NOW_MS - 1 * DAY_MS);
    const newest = at(NOW_MS);
    expect(plan([free, needed, newest, pinned], NOTHING, [needed.id])).toEqual({
      [pinned.id]: 'keep: pinned',
      [needed.id]: 'keep: needed by the live tree, an operation, undo or redo',
      [free.id]: 'drop: older than every rule keeps',
      [newest.id]: 'keep: the newest snapshot',
    });
  });

  it('keeps the last N, however old', () => {
    const snapshots = [1, 2, 3, 4].map((years) => at(NOW_MS - years * 365 * DAY_MS));
    expect(Object.values(plan(snapshots, { ...NOTHING, keepLast: 3 }))).toEqual([
      'keep: the newest snapshot',
      'keep: among the last 3',
      'keep: among the last 3',
      'drop: older than every rule keeps',
    ]);
  });

  it('keeps all that are not older than an age, the age itself included', () => {
    const snapshots = [0, HOUR_MS, HOUR_MS + 1].map((age) => at(NOW_MS - age));
    expect(Object.values(plan(snapshots, { ...NOTHING, keepWithinMs: HOUR_MS }))).toEqual([
      'keep: the newest snapshot',
      'keep: not older than 1 hour',
      'drop: older than every rule keeps',
    ]);
  });

  it('keeps the newest of each hour, day and week, from Monday to Sunday', () => {
    const policy = {
      ...NOTHING,
      hourlyForMs: DAY_MS,
      dailyForMs: WEEK_MS,
      weeklyForMs: 3 * WEEK_MS,
    };
    const newest = at(NOW_MS);
    const late = at(NOW_MS - 2 * HOUR_MS - 10 * MINUTE_MS);
    const early = at(NOW_MS - 2 * HOUR_MS - 50 * MINUTE_MS);
    const evening = at(Date.UTC(2025, 5, 15, 23));
    const morning = at(Date.UTC(2025, 5, 15, 8));
    const sunday = at(Date.UTC(2025, 5, 8, 23, 59));
    const monday = at(Date.UTC(2025, 5, 2, 0));
    const weekBefore = at(Date.UTC(2025, 5, 1, 23, 59));
    const ancient = at(Date.UTC(2025, 4, 18));
    const all = [newest, late, early, evening, morning, sunday, monday, weekBefore, ancient];
    expect(plan(all, policy)).toEqual({
      [newest.id]: 'keep: the newest snapshot',
      [late.id]: 'keep: the newest of its hour, kept for 1 day',
      [early.id]: 'drop: not the newest of its hour',
      [evening.id]: 'keep: the newest of its day, kept for 1 week',
      [morning.id]: 'drop: not the newest of its day',
      [sunday.id]: 'keep: the newest of its week, kept for 3 weeks',
      [monday.id]: 'drop: not the newest of its week',
      [weekBefore.id]: 'keep: the newest of its week, kept for 3 weeks',
      [ancient.id]: 'drop: older than every rule keeps',
    });
  });

  it('takes an adopted snapshot for as old as its id, not as its record', () => {
    const adopted = { ...at(NOW_MS - 2 * HOUR_MS, { role: 'adopted' }), createdAtMs: NOW_MS };
    const newest = at(NOW_MS);
    const decisions = plan([adopted, newest], { ...NOTHING, keepWithinMs: HOUR_MS });
    expect(decisions[adopted.id]).toBe('drop: older than every rule keeps');
  });

  it('keeps a snapshot from the future: the clock was set back', () => {
    const future = at(NOW_MS + DAY_MS);
    const later = at(NOW_MS + 2 * DAY_MS);
    const decisions = plan([future, later], { ...NOTHING, keepWithinMs: HOUR_MS });
    expect(decisions[future.id]).toBe('keep: not older than 1 hour');
  });

  it('drops nothing under the policy that keeps everything', () => {
    const snapshots = Array.from({ length: 500 }, (_, i) => at(NOW_MS - i * DAY_MS));
    const words = Object.values(plan(snapshots, KEEP_EVERYTHING_POLICY));
    expect(words.filter((text) => text.startsWith('drop'))).toEqual([]);
  });
});

describe('the default policy', () => {
  it('bounds what two months of an agent at work leave behind', () => {
    // A call every two minutes for ten hours of every day.
    const snapshots: RetentionSnapshot[] = [];
    for (let day = 60; day >= 0; day -= 1) {
      for (let call = 0; call < 300; call += 1) {
        const atMs = NOW_MS - day * DAY_MS - 10 * HOUR_MS + call * 2 * MINUTE_MS;
        snapshots.push(at(atMs));
      }
    }
    const request = { snapshots, nowMs: NOW_MS, protectedIds: new Set<SnapshotId>() };
    const decisions = planRetention({ ...request, policy: DEFAULT_RETENTION_POLICY });
    const kept = decisions.filter(({ keep }) => keep).length;
    expect(kept).toBeLessThanOrEqual(120 + 48 + 14 + 9);
    const ageDays = decisions
      .filter(({ keep }) => keep)
      .map(({ id }) => snapshots.find((snapshot) => snapshot.id === id))
      .map((snapshot) => Math.floor((NOW_MS - (snapshot?.createdAtMs ?? 0)) / DAY_MS));
    // Every one of the last fourteen days can be gone back to.
    expect([...new Set(ageDays)].slice(0, 14)).toEqual(Array.from({ length: 14 }, (_, i) => i));
  });
});
