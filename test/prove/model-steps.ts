/**
 * The steps of a model episode, as plain JSON: made from a seed, shrunk by leaving some out, kept as a
 * file when they show a defect. What a step means is decided when it is run, so any sub-sequence of
 * steps is a valid sequence.
 */
import type { SimRandom } from '../sim/sim-random.ts';
import { type EditIntent, randomIntent } from './tree-edit.ts';

export type ModelStep =
  | { readonly do: 'edit'; readonly intent: EditIntent }
  | { readonly do: 'snapshot'; readonly how: 'waiting' | 'blocking' }
  | { readonly do: 'rollback'; readonly pick: number; readonly mode: 'in-place' | 'swap' | 'auto' }
  | { readonly do: 'restore'; readonly pick: number; readonly paths: readonly number[] }
  | { readonly do: 'undo' | 'redo' | 'retention' | 'recover' | 'arm' }
  | { readonly do: 'prune'; readonly picks: readonly number[] }
  | { readonly do: 'pin'; readonly pick: number }
  | { readonly do: 'extract'; readonly pick: number }
  | { readonly do: 'label'; readonly pick: number; readonly label: string | null }
  | { readonly do: 'diff'; readonly pick: number; readonly other: number }
  | { readonly do: 'reopen'; readonly watch: 'on' | 'off' };

/** Edits between two steps of the product: mostly few, as a tool call makes, now and then many. */
const EDITS_USUAL = 12;
const EDITS_MANY = 40;

/** @param count steps, edits included */
export function randomSteps(random: SimRandom, count: number): ModelStep[] {
  const steps: ModelStep[] = [];
  while (steps.length < count) {
    const edits = random.oneIn(10) ? random.below(EDITS_MANY) : random.below(EDITS_USUAL);
    for (let i = 0; i < edits; i += 1) steps.push({ do: 'edit', intent: randomIntent(random) });
    steps.push(productStep(random));
  }
  return steps;
}

/** Out of 100: what people and agents do often is done often here. */
const WEIGHTS = [
  [34, 'snapshot'],
  [14, 'rollback'],
  [8, 'restore'],
  [9, 'undo'],
  [6, 'redo'],
  [5, 'prune'],
  [3, 'retention'],
  [4, 'reopen'],
  [2, 'recover'],
  [3, 'pin'],
  [2, 'label'],
  [4, 'diff'],
  [2, 'extract'],
  [4, 'arm'],
] as const;

function productStep(random: SimRandom): ModelStep {
  const what = weighted(random);
  const pick = random.below(1000);
  const other = random.below(1000);
  switch (what) {
    case 'snapshot':
      return { do: what, how: random.oneIn(3) ? 'blocking' : 'waiting' };
    case 'rollback':
      return { do: what, pick, mode: random.pick(['in-place', 'swap', 'auto']) };
    case 'restore': {
      const paths = Array.from({ length: 1 + random.below(3) }, () => random.below(1000));
      return { do: what, pick, paths };
    }
    case 'prune':
      return { do: what, picks: Array.from({ length: 1 + random.below(4) }, () => random.next()) };
    case 'pin':
    case 'extract':
      return { do: what, pick };
    case 'label':
      return {
        do: what,
        pick,
        label: random.pick([null, 'one', 'tests green', '\u00e4\u{1f47b}']),
      };
    case 'diff':
      return { do: what, pick, other };
    case 'reopen':
      return { do: what, watch: random.oneIn(2) ? 'on' : 'off' };
    default:
      return { do: what };
  }
}

function weighted(random: SimRandom): (typeof WEIGHTS)[number][1] {
  let left = random.below(100);
  for (const [weight, what] of WEIGHTS) {
    if (left < weight) return what;
    left -= weight;
  }
  return 'snapshot';
}
