/**
 * Tries on several beds at once: a child a bed, each answering one request at a time.
 *
 * The requests of a bed come from a generator that is told each answer, so that it learns how many calls
 * an operation makes.
 */
import { join } from 'node:path';
import { AnsweringChild } from './child-process.ts';
import type { Effort } from './effort.ts';
import { makeBeds, type UserBed } from './model-beds.ts';
import type { TrialAnswer, TrialRequest } from './trial-child.ts';

const CHILD = join(import.meta.dirname, 'trial-child.ts');
/** Beds at work at once: what a try does is waiting for the disk and for one process. */
const JOBS = 2;
/** After so many failures the rest would say the same. */
const FAILURES_MAX = 8;

export type Requests = Generator<TrialRequest, void, TrialAnswer>;

export interface BedTries {
  readonly effort: Effort;
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
  const isOver = (): boolean => tries.effort.isSpent || failures.length >= FAILURES_MAX;
  const workOn = async (bed: UserBed): Promise<void> => {
    const requests = tries.requestsFor(bed);
    let child = childOf(bed);
    try {
      let next = requests.next();
      while (next.done !== true && !isOver()) {
        const request = next.value;
        const answer = (await child.ask(request)) ?? DIED;
        tries.onAnswer(bed, request, answer);
        if (answer.wasTried) tries.effort.done += 1;
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
    for (let bed = waiting.shift(); bed !== undefined; bed = waiting.shift()) await workOn(bed);
  };
  await Promise.all(Array.from({ length: JOBS }, job));
  return failures;
}

const DIED: TrialAnswer = {
  ...{ wasTried: true, counted: 0, steps: 0, hit: null, wasKilled: false, code: null },
  wrong: ['the process that judges died'],
};

function childOf(bed: UserBed): AnsweringChild<TrialRequest, TrialAnswer> {
  return new AnsweringChild({ script: CHILD, args: [JSON.stringify(bed)], uid: bed.uid });
}
