/**
 * The nth-call prover: one system call of an operation fails, with each errno that the kernel may give,
 * for every N; where the time is not enough for all of them, for N spread over them.
 *
 * The operation succeeds all the same, or fails with a GhostsnapError: never another error, never a
 * crash, never a success that is none. Afterwards the tree and everything acknowledged is whole.
 */
import { SimRandom } from '../sim/sim-random.ts';
import { type CallClass, type CallCounts, ERRNOS, type Injection } from './injector.ts';
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
  narrowedBy: ['operations', 'beds', 'at'],
  async run(options) {
    const counts: Record<string, number> = { 'calls failed': 0, succeeded: 0, refused: 0 };
    const codes = new Map<string, number>();
    const reach = new Reach();
    const failures = await tryOnBeds({
      effort: options.effort({
        bounded: { ops: 24, minutes: 1 },
        long: { ops: 1_000_000, minutes: 24 * 60 },
      }),
      beds: narrowed(options, 'beds', BEDS[options.extent]),
      requestsFor: (bed) => requests(options, bed, reach),
      onAnswer(bed, request, answer) {
        if (answer.hit === null || request.injection.mode !== 'fail') return;
        reach.tried(bed, request.op);
        counts['calls failed'] = (counts['calls failed'] ?? 0) + 1;
        const ended = answer.code === null ? 'succeeded' : 'refused';
        counts[ended] = (counts[ended] ?? 0) + 1;
        const line = `${request.injection.errno} ${answer.code ?? 'succeeded'}`;
        codes.set(line, (codes.get(line) ?? 0) + 1);
      },
    });
    const notes = [...codes].sort().map(([line, count]) => `${line}: ${count}`);
    return { counts, failures, notes: [...notes, ...reach.lines()] };
  },
};

/** How much of the whole was tried: the whole is known once an operation's calls were counted. */
class Reach {
  /** By backend and operation. */
  readonly counted = new Map<string, CallCounts>();
  readonly #tried = new Map<string, number>();
  readonly #whole = new Map<string, number>();

  expect(bed: UserBed, op: TrialOperation, calls: number): void {
    const key = `${bed.name} | ${op}`;
    this.#whole.set(key, (this.#whole.get(key) ?? 0) + calls);
  }

  tried(bed: UserBed, op: TrialOperation): void {
    const key = `${bed.name} | ${op}`;
    this.#tried.set(key, (this.#tried.get(key) ?? 0) + 1);
  }

  lines(): string[] {
    if (this.#whole.size === 0) return [];
    const rows = [...this.#whole].map(
      ([key, whole]) => `| ${key} | ${this.#tried.get(key) ?? 0} | ${whole} |`,
    );
    return ['| bed | operation | calls failed | of |', '|---|---|---|---|', ...rows];
  }
}

interface Trying {
  readonly random: SimRandom;
  readonly bed: UserBed;
  readonly reach: Reach;
}

function* requests(options: ProverOptions, bed: UserBed, reach: Reach): Requests {
  const random = new SimRandom(options.seed + bed.name.length * 104_729);
  const operations = narrowed(options, 'operations', TRIAL_OPERATIONS);
  const errnos = narrowed(options, 'at', ALL_ERRNOS);
  if (options.extent === 'long') {
    const on = { random, bed, reach };
    yield* inTurns(operations.map((op) => everyCall(op, errnos, on)));
    return;
  }
  for (;;) for (const op of operations) yield* someCalls(op, errnos, random);
}

/**
 * How many there are is learnt by a run to the end, once for each backend; another run may make a few more.
 */
function* everyCall(op: TrialOperation, errnos: readonly Errno[], on: Trying): Requests {
  const { random, bed, reach } = on;
  const key = `${bed.backend} ${op}`;
  let counted = reach.counted.get(key);
  if (counted === undefined) {
    const whole = yield failing(op, { errno: 'EIO', nth: NEVER, random });
    if (!whole.wasTried) return;
    counted = whole.counted;
    reach.counted.set(key, counted);
  }
  for (const errno of errnos) reach.expect(bed, op, counted[classOf(errno)]);
  yield* inTurns(errnos.map((errno) => everyCallWith(errno, op, { random, counted })));
}

function* everyCallWith(
  errno: Errno,
  op: TrialOperation,
  { random, counted }: { readonly random: SimRandom; readonly counted: CallCounts },
): Requests {
  const count = counted[classOf(errno)];
  for (const nth of spreadOrder(count, random)) {
    const answer = yield failing(op, { errno, nth, random });
    if (!answer.wasTried) return;
  }
  for (let nth = count + 1; ; nth += 1) {
    const answer = yield failing(op, { errno, nth, random });
    if (answer.hit === null) return;
  }
}

function* someCalls(op: TrialOperation, errnos: readonly Errno[], random: SimRandom): Requests {
  const errno = random.pick(errnos);
  const answer = yield failing(op, { errno, nth: 1 + random.below(150), random });
  const count = answer.counted[classOf(errno)];
  if (!answer.wasTried || answer.hit !== null || count === 0) return;
  yield failing(op, { errno, nth: 1 + random.below(count), random });
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
