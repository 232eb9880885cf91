/**
 * The retention policy: how much of a workspace's past is kept.
 *
 * A snapshot is kept when any one rule keeps it; what no rule keeps is dropped. Pins, the newest
 * snapshot and whatever an operation needs are kept by every policy and have no setting here.
 */
import { SNAPSHOTS_PER_WORKSPACE_MAX } from '../limits.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const WEEK_MS = 7 * DAY_MS;

export interface RetentionPolicy {
  /** The newest so many, however old. */
  readonly keepLast: number;
  /** All that are not older than this; 0 switches the rule off, here and below. */
  readonly keepWithinMs: number;
  /** The newest of each hour (UTC), this far back. */
  readonly hourlyForMs: number;
  /** The newest of each day (UTC). */
  readonly dailyForMs: number;
  /** The newest of each week (Monday to Sunday, UTC). */
  readonly weeklyForMs: number;
}

/**
 * On by default. Sized for an agent that calls a tool every few seconds: a session of half a day can be
 * walked call by call, two days hour by hour, two weeks day by day, two months week by week. Beyond the
 * last four hours at most 100 + 48 + 14 + 8 snapshots stay, so a disk fills with the work of hours, not
 * of months. The last 100 are kept however old: a project untouched for a year loses none of its end.
 */
export const DEFAULT_RETENTION_POLICY: RetentionPolicy = {
  keepLast: 100,
  keepWithinMs: 4 * HOUR_MS,
  hourlyForMs: 2 * DAY_MS,
  dailyForMs: 14 * DAY_MS,
  weeklyForMs: 8 * WEEK_MS,
};

/** Drops nothing: a workspace cannot hold more than the last so many. */
export const KEEP_EVERYTHING_POLICY: RetentionPolicy = {
  keepLast: SNAPSHOTS_PER_WORKSPACE_MAX,
  keepWithinMs: 0,
  hourlyForMs: 0,
  dailyForMs: 0,
  weeklyForMs: 0,
};
