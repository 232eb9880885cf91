/**
 * `npm run sim -- --seed N --steps M [--runs R] [--workspaces W] [--crash-one-in C] [--fail-one-in F]`
 * Runs seeds N, N+1, ... and prints one line each; a seed that fails is printed with its cause.
 */
import { parseArgs } from 'node:util';
import { Simulator } from './simulator.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    steps: { type: 'string', default: '2000' },
    runs: { type: 'string', default: '1' },
    workspaces: { type: 'string', default: '4' },
    'crash-one-in': { type: 'string', default: '60' },
    'fail-one-in': { type: 'string', default: '80' },
  },
});

let passed = 0;
let failed = 0;
const first = Number(values.seed);
for (let seed = first; seed < first + Number(values.runs); seed += 1) {
  const startedMs = performance.now();
  try {
    const report = await new Simulator({
      seed,
      steps: Number(values.steps),
      workspaces: Number(values.workspaces),
      crashOneIn: Number(values['crash-one-in']),
      failOneIn: Number(values['fail-one-in']),
    }).run();
    passed += 1;
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
    console.log(`seed ${seed}: ${JSON.stringify(report)} in ${seconds} s`);
  } catch (error) {
    failed += 1;
    console.error(`seed ${seed} failed:`, error);
  }
}
console.log(`sim: ${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
