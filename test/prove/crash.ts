/**
 * The crash prover: SIGKILL at every labelled step and at the Nth system call of every operation that
 * changes something, recovery itself included; then the workspace is opened again and compared.
 *
 * In the long form every labelled step of every operation is tried on every bed, and then every N of every
 * operation. Where the time is not enough for all of it, each half and each bed has a share of it, and what
 * is tried of the N is spread over them. In the bounded form: a sample by seed.
 */
import { SimRandom } from '../sim/sim-random.ts';
import type { Spending } from './effort.ts';
import type { UserBed } from './model-beds.ts';
import { narrowed, type Prover, type ProverOptions, type ProverReport } from './prover.ts';
import { spreadOrder } from './spread-order.ts';
import { inTurns, type Requests, tryOnBeds } from './trial-beds.ts';
import {
  TRIAL_OPERATIONS,
  type TrialAnswer,
  type TrialOperation,
  type TrialRequest,
} from './trial-child.ts';

const PARTS = ['steps', 'calls'] as const;
const LONG_BEDS = [
  ...['btrfs', 'store-ext4', 'btrfs-user', 'store-ext4-user', 'store-xfs', 'store-btrfs'],
  ...['store-tmpfs', 'store-tmpfs-user'],
];
/** Beyond any operation's calls: it comes to its end and says how many there are. */
const NEVER = 1_000_000;

interface Tally {
  calls: number;
  steps: number;
  killsAtSteps: number;
  killsAtCalls: number;
  recoveriesKilled: number;
  lost: number;
}

export const crash: Prover = {
  name: 'crash',
  about: 'SIGKILL at every labelled step and every system call of every operation',
  narrowedBy: ['operations', 'beds', 'at'],
  async run(options) {
    const tallies = new Map<TrialOperation, Tally>();
    const effort = options.effort({
      bounded: { ops: 50, minutes: 1 },
      long: { ops: 1_000_000, minutes: 24 * 60 },
    });
    const wholes: Wholes = new Map();
    const tryAll = (spending: Spending, beds: readonly string[], kill: Kills): Promise<string[]> =>
      tryOnBeds({
        ...{ effort: spending, beds },
        requestsFor: (bed) => requests(options, kill, { bed, wholes }),
        onAnswer: (_bed, request, answer) => add(tallies, request, answer),
      });
    if (options.extent === 'bounded') {
      const beds = options.only.beds === undefined ? boundedBeds(options) : bedsOf(options);
      return report(tallies, await tryAll(effort, beds, sampleOf(options)));
    }
    const failures: string[] = [];
    const parts = narrowed(options, 'at', PARTS);
    for (const [index, part] of parts.entries()) {
      const spending = effort.slice(parts.length - index);
      failures.push(...(await tryAll(spending, bedsOf(options), EVERY[part])));
      const reach = spending.isSpent ? 'until its share was spent' : 'all of them';
      options.say(`kills at ${part}: ${reach}; ${effort.done} tries so far`);
      if (failures.length > 0) break;
    }
    return report(tallies, failures);
  },
};

function bedsOf(options: ProverOptions): readonly string[] {
  return narrowed(options, 'beds', LONG_BEDS);
}

/** One of the two beds is a plain user's, by the seed which. */
function boundedBeds({ seed }: ProverOptions): readonly string[] {
  return seed % 2 === 0 ? ['btrfs-user', 'store-tmpfs'] : ['btrfs', 'store-tmpfs-user'];
}

/** Of an operation that came to its end. */
type Whole = Pick<TrialAnswer, 'steps'> & { readonly calls: number };
/** By backend and operation: learnt by one run to the end, for steps and calls and for all its beds. */
type Wholes = Map<string, Whole>;

interface Killing {
  readonly op: TrialOperation;
  readonly bed: UserBed;
  readonly random: SimRandom;
  readonly wholes: Wholes;
  readonly round: number;
}

type Kills = (killing: Killing) => Requests;

/** In the long form once through; a sample goes on until the effort is spent. */
function* requests(
  options: ProverOptions,
  kill: Kills,
  on: Pick<Killing, 'bed' | 'wholes'>,
): Requests {
  const { bed } = on;
  const random = new SimRandom(options.seed + bed.name.length * 7919);
  const operations = narrowed(options, 'operations', TRIAL_OPERATIONS);
  if (options.extent === 'long') {
    yield* inTurns(operations.map((op) => kill({ ...on, op, random, round: 0 })));
    return;
  }
  for (let round = 0; ; round += 1) {
    for (const op of operations) yield* kill({ ...on, op, random, round });
  }
}

/** null: it makes no sense on this bed. */
function* wholeOf({
  op,
  bed,
  random,
  wholes,
}: Killing): Generator<TrialRequest, Whole | null, TrialAnswer> {
  const key = `${bed.backend} ${op}`;
  const known = wholes.get(key);
  if (known !== undefined) return known;
  const { wasTried, steps, counted } = yield atStep(op, NEVER, random);
  if (!wasTried) return null;
  const whole = { steps, calls: counted.change };
  wholes.set(key, whole);
  return whole;
}

