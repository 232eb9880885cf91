/**
 * Keeps all snapshots younger than a given age.
 */
import { ageInWords } from './age-words.ts';
import type { RetentionRule } from './rule.ts';

/** @param ageMsMax inclusive; 0 keeps nothing. A snapshot from the future (the clock was set back) is young. */
export function keepWithin(ageMsMax: number): RetentionRule {
  return (candidates, nowMs) => {
    if (ageMsMax === 0) return new Map();
    const rule = `not older than ${ageInWords(ageMsMax)}`;
    return new Map(
      candidates
        .filter(({ takenAtMs }) => nowMs - takenAtMs <= ageMsMax)
        .map(({ id }) => [id, rule]),
    );
  };
}
