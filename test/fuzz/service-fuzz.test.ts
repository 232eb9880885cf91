import { afterAll, beforeAll, expect, it } from 'vitest';
import { ServingProcess } from '../service/serving-process.ts';
import { FUZZED_CONFIG, type FuzzWay, fuzzService } from './service-fuzz.ts';

/** A few seconds of what `npm run fuzz -- service` does for as long as is asked. */
const COUNTS: Readonly<Record<FuzzWay, number>> = {
  ...{ unix: 800, http2: 800, frames: 300, bytes: 200 },
};
/** At rest it is half of it; what is left behind by each of many requests would show. */
const RSS_BYTES_MAX = 400_000_000;

let serving: ServingProcess;
beforeAll(async () => {
  serving = await ServingProcess.make({ config: FUZZED_CONFIG });
});
afterAll(async () => serving?.[Symbol.asyncDispose]());

it.each(Object.entries(COUNTS))(
  'whatever comes by %s is refused as a problem, and what is refused changes nothing',
  async (way, count) => {
    const result = await fuzzService({ serving, way: way as FuzzWay, count, seed: 7 });
    expect(result.broken).toBe(null);
    expect(result.rssBytesMax).toBeLessThan(RSS_BYTES_MAX);
    // A fuzzer that is let in nowhere, or of which every lot is, would find nothing.
    expect(result.answers['2']).toBeGreaterThan(count / 100);
    expect(result.lotsJudged).toBeGreaterThan(count / 200);
  },
);
