/**
 * When the simulated callers call: a crowd on few workspaces, or days on very many.
 *
 * Times are virtual milliseconds, drawn from the run's seed.
 */
import type { SimRandom } from './sim-random.ts';

export interface SimWorkload {
  /** The run ends at the first of the two. */
  readonly endMs: number;
  readonly operationsMax: number;
  /** The longest that one wait for the disk takes. */
  readonly pauseMsMax: number;
  /** The longest that a dead process stays away. */
  readonly downMsMax: number;
  readonly clockStepMsMax: number;
  /** One call in so many is made by two processes at once. */
  readonly contendOneIn: number;
  first(random: SimRandom): number;
  next(random: SimRandom): number;
}

/** Calls so close together that most of them meet others: what finds a race soon. */
export function crowdedWorkload(operationsMax: number): SimWorkload {
  return {
    endMs: Number.POSITIVE_INFINITY,
    operationsMax,
    pauseMsMax: 20,
    downMsMax: 200,
    clockStepMsMax: 2000,
    contendOneIn: 3,
    first: (random) => random.below(50),
    next: (random) => random.below(300),
  };
}

const SECOND_MS = 1000;
const HOUR_MS = 3_600_000;
/** A tool call every few seconds while an agent works, then nothing for hours. */
const SESSION_ENDS_ONE_IN = 6;
const THINKING_MS_MAX = 60 * SECOND_MS;
const IDLE_MS_MAX = 20 * HOUR_MS;

/** A host with its agents over days: sessions of a few calls, long silences, few coincidences. */
export function daysWorkload(hours: number): SimWorkload {
  return {
    endMs: hours * HOUR_MS,
    operationsMax: Number.POSITIVE_INFINITY,
    pauseMsMax: 30,
    downMsMax: 5 * SECOND_MS,
    clockStepMsMax: HOUR_MS,
    contendOneIn: 16,
    first: (random) => random.below(IDLE_MS_MAX),
    next: (random) =>
      random.oneIn(SESSION_ENDS_ONE_IN)
        ? random.below(IDLE_MS_MAX)
        : SECOND_MS + random.below(THINKING_MS_MAX),
  };
}
