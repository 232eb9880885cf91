/**
 * Makes tries for the crash and the nth-call prover, in a process of its own: as root or as a plain user.
 *
 * First argument: the bed. Each line of its input is a `TrialRequest`, answered by one `TrialAnswer`.
 */
import { createInterface } from 'node:readline';
import { SimRandom } from '../sim/sim-random.ts';
import { FRESH_OPERATIONS, type FreshOperation, isPossible, makeFresh } from './fresh-trials.ts';
import { type CallCounts, type Injected, type Injection, Injector } from './injector.ts';
import type { Bed } from './model-episode.ts';
import type { OperationRequest } from './operation-child.ts';
import { judgeTry, OPERATION_CHILD, outcomeOf } from './trial.ts';
import { STANDING_OPERATIONS, type StandingOperation, trialCall } from './trial-calls.ts';
import { TrialGround } from './trial-ground.ts';
import { Witness } from './witness.ts';

export type TrialOperation = StandingOperation | FreshOperation;

export interface TrialRequest {
  readonly op: TrialOperation;
  readonly seed: number;
  readonly injection: Injection;
  /** Kills itself at this labelled step instead. */
  readonly killAtStep?: number;
  /** Then opening it again is killed, at this call each. */
  readonly thenOpenKilledAt?: readonly number[];
}

export interface TrialAnswer {
  /** false: makes no sense on this bed. */
  readonly wasTried: boolean;
  /** Calls that were counted: there is nothing to try beyond. */
  readonly counted: CallCounts;
  /** Labelled steps that it said, if it came to its end. */
  readonly steps: number;
  /** The call that was hit; null: it had ended before. */
  readonly hit: string | null;
  readonly wasKilled: boolean;
  /** The code of the error it ended with; null: it succeeded or died. */
  readonly code: string | null;
  readonly wrong: readonly string[];
}

export const NO_CALLS: CallCounts = { change: 0, any: 0, create: 0 };
const NOT_TRIED: TrialAnswer = {
  ...{ wasTried: false, counted: NO_CALLS, steps: 0, hit: null, wasKilled: false },
  ...{ code: null, wrong: [] },
};
const KILLED = 137;

class Trials {
  readonly #bed: Bed;
  readonly #witness = new Witness();
  readonly #injector = new Injector();
  #ground: TrialGround | null = null;

  constructor(bed: Bed) {
    this.#bed = bed;
  }

  async answer(request: TrialRequest): Promise<TrialAnswer> {
    const random = new SimRandom(request.seed);
    this.#ground ??= await TrialGround.make(this.#bed, this.#witness, random);
    const isFresh = (FRESH_OPERATIONS as readonly string[]).includes(request.op);
    const answer = isFresh
      ? await this.#fresh(request, request.op as FreshOperation, this.#ground)
      : await this.#standing(request, request.op as StandingOperation, this.#ground, random);
    // A ground where something is wrong already would say so again and again.
    if (answer.wrong.length > 0 || !this.#ground.isAsKnown) this.#ground = null;
    return answer;
  }

  async #standing(
    request: TrialRequest,
    op: StandingOperation,
    ground: TrialGround,
    random: SimRandom,
  ): Promise<TrialAnswer> {
    await ground.edit(random, 1 + random.below(8));
    const trial = await trialCall(ground, op, random);
    if (trial === null) return NOT_TRIED;
    const { environment, path } = ground;
    const ran = await this.#run(request, { environment, path, call: trial.call });
    for (const nth of request.thenOpenKilledAt ?? []) {
      const open: OperationRequest = { environment, path, call: { op: 'open' } };
      await this.#injector.run({ mode: 'kill', nth, class: 'change' }, OPERATION_CHILD, open);
    }
    return answerOf(ran, await judgeTry(ground, trial, outcomeOf(ran.stdout)));
  }

  async #fresh(
    request: TrialRequest,
    op: FreshOperation,
    ground: TrialGround,
  ): Promise<TrialAnswer> {
    if (!isPossible(op, this.#bed)) return NOT_TRIED;
    await using fresh = await makeFresh(op, {
      ...{ bed: this.#bed, witness: this.#witness, template: ground.path },
    });
    const { environment, path, call } = fresh;
    const ran = await this.#run(request, { environment, path, call });
    const outcome = outcomeOf(ran.stdout);
    const strange = outcome?.error?.code === 'not a GhostsnapError' ? [outcome.error.message] : [];
    return answerOf(ran, [...strange, ...(await fresh.judge(outcome?.ok === true))]);
  }

  async #run(request: TrialRequest, operation: OperationRequest): Promise<Injected> {
    const { killAtStep } = request;
    const asked = killAtStep === undefined ? operation : { ...operation, killAtStep };
    return await this.#injector.run(request.injection, OPERATION_CHILD, asked);
  }

  async close(): Promise<void> {
    this.#ground?.[Symbol.dispose]();
    this.#injector[Symbol.dispose]();
    await this.#witness[Symbol.asyncDispose]();
  }
}

function answerOf(ran: Injected, wrong: readonly string[]): TrialAnswer {
  const outcome = outcomeOf(ran.stdout);
  const wasKilled = ran.status === KILLED;
  const crashed =
    outcome === null && !wasKilled ? [`ended with ${ran.status}: ${ran.stderr.slice(-2000)}`] : [];
  return {
    ...{ wasTried: true, counted: ran.counted, hit: ran.hit, wasKilled },
    steps: outcome?.labels.length ?? 0,
    code: outcome?.error?.code ?? null,
    wrong: [...crashed, ...wrong],
  };
}

export const TRIAL_OPERATIONS: readonly TrialOperation[] = [
  ...STANDING_OPERATIONS,
  ...FRESH_OPERATIONS,
];

if (import.meta.main) {
  process.umask(0o022);
  const bed = JSON.parse(process.argv[2] ?? '{}') as Bed;
  const trials = new Trials(bed);
  for await (const line of createInterface({ input: process.stdin })) {
    const answer = await trials.answer(JSON.parse(line) as TrialRequest);
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
  await trials.close();
}
