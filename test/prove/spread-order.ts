/**
 * An order in which every number comes once, and the first few are spread over all of them.
 *
 * What is tried in it may be ended at any moment: what was tried until then is a sample of the whole, where
 * counting upwards would have tried the beginning alone.
 */
import type { SimRandom } from '../sim/sim-random.ts';

/** 1 to `count`, from a place that `random` says: halves, then quarters, then eighths. */
export function* spreadOrder(count: number, random: SimRandom): Generator<number> {
  if (count < 1) return;
  const first = random.below(count);
  const bits = Math.ceil(Math.log2(count));
  for (let i = 0; i < 2 ** bits; i += 1) {
    const at = reversedBits(i, bits);
    if (at < count) yield 1 + ((first + at) % count);
  }
}

function reversedBits(value: number, bits: number): number {
  let reversed = 0;
  for (let bit = 0; bit < bits; bit += 1) reversed = reversed * 2 + ((value >> bit) & 1);
  return reversed;
}