/** Another run may say or make a few more than the one that was counted. */
function* everyStep(killing: Killing): Requests {
  const { op, random } = killing;
  const whole = yield* wholeOf(killing);
  if (whole === null) return;
  for (const step of spreadOrder(whole.steps, random)) {
    if (!(yield atStep(op, step, random)).wasTried) return;
  }
  for (let step = whole.steps + 1; ; step += 1) {
    const answer = yield atStep(op, step, random);
    if (!answer.wasKilled) return;
  }
}

function* everyCall(killing: Killing): Requests {
  const { op, random } = killing;
  const whole = yield* wholeOf(killing);
  if (whole === null) return;
  for (const nth of spreadOrder(whole.calls, random)) {
    if (!(yield atCall(op, nth, random)).wasTried) return;
  }
  for (let nth = whole.calls + 1; ; nth += 1) {
    const answer = yield atCall(op, nth, random);
    if (answer.hit === null) return;
  }
}

const EVERY: Readonly<Record<(typeof PARTS)[number], Kills>> = {
  steps: everyStep,
  calls: everyCall,
};

/** Steps and calls in turn, or what was asked for. */
function sampleOf(options: ProverOptions): Kills {
  const parts = narrowed(options, 'at', PARTS);
  return ({ op, random, round }) => someKills(op, random, parts[(round + 1) % parts.length]);
}

/** How many calls there are is learnt once for each operation, by the first try's own end. */
function* someKills(
  op: TrialOperation,
  random: SimRandom,
  at: (typeof PARTS)[number] | undefined,
): Requests {
  const step = 1 + random.below(8);
  const answer = yield at === 'calls'
    ? atCall(op, 1 + random.below(60), random)
    : atStep(op, step, random);
  if (!answer.wasTried || answer.wasKilled || answer.counted.change === 0) return;
  yield atCall(op, 1 + random.below(answer.counted.change), random);
}

function atStep(op: TrialOperation, killAtStep: number, random: SimRandom): TrialRequest {
  const injection = { mode: 'kill', nth: NEVER, class: 'change' } as const;
  return { op, seed: random.next(), injection, killAtStep, ...afterwards(random) };
}

function atCall(op: TrialOperation, nth: number, random: SimRandom): TrialRequest {
  const injection = { mode: 'kill', nth, class: 'change' } as const;
  return { op, seed: random.next(), injection, ...afterwards(random) };
}

/** Every third time recovery is killed as well, up to twice. */
function afterwards(random: SimRandom): { readonly thenOpenKilledAt?: readonly number[] } {
  if (!random.oneIn(3)) return {};
  const times = 1 + random.below(2);
  return { thenOpenKilledAt: Array.from({ length: times }, () => 1 + random.below(40)) };
}

function add(
  tallies: Map<TrialOperation, Tally>,
  request: TrialRequest,
  answer: TrialAnswer,
): void {
  if (!answer.wasTried) return;
  const tally = tallies.get(request.op) ?? {
    ...{ calls: 0, steps: 0, killsAtSteps: 0, killsAtCalls: 0, recoveriesKilled: 0, lost: 0 },
  };
  tallies.set(request.op, tally);
  tally.calls = Math.max(tally.calls, answer.counted.change);
  tally.steps = Math.max(tally.steps, answer.steps);
  if (answer.wasKilled && request.killAtStep !== undefined) {
    tally.steps = Math.max(tally.steps, request.killAtStep);
    tally.killsAtSteps += 1;
  } else if (answer.wasKilled) tally.killsAtCalls += 1;
  tally.recoveriesKilled += request.thenOpenKilledAt?.length ?? 0;
  if (answer.wrong.length > 0) tally.lost += 1;
}

function report(
  tallies: ReadonlyMap<TrialOperation, Tally>,
  failures: readonly string[],
): ProverReport {
  const rows = [...tallies].map(([op, t]) =>
    [op, t.steps, t.calls, t.killsAtSteps, t.killsAtCalls, t.recoveriesKilled, t.lost].join(' | '),
  );
  const sum = (of: (tally: Tally) => number): number =>
    [...tallies.values()].reduce((total, tally) => total + of(tally), 0);
  return {
    counts: {
      operations: tallies.size,
      'kills at labelled steps': sum((t) => t.killsAtSteps),
      'kills at system calls': sum((t) => t.killsAtCalls),
      'openings killed as well': sum((t) => t.recoveriesKilled),
      lost: sum((t) => t.lost),
    },
    failures,
    notes: [
      '| operation | labelled steps | changing calls | kills at steps | at calls | recoveries killed | lost |',
      '|---|---|---|---|---|---|---|',
      ...rows.map((row) => `| ${row} |`),
    ],
  };
}
