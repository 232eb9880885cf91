/**
 * The crash prover: SIGKILL at every labelled step and at the Nth system call of every operation that
 * changes something, recovery itself included; then the workspace is opened again and compared.
 *
 * In the long form every labelled step of every operation is tried on every bed, and when all beds are
 * through, every N of every operation; in the bounded form a sample by seed.
 */
import { SimRandom } from '../sim/sim-random.ts';
import type { UserBed } from './model-beds.ts';
import type { Prover, ProverOptions, ProverReport } from './prover.ts';
import { type Requests, tryOnBeds } from './trial-beds.ts';
import {
  TRIAL_OPERATIONS,
  type TrialAnswer,
  type TrialOperation,
  type TrialRequest,
} from './trial-child.ts';

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
  async run(options) {
    const tallies = new Map<TrialOperation, Tally>();
    const effort = options.effort({
      bounded: { ops: 50, minutes: 1 },
      long: { ops: 1_000_000, minutes: 24 * 60 },
    });
    const tryAll = (beds: readonly string[], kill: Kills): Promise<string[]> =>
      tryOnBeds({
        ...{ effort, beds },
        requestsFor: (bed) => requests(options, bed, kill),
        onAnswer: (_bed, request, answer) => add(tallies, request, answer),
      });
    if (options.extent === 'bounded') {
      return report(tallies, await tryAll(boundedBeds(options), someKills));
    }
    const failures = await tryAll(LONG_BEDS, everyStep);
    const reach = effort.isSpent ? 'labelled steps were tried' : 'every labelled step was tried';
    options.say(`${reach}: ${effort.done} tries`);
    if (failures.length === 0) failures.push(...(await tryAll(LONG_BEDS, everyCall)));
    return report(tallies, failures);
  },
};

/** One of the two beds is a plain user's, by the seed which. */
function boundedBeds({ seed }: ProverOptions): readonly string[] {
  return seed % 2 === 0 ? ['btrfs-user', 'store-tmpfs'] : ['btrfs', 'store-tmpfs-user'];
}

type Kills = (op: TrialOperation, random: SimRandom, round: number) => Requests;

/** In the long form once through; a sample goes on until the effort is spent. */
function* requests(options: ProverOptions, bed: UserBed, kill: Kills): Requests {
  const random = new SimRandom(options.seed + bed.name.length * 7919);
  const roundsMax = options.extent === 'long' ? 1 : Number.POSITIVE_INFINITY;
  for (let round = 0; round < roundsMax; round += 1) {
    for (const op of TRIAL_OPERATIONS) yield* kill(op, random, round);
  }
}

function* everyStep(op: TrialOperation, random: SimRandom): Requests {
  for (let step = 1; ; step += 1) {
    const answer = yield atStep(op, step, random);
    if (!answer.wasKilled) return;
  }
}

function* everyCall(op: TrialOperation, random: SimRandom): Requests {
  for (let nth = 1; ; nth += 1) {
    const answer = yield atCall(op, nth, random);
    if (!answer.wasTried || answer.hit === null) return;
  }
}

/** How many calls there are is learnt once for each operation, by the first try's own end. */
function* someKills(op: TrialOperation, random: SimRandom, round: number): Requests {
  const step = 1 + random.below(8);
  const answer = yield round % 2 === 0
    ? atCall(op, 1 + random.below(60), random)
    : atStep(op, step, random);
  if (!answer.wasTried || answer.wasKilled || answer.counted === 0) return;
  yield atCall(op, 1 + random.below(answer.counted), random);
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
  tally.calls = Math.max(tally.calls, answer.counted);
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
