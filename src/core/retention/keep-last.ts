/**
 * Keeps the newest N snapshots, however old they are.
 */
import type { RetentionRule } from './rule.ts';

/** @param count 0 or more */
export function keepLast(count: number): RetentionRule {
  return (candidates) =>
    new Map(candidates.slice(0, count).map(({ id }) => [id, `among the last ${count}`]));
}
