/**
 * `npm run fuzz -- hooks [--count N] [--seed N]`: an entrance, fed with what nobody should send.
 *
 * Ends with the counts; with the first input that broke a promise and status 1; with 64 for a wrong call.
 */
import { parseArgs } from 'node:util';
import { fuzzHooks } from './hook-fuzz.ts';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    count: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: '1' },
  },
});
const [count, seed] = [Number(values.count), Number(values.seed)];
if (positionals.join() !== 'hooks' || !Number.isInteger(count) || !Number.isInteger(seed)) {
  console.error('Usage: npm run fuzz -- hooks [--count N] [--seed N]');
  process.exit(64);
}
const { seen, passed, broken } = await fuzzHooks({ count, seed });
if (broken !== null) {
  console.error(broken);
  process.exit(1);
}
console.log(`${seen} payloads, ${passed} requests to a workspace, no crash, none unchecked.`);
