/**
 * `npm run sim -- --seed N [--runs R] [--workspaces W] [--crash-one-in C] [--fail-one-in F] [--grouped]`
 * with `--steps M` (M calls, crowded; the default is 2000) or `--hours H` (H hours of a busy host).
 *
 * Runs seeds N, N+1, ... and prints one line each; a seed that fails is printed with its cause.
 */
import { parseArgs } from 'node:util';
import { crowdedWorkload, daysWorkload } from './sim-workload.ts';
import { Simulator } from './simulator.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    steps: { type: 'string', default: '2000' },
    hours: { type: 'string' },
    runs: { type: 'string', default: '1' },
    workspaces: { type: 'string', default: '4' },
    'crash-one-in': { type: 'string', default: '60' },
    'fail-one-in': { type: 'string', default: '80' },
    grouped: { type: 'boolean', default: false },
  },
});

const HOUR_MS = 3_600_000;
const PROGRESS_HOURS = 6;

let passed = 0;
let failed = 0;
const first = Number(values.seed);
for (let seed = first; seed < first + Number(values.runs); seed += 1) {
  const startedMs = performance.now();
  const seconds = (): string => ((performance.now() - startedMs) / 1000).toFixed(1);
  let saidHours = 0;
  try {
    const report = await new Simulator({
      seed,
      workspaces: Number(values.workspaces),
      workload:
        values.hours === undefined
          ? crowdedWorkload(Number(values.steps))
          : daysWorkload(Number(values.hours)),
      crashOneIn: Number(values['crash-one-in']),
      failOneIn: Number(values['fail-one-in']),
      commits: values.grouped ? 'grouped' : 'alone',
      onProgress: (nowMs, operations) => {
        if (values.hours === undefined || nowMs < (saidHours + PROGRESS_HOURS) * HOUR_MS) return;
        saidHours = Math.floor(nowMs / HOUR_MS);
        console.log(`  ${saidHours} h, ${operations} calls, ${seconds()} s, ${residentMiB()} MiB`);
      },
    }).run();
    passed += 1;
    const spent = `${seconds()} s, ${residentMiB()} MiB`;
    console.log(`seed ${seed}: ${JSON.stringify(report)} in ${spent}`);
  } catch (error) {
    failed += 1;
    console.error(`seed ${seed} failed:`, error);
  }
}
console.log(`sim: ${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

function residentMiB(): number {
  return Math.round(process.memoryUsage.rss() / 2 ** 20);
}
