/**
 * Keeps fewer and fewer snapshots the older they get: the newest of each hour, of each day, of each
 * week. All of the most recent past are `keep-within.ts`'s.
 *
 * Hours, days and weeks are those of UTC, fixed to the calendar and not to now: which snapshot stands
 * for an hour does not depend on when retention runs. Hours lie in days and days in weeks, so the newest
 * of a week is also the newest of its day and hour, and thinning early never loses what later stays.
 */
import type { SnapshotId } from '../ids.ts';
import { ageInWords } from './age-words.ts';
import type { RetentionPolicy } from './policy.ts';
import type { RetentionCandidate, RetentionRule } from './rule.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const WEEK_MS = 7 * DAY_MS;
/** The epoch was a Thursday: weeks begin four days later. */
const FIRST_MONDAY_MS = 4 * DAY_MS;

export interface ThinOutTier {
  readonly unit: 'hour' | 'day' | 'week';
  readonly ageMsMax: number;
}

export function thinOutTiers(policy: RetentionPolicy): readonly ThinOutTier[] {
  const tiers: readonly ThinOutTier[] = [
    { unit: 'hour', ageMsMax: policy.hourlyForMs },
    { unit: 'day', ageMsMax: policy.dailyForMs },
    { unit: 'week', ageMsMax: policy.weeklyForMs },
  ];
  return tiers.filter(({ ageMsMax }) => ageMsMax > 0);
}

export function thinOut(policy: RetentionPolicy): RetentionRule {
  return (candidates, nowMs) => {
    const kept = new Map<SnapshotId, string>();
    for (const { unit, ageMsMax } of thinOutTiers(policy)) {
      const rule = `the newest of its ${unit}, kept for ${ageInWords(ageMsMax)}`;
      for (const { id, takenAtMs } of newestOfEach(candidates, unit).values()) {
        if (!kept.has(id) && nowMs - takenAtMs <= ageMsMax) kept.set(id, rule);
      }
    }
    return kept;
  };
}

/** The number of the hour, day or week that a time lies in. */
function calendarUnit(unit: ThinOutTier['unit'], atMs: number): number {
  if (unit === 'hour') return Math.floor(atMs / HOUR_MS);
  if (unit === 'day') return Math.floor(atMs / DAY_MS);
  return Math.floor((atMs - FIRST_MONDAY_MS) / WEEK_MS);
}

function newestOfEach(
  candidates: readonly RetentionCandidate[],
  unit: ThinOutTier['unit'],
): ReadonlyMap<number, { readonly id: SnapshotId; readonly takenAtMs: number }> {
  const newest = new Map<number, RetentionCandidate>();
  for (const candidate of candidates) {
    const number = calendarUnit(unit, candidate.takenAtMs);
    if (!newest.has(number)) newest.set(number, candidate);
  }
  return newest;
}
