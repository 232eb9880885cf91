/**
 * `npm run prove -- [NAME...] [OPTIONS]`; `--help` says which.
 *
 * Runs the named provers, or all, one after the other. Without `--long` each takes seconds; `--ops` and
 * `--minutes` bound either form. Seeds, counts and times are printed, and the last line is
 * `N passed, N failed`. A line `again: ...` gives the command that repeats what failed.
 */
import { parseArgs } from 'node:util';
import { Effort } from './effort.ts';
import type { Narrowing, Prover, ProverOptions, ProverReport } from './prover.ts';
import { PROVERS, proverNames } from './prover-table.ts';

const FAILURES_SHOWN_MAX = 20;
const NARROWINGS: readonly Narrowing[] = ['operations', 'beds', 'at'];

const USAGE_ERROR = 64;
const HELP = `Usage: npm run prove -- [NAME...] [OPTIONS]

Runs the named provers, or all of them, one after the other.

  --seed N             Try what this seed says (1). The same seed tries the same things
  --long               Go on until everything is tried, not for seconds
  --ops N              Try no more than N times
  --minutes M          Begin nothing new after M minutes
  --operations A,B     Only these operations (crash, nth-call)
  --beds A,B           Only on these kinds of ground (crash, nth-call, hostile)
  --at A,B             Only these parts: steps, calls (crash), races, shapes, wide (hostile),
                       EIO, ENOSPC, EMFILE, EINTR, EACCES, EXDEV (nth-call)
  --list               Say what provers there are
  --help               Say this

A first interrupt ends a run well, with what it has counted; a second one at once.`;

const { values, positionals } = parsedArguments();

/** The first signal ends the run well, with its counts and its mounts taken down; the second at once. */
const enough = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => enough.abort());
}

await main();

function parsedArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        seed: { type: 'string', default: '1' },
        ops: { type: 'string' },
        minutes: { type: 'string' },
        long: { type: 'boolean', default: false },
        list: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
        operations: { type: 'string' },
        beds: { type: 'string' },
        at: { type: 'string' },
      },
    });
  } catch (error) {
    // Of an option that there is not, or one without its value.
    console.error(`${error instanceof Error ? error.message : error}\n\n${HELP}`);
    process.exit(USAGE_ERROR);
  }
}

async function main(): Promise<void> {
  if (values.help) {
    console.log(HELP);
    return;
  }
  const names = positionals.length > 0 ? positionals : proverNames();
  const unknown = names.filter((name) => PROVERS[name] === undefined);
  if (unknown.length > 0) {
    console.error(
      `There is no prover ${unknown.join(', ')}. There are: ${proverNames().join(', ')}`,
    );
    process.exitCode = USAGE_ERROR;
    return;
  }
  if (values.list) {
    for (const name of names) console.log(`${name.padEnd(14)} ${(await load(name)).about}`);
    return;
  }
  let passed = 0;
  for (const name of names) {
    if (await isProven(name)) passed += 1;
  }
  const failed = names.length - passed;
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}

async function isProven(name: string): Promise<boolean> {
  const startedMs = performance.now();
  const report = await runProver(name);
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  const counts = Object.entries(report.counts).map(([what, count]) => `${count} ${what}`);
  for (const note of report.notes ?? []) console.log(note);
  for (const failure of report.failures.slice(0, FAILURES_SHOWN_MAX)) {
    console.log(`${name} FAILED: ${failure}`);
  }
  const held = report.failures.length === 0;
  const verdict = held ? 'nothing broken' : `${report.failures.length} failures`;
  console.log(`${name}: seed ${values.seed}: ${counts.join(', ')}: ${verdict}, in ${seconds} s`);
  if (!held) console.log(`again: npm run prove -- ${name} ${argumentsAgain().join(' ')}`);
  return held;
}

async function runProver(name: string): Promise<ProverReport> {
  try {
    const prover = await load(name);
    assertNarrowable(prover);
    console.log(`== ${name}: ${prover.about}`);
    return await prover.run(optionsOf(name));
  } catch (error) {
    const cause = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { counts: {}, failures: [`could not work: ${cause}`] };
  }
}

async function load(name: string): Promise<Prover> {
  const loader = PROVERS[name];
  if (loader === undefined) throw new Error(`There is no prover ${name}.`);
  return await loader();
}

/** An option that a prover does not heed would make its counts say something else than they do. */
function assertNarrowable({ name, narrowedBy = [] }: Prover): void {
  const deaf = NARROWINGS.filter((by) => values[by] !== undefined && !narrowedBy.includes(by));
  if (deaf.length === 0) return;
  throw new Error(`${name} can't be narrowed by --${deaf.join(', --')}.`);
}

function onlyThese(): ProverOptions['only'] {
  return Object.fromEntries(
    NARROWINGS.flatMap((by) => {
      const asked = values[by];
      return asked === undefined ? [] : [[by, asked.split(',')]];
    }),
  );
}

function optionsOf(name: string): ProverOptions {
  const { seed, ops, minutes, long } = values;
  const extent = long ? 'long' : 'bounded';
  return {
    seed: numberOf('--seed', seed),
    extent,
    only: onlyThese(),
    effort(bounds) {
      const asked = {
        ops: ops === undefined ? bounds[extent].ops : numberOf('--ops', ops),
        minutes: minutes === undefined ? bounds[extent].minutes : numberOf('--minutes', minutes),
      };
      return new Effort(asked, enough.signal);
    },
    say: (line) => console.log(`${name}: ${line}`),
  };
}

function numberOf(option: string, text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value >= 0) return value;
  throw new Error(`${option} takes a number, not ${text}.`);
}

function argumentsAgain(): string[] {
  const { seed, ops, long } = values;
  const narrowed = NARROWINGS.flatMap((by) => {
    const asked = values[by];
    return asked === undefined ? [] : [`--${by} ${asked}`];
  });
  return [
    `--seed ${seed}`,
    ...(ops === undefined ? [] : [`--ops ${ops}`]),
    ...(long ? ['--long'] : []),
    ...narrowed,
  ];
}
