/**
 * The nth-call prover: one system call of an operation fails, with each errno that the kernel may give,
 * for every N; where the time is not enough for all of them, for N spread over them.
 *
 * The operation succeeds all the same, or fails with a GhostsnapError: never another error, never a
 * crash, never a success that is none. Afterwards the tree and everything acknowledged is whole.
 */
import { SimRandom } from '../sim/sim-random.ts';
import { type CallClass, ERRNOS, type Injection } from './injector.ts';
import type { UserBed } from './model-beds.ts';
import { narrowed, type Prover, type ProverOptions } from './prover.ts';
import { spreadOrder } from './spread-order.ts';
import { inTurns, type Requests, tryOnBeds } from './trial-beds.ts';
import { TRIAL_OPERATIONS, type TrialOperation, type TrialRequest } from './trial-child.ts';

const BEDS = {
  bounded: ['btrfs', 'store-tmpfs'],
  long: ['btrfs', 'store-ext4', 'btrfs-user', 'store-xfs', 'store-ext4-user', 'store-btrfs'],
} as const;

/** Beyond any operation's calls: it comes to its end and says how many there are. */
const NEVER = 1_000_000;

type Errno = keyof typeof ERRNOS;
const ALL_ERRNOS = Object.keys(ERRNOS) as readonly Errno[];

export const nthCall: Prover = {
  name: 'nth-call',
  about: 'EIO, ENOSPC, EMFILE, EINTR, EACCES, EXDEV from the Nth system call of every operation',
  narrowedBy: ['operations', 'beds'],
  async run(options) {
    const counts: Record<string, number> = { 'calls failed': 0, succeeded: 0, refused: 0 };
    const codes = new Map<string, number>();
    const known = new Map<string, number>();
    const failures = await tryOnBeds({
      effort: options.effort({
        bounded: { ops: 24, minutes: 1 },
        long: { ops: 1_000_000, minutes: 24 * 60 },
      }),
      beds: narrowed(options, 'beds', BEDS[options.extent]),
      requestsFor: (bed) => requests(options, bed, known),
      onAnswer(_bed, request, answer) {
        if (answer.hit === null || request.injection.mode !== 'fail') return;
        counts['calls failed'] = (counts['calls failed'] ?? 0) + 1;
        const ended = answer.code === null ? 'succeeded' : 'refused';
        counts[ended] = (counts[ended] ?? 0) + 1;
        const line = `${request.injection.errno} ${answer.code ?? 'succeeded'}`;
        codes.set(line, (codes.get(line) ?? 0) + 1);
      },
    });
    const notes = [...codes].sort().map(([line, count]) => `${line}: ${count}`);
    return { counts, failures, notes };
  },
};

interface Counting {
  readonly random: SimRandom;
  /** By backend, operation and class. */
  readonly counts: Map<string, number>;
  readonly backend: string;
}

function* requests(options: ProverOptions, bed: UserBed, counts: Map<string, number>): Requests {
  const random = new SimRandom(options.seed + bed.name.length * 104_729);
  const operations = narrowed(options, 'operations', TRIAL_OPERATIONS);
  if (options.extent === 'long') {
    const each = operations.flatMap((op) => ALL_ERRNOS.map((errno) => ({ op, errno })));
    const on = { random, counts, backend: bed.backend };
    yield* inTurns(each.map(({ op, errno }) => everyCall(op, errno, on)));
    return;
  }
  for (;;) for (const op of operations) yield* someCalls(op, random);
}

/**
 * How many there are is learnt by a run to the end, once for each class of calls and backend; another run
 * may make a few more.
 */
function* everyCall(op: TrialOperation, errno: Errno, on: Counting): Requests {
  const { random, counts, backend } = on;
  const key = `${backend} ${op} ${classOf(errno)}`;
  if (!counts.has(key)) {
    const whole = yield failing(op, { errno, nth: NEVER, random });
    if (!whole.wasTried) return;
    counts.set(key, whole.counted);
  }
  const count = counts.get(key) ?? 0;
  for (const nth of spreadOrder(count, random)) {
    const answer = yield failing(op, { errno, nth, random });
    if (!answer.wasTried) return;
  }
  for (let nth = count + 1; ; nth += 1) {
    const answer = yield failing(op, { errno, nth, random });
    if (answer.hit === null) return;
  }
}

function* someCalls(op: TrialOperation, random: SimRandom): Requests {
  const errno = random.pick(ALL_ERRNOS);
  const answer = yield failing(op, { errno, nth: 1 + random.below(150), random });
  if (!answer.wasTried || answer.hit !== null || answer.counted === 0) return;
  yield failing(op, { errno, nth: 1 + random.below(answer.counted), random });
}

/** A process that runs out of descriptors meets it where it takes one. */
function failing(
  op: TrialOperation,
  { errno, nth, random }: { errno: Errno; nth: number; random: SimRandom },
): TrialRequest {
  const injection: Injection = { mode: 'fail', nth, class: classOf(errno), errno };
  return { op, seed: random.next(), injection };
}

function classOf(errno: Errno): CallClass {
  if (errno === 'EMFILE') return 'create';
  return errno === 'ENOSPC' ? 'change' : 'any';
}
