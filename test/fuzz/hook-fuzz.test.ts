import { expect, it } from 'vitest';
import { fuzzHooks } from './hook-fuzz.ts';

/** A few seconds of what `npm run fuzz -- hooks` does for as long as is asked. */
const COUNT = 5000;

it('whatever a hook is sent, it replies, and nothing unchecked reaches a workspace', async () => {
  const { broken, passed } = await fuzzHooks({ count: COUNT, seed: 7 });
  expect(broken).toBe(null);
  // A fuzzer whose every payload is refused at the first byte would find nothing.
  expect(passed).toBeGreaterThan(COUNT / 50);
});
