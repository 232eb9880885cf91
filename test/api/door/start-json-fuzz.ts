/**
 * `node test/api/door/start-json-fuzz.ts [SEED] [COUNT]`: broken JSON by the million through the reader.
 *
 * Judged against JSON.parse: what passes must be JSON, must mean the same, and must survive a round
 * trip; whatever is refused costs no exception. Ends with the counts, or with the first text that broke
 * the promise and status 1.
 */
import { isDeepStrictEqual } from 'node:util';
import { REQUEST_BODY, readStrictJson } from '../../../src/api/door/strict-json.ts';
import { mutations } from './mutated-json.ts';

const SEEDS = [
  '{"label":"before refactor","tool":"bash","session":"s-1","call":null,"readOnly":false}',
  '{"paths":["src/a.ts","b/ü 😀"],"mode":"in-place","limit":100,"deep":[[[{"x":-1.5e3}]]]}',
  '[true,false,null,0,-0,9007199254740991,"\\ud83d\\ude00\\u0000\\\\"]',
];

const [seed = 1, count = 1_000_000] = process.argv.slice(2).map(Number);
let passed = 0;
let seen = 0;
for (const mutation of mutations(SEEDS, seed)) {
  if (seen === count) break;
  seen += 1;
  // A mutation may cut a character in two; what travels is what the bytes say.
  const bytes = Buffer.from(mutation);
  const text = bytes.toString();
  const reading = readStrictJson(bytes, REQUEST_BODY);
  if (!reading.ok) continue;
  passed += 1;
  const again: unknown = JSON.parse(JSON.stringify(reading.value));
  // -0 is written as 0: the one value that does not come back, and harmless.
  const expected: unknown = JSON.parse(JSON.stringify(JSON.parse(text)));
  if (!isDeepStrictEqual(again, expected)) {
    console.error(`Text ${seen} of seed ${seed} broke the promise: ${JSON.stringify(text)}`);
    process.exit(1);
  }
}
console.log(`${seen} texts, ${passed} passed, ${seen - passed} refused, none wrongly.`);
