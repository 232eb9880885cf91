/**
 * The model prover: random trees and operations on every backend, as root and as a plain user, against a
 * model in memory; after each step of the product the live tree and every kept snapshot are compared by
 * a witness that shares no code with it.
 *
 * Seeds count up from `--seed`, one an episode, spread over the beds in turn. A failing one is shrunk, and
 * written to `.prove/` as JSON; put into test/prove/pinned/ it is tried first in every later run.
 */
import { globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AnsweringChild } from './child-process.ts';
import type { Effort } from './effort.ts';
import { makeBeds, type UserBed } from './model-beds.ts';
import { type ChildAnswer, type ChildRequest, stepsOf } from './model-child.ts';
import { shrink } from './model-shrink.ts';
import type { ModelStep } from './model-steps.ts';
import type { Prover, ProverOptions, ProverReport } from './prover.ts';

const CHILD = join(import.meta.dirname, 'model-child.ts');
const PINNED = join(import.meta.dirname, 'pinned');
const FOUND = join(import.meta.dirname, '..', '..', '.prove');

/** Steps of an episode: long enough for a history, short enough to be shrunk. */
const STEPS = { bounded: 250, long: 600 } as const;
/** Beds at work at once; more than a machine's two cores gain nothing. */
const JOBS = 2;
const SHRINK_MINUTES_MAX = 1.5;
/** After so many failures the rest would say the same. */
const FAILURES_MAX = 5;

/** A failing sequence, as it is kept. */
export interface PinnedCase {
  readonly bed: string;
  readonly why: string;
  readonly steps: readonly ModelStep[];
}

export const model: Prover = {
  name: 'model',
  about: 'random trees and operations on every backend, against a model in memory',
  async run(options) {
    const effort = options.effort({
      bounded: { ops: 10_000, minutes: 1 },
      long: { ops: 1_000_000, minutes: 24 * 60 },
    });
    await using beds = await makeBeds();
    return await new ModelRun(options, effort, beds.all).run();
  },
};

class ModelRun {
  readonly #options: ProverOptions;
  readonly #effort: Effort;
  readonly #beds: readonly UserBed[];
  readonly #counts: Record<string, number> = { operations: 0, episodes: 0 };
  readonly #failures: string[] = [];
  readonly #startedMs = performance.now();
  #lastSeed = 0;
  #saidAt = 0;

  constructor(options: ProverOptions, effort: Effort, beds: readonly UserBed[]) {
    this.#options = options;
    this.#effort = effort;
    this.#beds = beds;
  }

  async run(): Promise<ProverReport> {
    await this.#runPinned();
    await Promise.all(Array.from({ length: JOBS }, (_, job) => this.#runJob(job)));
    return { counts: this.#counts, failures: this.#failures };
  }

  /** The seeds of every JOBS-th bed: which bed a seed gets depends on nothing else. */
  async #runJob(job: number): Promise<void> {
    const children = new Map<UserBed, AnsweringChild<ChildRequest, ChildAnswer>>();
    try {
      for (let seed = this.#options.seed; !this.#isOver; seed += 1) {
        const index = seed % this.#beds.length;
        const bed = this.#beds[index];
        if (index % JOBS !== job || bed === undefined) continue;
        const child = children.get(bed) ?? childOf(bed);
        children.set(bed, child);
        if (!(await this.#episode(bed, child, seed))) children.delete(bed);
      }
    } finally {
      for (const child of children.values()) await child[Symbol.asyncDispose]();
    }
  }

  get #isOver(): boolean {
    return this.#effort.isSpent || this.#failures.length >= FAILURES_MAX;
  }

  async #runPinned(): Promise<void> {
    for (const file of globSync('*.json', { cwd: PINNED }).sort()) {
      const pinned = JSON.parse(readFileSync(join(PINNED, file), 'utf8')) as PinnedCase;
      const bed = this.#beds.find(({ name }) => name === pinned.bed);
      if (bed === undefined) throw new Error(`${file} names no bed: ${pinned.bed}`);
      await using child = childOf(bed);
      const answer = await child.ask({ steps: pinned.steps });
      this.#counts.pinned = (this.#counts.pinned ?? 0) + 1;
      if (answer?.failure === null) continue;
      this.#failures.push(`pinned ${file}: ${answer?.failure ?? 'the process died'}`);
    }
  }

  /** @returns whether the child is good for another one */
  async #episode(
    bed: UserBed,
    child: AnsweringChild<ChildRequest, ChildAnswer>,
    seed: number,
  ): Promise<boolean> {
    const request = { seed, count: STEPS[this.#options.extent] };
    this.#lastSeed = Math.max(this.#lastSeed, seed);
    const answer = await child.ask(request);
    this.#count(answer?.counts ?? {});
    if (answer?.failure === null) return true;
    await child[Symbol.asyncDispose]();
    await this.#keepFailure(bed, request, answer?.failure ?? 'the process died');
    return false;
  }

  #count(counts: Readonly<Record<string, number>>): void {
    for (const [what, count] of Object.entries(counts)) {
      this.#counts[what] = (this.#counts[what] ?? 0) + count;
    }
    const { comparisons = 0, 'in-place turns': inPlace = 0, 'swap turns': swaps = 0 } = counts;
    const all = Object.values(counts).reduce((sum, count) => sum + count, 0);
    const operations = all - comparisons - inPlace - swaps;
    this.#counts.operations = (this.#counts.operations ?? 0) + operations;
    this.#counts.episodes = (this.#counts.episodes ?? 0) + 1;
    this.#effort.done += operations;
    if (this.#effort.done - this.#saidAt < this.#effort.opsMax / 50) return;
    this.#saidAt = this.#effort.done;
    const seconds = ((performance.now() - this.#startedMs) / 1000).toFixed(0);
    this.#options.say(
      `${this.#effort.done} operations in ${seconds} s, up to seed ${this.#lastSeed}`,
    );
  }

  async #keepFailure(bed: UserBed, request: ChildRequest, failure: string): Promise<void> {
    this.#options.say(`${bed.name} ${JSON.stringify(request)} failed; shrinking`);
    const steps = await shrunk(bed, stepsOf(request));
    const seed = 'seed' in request ? request.seed : 0;
    mkdirSync(FOUND, { recursive: true });
    const file = join(FOUND, `${bed.name}-${seed}.json`);
    const kept: PinnedCase = { bed: bed.name, why: failure, steps };
    writeFileSync(file, `${JSON.stringify(kept, null, 1)}\n`);
    this.#failures.push(
      `${bed.name} seed ${seed} (${steps.length} steps left in ${file}): ${failure}`,
    );
  }
}

function childOf(bed: UserBed): AnsweringChild<ChildRequest, ChildAnswer> {
  return new AnsweringChild({ script: CHILD, args: [JSON.stringify(bed)], uid: bed.uid });
}

async function shrunk(bed: UserBed, steps: readonly ModelStep[]): Promise<readonly ModelStep[]> {
  let child = childOf(bed);
  const endMs = performance.now() + SHRINK_MINUTES_MAX * 60_000;
  const fails = async (fewer: readonly ModelStep[]): Promise<boolean> => {
    const answer = await child.ask({ steps: fewer });
    if (answer?.failure === null) return false;
    // What failed may hold things open: the next try begins with a process of its own.
    await child[Symbol.asyncDispose]();
    child = childOf(bed);
    return true;
  };
  try {
    return await shrink(steps, fails, () => performance.now() < endMs);
  } finally {
    await child[Symbol.asyncDispose]();
  }
}
