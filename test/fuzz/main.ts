/**
 * `npm run fuzz -- hooks|service [--count N] [--seed N] [--way unix|http2|frames|bytes]`: an entrance, fed
 * with what nobody should send. `service` starts `ghostsnap serve` on a pool image of its own (root) and
 * sends the count by each way to it.
 *
 * Ends with the counts; with the first input that broke a promise and status 1; with 64 for a wrong call.
 */
import { parseArgs } from 'node:util';
import { ServingProcess } from '../service/serving-process.ts';
import { fuzzHooks } from './hook-fuzz.ts';
import { FUZZ_WAYS, FUZZED_CONFIG, fuzzService } from './service-fuzz.ts';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    count: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: '1' },
    way: { type: 'string', multiple: true, default: [...FUZZ_WAYS] },
  },
});
const [count, seed] = [Number(values.count), Number(values.seed)];
const ways = FUZZ_WAYS.filter((way) => values.way.includes(way));
const isNumbers = Number.isInteger(count) && Number.isInteger(seed);
if (!['hooks', 'service'].includes(positionals.join()) || !isNumbers || ways.length === 0) {
  console.error('Usage: npm run fuzz -- hooks|service [--count N] [--seed N] [--way WAY]');
  process.exit(64);
}
if (positionals[0] === 'hooks') await runHooks();
else await runService();

async function runHooks(): Promise<void> {
  const { seen, passed, broken } = await fuzzHooks({ count, seed });
  if (broken === null) {
    console.log(`${seen} payloads, ${passed} requests to a workspace, no crash, none unchecked.`);
    return;
  }
  console.error(broken);
  process.exitCode = 1;
}

async function runService(): Promise<void> {
  await using serving = await ServingProcess.make({ config: FUZZED_CONFIG });
  for (const way of ways) {
    const startedMs = performance.now();
    const { broken, ...counts } = await fuzzService({ serving, way, count, seed });
    const seconds = Math.round((performance.now() - startedMs) / 1000);
    console.log(`${way}: ${JSON.stringify({ seconds, ...counts })}`);
    if (broken === null) continue;
    console.error(`seed ${seed}: ${broken}`);
    process.exitCode = 1;
    return;
  }
}
