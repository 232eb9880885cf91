/**
 * Tries on several beds at once: a child a bed, each answering one request at a time.
 *
 * The requests of a bed come from a generator that is told each answer, so that it learns how many calls
 * an operation makes.
 */
import { join } from 'node:path';
import { AnsweringChild } from './child-process.ts';
import type { Spending } from './effort.ts';
import { makeBeds, type UserBed } from './model-beds.ts';
import { NO_CALLS, type TrialAnswer, type TrialRequest } from './trial-child.ts';

const CHILD = join(import.meta.dirname, 'trial-child.ts');
/** Beds at work at once: what a try does is waiting for the disk and for one process. */
const JOBS = 2;
/** After so many failures the rest would say the same. */
const FAILURES_MAX = 8;

export type Requests = Generator<TrialRequest, void, TrialAnswer>;

/** One request of each in turn, so that none is left out when the time is over. */
export function* inTurns(all: readonly Requests[]): Requests {
  let waiting = all.map((requests) => ({ requests, next: requests.next() }));
  while (waiting.length > 0) {
    for (const one of waiting) {
      if (one.next.done !== true) one.next = one.requests.next(yield one.next.value);
    }
    waiting = waiting.filter(({ next }) => next.done !== true);
  }
}

export interface BedTries {
  /** Each bed gets a share of it. */
  readonly effort: Spending;
  /** Names of beds; a plain user's end in `-user`. */
  readonly beds: readonly string[];
  readonly requestsFor: (bed: UserBed) => Requests;
  readonly onAnswer: (bed: UserBed, request: TrialRequest, answer: TrialAnswer) => void;
}

/** @returns what went wrong */
export async function tryOnBeds(tries: BedTries): Promise<string[]> {
  await using beds = await makeBeds();
  const chosen = beds.all.filter(({ name }) => tries.beds.includes(name));
  const failures: string[] = [];
  const workOn = async (bed: UserBed, effort: Spending): Promise<void> => {
    const isOver = (): boolean => effort.isSpent || failures.length >= FAILURES_MAX;
    const requests = tries.requestsFor(bed);
    let child = childOf(bed);
    try {
      let next = requests.next();
      while (next.done !== true && !isOver()) {
        const request = next.value;
        const answer = (await child.ask(request)) ?? DIED;
        tries.onAnswer(bed, request, answer);
        if (answer.wasTried) effort.done += 1;
        for (const what of answer.wrong) {
          failures.push(`${bed.name} ${JSON.stringify(request)}, call ${answer.hit}: ${what}`);
        }
        if (answer === DIED) {
          await child[Symbol.asyncDispose]();
          child = childOf(bed);
        }
        next = requests.next(answer);
      }
    } finally {
      await child[Symbol.asyncDispose]();
    }
  };
  const waiting = [...chosen];
  const job = async (): Promise<void> => {
    for (let left = waiting.length; left > 0; left = waiting.length) {
      const bed = waiting.shift();
      if (bed !== undefined) await workOn(bed, tries.effort.slice(Math.ceil(left / JOBS)));
    }
  };
  await Promise.all(Array.from({ length: JOBS }, job));
  return failures;
}

const DIED: TrialAnswer = {
  ...{ wasTried: true, counted: NO_CALLS, steps: 0, hit: null, wasKilled: false, code: null },
  wrong: ['the process that judges died'],
};

function childOf(bed: UserBed): AnsweringChild<TrialRequest, TrialAnswer> {
  return new AnsweringChild({ script: CHILD, args: [JSON.stringify(bed)], uid: bed.uid });
}
