/**
 * Runs episodes for the model prover, in a process of its own: as root or as a plain user, and so that a
 * crash of the product is seen from outside.
 *
 * First argument: the bed. Each line of its input is a `ChildRequest`, answered by one `ChildAnswer`.
 */
import { createInterface } from 'node:readline';
import { SimRandom } from '../sim/sim-random.ts';
import { type Bed, ModelEpisode } from './model-episode.ts';
import { type ModelStep, randomSteps } from './model-steps.ts';
import { Witness } from './witness.ts';

export type ChildRequest =
  | { readonly seed: number; readonly count: number }
  | { readonly steps: readonly ModelStep[] };

export interface ChildAnswer {
  readonly counts: Readonly<Record<string, number>>;
  readonly failure: string | null;
}

export function stepsOf(request: ChildRequest): readonly ModelStep[] {
  if ('steps' in request) return request.steps;
  return randomSteps(new SimRandom(request.seed), request.count);
}

async function answer(bed: Bed, request: ChildRequest): Promise<ChildAnswer> {
  await using witness = new Witness();
  await using episode = new ModelEpisode(bed, witness);
  try {
    await episode.run(stepsOf(request));
    return { counts: episode.counts, failure: null };
  } catch (error) {
    return {
      counts: episode.counts,
      failure: error instanceof Error ? error.message : String(error),
    };
  }
}

if (import.meta.main) {
  process.umask(0o022);
  const bed = JSON.parse(process.argv[2] ?? '{}') as Bed;
  for await (const line of createInterface({ input: process.stdin })) {
    const answered = await answer(bed, JSON.parse(line) as ChildRequest);
    process.stdout.write(`${JSON.stringify(answered)}\n`);
  }
}
