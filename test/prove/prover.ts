/**
 * What a prover is: a program that tries to break one promise, counts its tries, and says what it saw.
 *
 * A prover is a function of its options: the same seed tries the same things. It never throws for what
 * it was made to find; that goes into `failures`, one text each, with whatever is needed to see it again.
 * It throws when it could not work at all (no root, a missing program), which counts as failed too.
 */
import type { Effort, EffortBounds } from './effort.ts';

/** 'bounded': seconds, a sample by seed, in every run of the tests. 'long': by hand and by night. */
export type Extent = 'bounded' | 'long';

/** What a prover may be told to keep to; `at`: its own parts, as the steps and the calls of crash. */
export type Narrowing = 'operations' | 'beds' | 'at';

export interface ProverOptions {
  readonly seed: number;
  readonly extent: Extent;
  /** Absent: everything. Only what the prover says it can be narrowed by. */
  readonly only: Readonly<Partial<Record<Narrowing, readonly string[]>>>;
  /**
   * How long to go on: `--ops` and `--minutes` where they are given, else what the prover says for this
   * extent. What one "op" is (an operation, a kill, a cut) is the prover's to say, in its counts.
   */
  effort(bounds: Readonly<Record<Extent, EffortBounds>>): Effort;
  /** Progress for a person, a line each; seeds are said before they are tried. */
  say(line: string): void;
}

export interface ProverReport {
  /** What was tried and how often, in the order it is printed: `{operations: 1000, snapshots: 31}`. */
  readonly counts: Readonly<Record<string, number>>;
  /** Empty: the promise held in every try. */
  readonly failures: readonly string[];
  /** Lines worth keeping (a table, a measured spread); printed before the counts. */
  readonly notes?: readonly string[];
}

export interface Prover {
  /** As on the command line: kebab case. */
  readonly name: string;
  /** One line: what it tries to break. */
  readonly about: string;
  readonly narrowedBy?: readonly Narrowing[];
  run(options: ProverOptions): Promise<ProverReport>;
}

/**
 * Those of `all` that the person asked for, in the order of `all`.
 * @throws Error for a name that is not among them
 */
export function narrowed<T extends string>(
  { only }: ProverOptions,
  by: Narrowing,
  all: readonly T[],
): readonly T[] {
  const asked = only[by];
  if (asked === undefined) return all;
  const unknown = asked.filter((name) => !(all as readonly string[]).includes(name));
  if (unknown.length > 0) {
    throw new Error(`--${by}: there is no ${unknown.join(', ')}. There are: ${all.join(', ')}`);
  }
  return all.filter((name) => asked.includes(name));
}
