/**
 * `npm run load`: a service with many sessions on a real pool, under open-loop load, then checked on disk.
 *
 *   --sessions N (50000)  --think 60s  --mutating 0.35  --minutes 10
 *   --connections 200  --transport frames|http  --find-limit: the highest rate that holds the p99
 *   --record NAME: keeps the figures in docs/load.json, and writes the tables of docs/ from it
 *   --no-arm: no snapshot is taken early  --engine: the engine alone behind frames, for telling apart
 *   --profile cpu|heap: a profile of each of the service's threads, to .bench/profiles
 *   --soak --hours H: a line a minute with what grows if anything does
 *
 * As root. docs/load.md says what the workload is and why. Results go to .bench/load.json and to stdout.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { resolveHome } from '../../src/daemon/home.ts';
import { closePool, openPool, requirePool } from '../../src/daemon/open-pool.ts';
import { homeOf, stripChildren } from '../context.ts';
import { makePlace, type Place } from '../place.ts';
import { currentLoad, describeMachine } from '../report.ts';
import { makeCertificates } from './certificates.ts';
import { describeLimit, nextFactor, type Tried, triedOf } from './find-limit.ts';
import type { LoadResult } from './generator.ts';
import { measureLegacyShare } from './legacy-share.ts';
import type { LoadPlan, Transport } from './load-plan.ts';
import { keepLoadRecord } from './load-records.ts';
import { type MadeWorkspace, makeWorkspaces } from './make-workspaces.ts';
import { setUpServe } from './serve-setup.ts';
import type { ProbeReading } from './service-probe.ts';
import { type ServiceProcess, startService, useOf } from './service-process.ts';
import { describeStage, type Sample, type Stage } from './stage.ts';
import { verifyLoad } from './verify-load.ts';

const { values } = parseArgs({
  options: {
    sessions: { type: 'string', default: '50000' },
    think: { type: 'string', default: '60s' },
    mutating: { type: 'string', default: '0.35' },
    minutes: { type: 'string', default: '10' },
    connections: { type: 'string', default: '200' },
    'warm-up': { type: 'string', default: '10s' },
    transport: { type: 'string', default: 'frames' },
    arm: { type: 'boolean', default: true },
    engine: { type: 'boolean', default: false },
    'find-limit': { type: 'boolean', default: false },
    soak: { type: 'boolean', default: false },
    hours: { type: 'string' },
    profile: { type: 'string' },
    record: { type: 'string' },
  },
  allowNegative: true,
});

const POOL = 'bench';
const GATEWAY = 'spiffe://load.test/gateway';
const POOL_MIB = 60_000;
const TEMPLATE_FILES = 40;
const LEGACY_SECONDS = 10;
const ROOT = join(import.meta.dirname, '..', '..');
const OUT = join(ROOT, '.bench');
const JS = join(OUT, 'js', 'bench', 'load');

const SAMPLE_MS = 60_000;

function msOf(text: string): number {
  const [, number = '', unit = 's'] = /^([\d.]+)(ms|s|m)?$/.exec(text) ?? [];
  return Number(number) * { ms: 1, s: 1000, m: 60_000 }[unit as 'ms' | 's' | 'm'];
}

/** A small project: forty files in eight directories. */
function fillTemplate(directory: string): void {
  for (let i = 0; i < TEMPLATE_FILES; i += 1) {
    const folder = join(directory, `d${i % 8}`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `f${i}.ts`), `// file ${i}\n${'x'.repeat(1800)}\n`);
  }
}

async function prepare(place: Place, count: number): Promise<readonly MadeWorkspace[]> {
  const home = resolveHome(place.environment);
  const parts = await openPool({ home, pool: requirePool(home, POOL), watch: 'off' });
  try {
    return await makeWorkspaces(parts, count, fillTemplate);
  } finally {
    await closePool(parts);
  }
}

async function runStage(service: ServiceProcess, plan: LoadPlan): Promise<Stage> {
  const file = `${plan.ledgerFile}.plan.json`;
  writeFileSync(file, JSON.stringify(plan));
  const child = spawn(process.execPath, [join(JS, 'generator.js'), file], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, UV_THREADPOOL_SIZE: '8' },
  });
  const ended = once(child, 'exit');
  let before = useOf(service.pid);
  let after = before;
  let load: LoadResult | null = null;
  let probe: ProbeReading | null = null;
  const samples: Sample[] = [];
  const sampling = setInterval(() => {
    samples.push(sampleOf(service.pid));
    if (values.soak) console.log(describeSample(samples.at(-1)));
  }, SAMPLE_MS);
  for await (const line of createInterface({ input: child.stdout })) {
    if (line === 'measuring') {
      await service.startCounting();
      before = useOf(service.pid);
    } else if (line === 'measured') {
      after = useOf(service.pid);
      probe = await service.counted();
    } else load = JSON.parse(line) as LoadResult;
  }
  clearInterval(sampling);
  await ended;
  if (load === null || probe === null) throw new Error('The generator ended without a result.');
  return { plan, load, before, after, probe, samples };
}

function sampleOf(pid: number): Sample {
  const { blocks, bfree, bsize } = statfsSync(poolRoot);
  const sizes = [catalogFile, `${catalogFile}-wal`].map(
    (file) => statSync(file, { throwIfNoEntry: false })?.size ?? 0,
  );
  const catalogBytes = sizes.reduce((sum, size) => sum + size, 0);
  return { ...useOf(pid), catalogBytes, poolUsedBytes: (blocks - bfree) * bsize };
}

function describeSample(sample: Sample | undefined): string {
  if (sample === undefined) return '';
  const { atMs, rssBytes, descriptors, catalogBytes, poolUsedBytes } = sample;
  const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;
  const minutes = ((atMs - startedMs) / 60_000).toFixed(0);
  const sizes = `catalog ${mb(catalogBytes)}, pool ${mb(poolUsedBytes)}`;
  return `${minutes} min: RSS ${mb(rssBytes)}, ${descriptors} descriptors, ${sizes}`;
}

function print(title: string, rows: Readonly<Record<string, string>>): void {
  console.log(`\n${title}`);
  for (const [name, value] of Object.entries(rows)) console.log(`  ${name.padEnd(42)} ${value}`);
}

function engineArguments(): readonly string[] {
  const arm = values.arm ? 'yes' : 'no';
  const options = { pool: POOL, ...certificates.server, caFile, arm };
  return [join(JS, 'engine-service.js'), JSON.stringify(options)];
}

function serveArguments(): readonly string[] {
  const arming = values.arm ? 'on' : 'off';
  const setup = { place, pool: POOL, made, certificates, gateway: GATEWAY, arming } as const;
  return [join(ROOT, 'bin', 'ghostsnap.js'), 'serve', '--config', setUpServe(setup)];
}

/** Of both threads, written when the service stops. */
function profileFlags(kind: string | undefined): readonly string[] {
  if (kind === undefined) return [];
  return [`--${kind}-prof`, `--${kind}-prof-dir=${join(OUT, 'profiles')}`];
}

const loadBefore = currentLoad();
const count = Number(values.sessions);
const minutes = Number(values.minutes);
const transport: Transport = values.transport === 'http' ? 'http' : 'frames';
stripChildren();
mkdirSync(OUT, { recursive: true });
await using place = await makePlace({ btrfsMiB: POOL_MIB });
const home = resolveHome(place.environment);
const poolRoot = requirePool(home, POOL).root;
const catalogFile = join(home.data, 'pools', POOL, 'catalog.db');
const startedMs = performance.now();
const made = await prepare(place, count);
console.log(
  `${made.length} workspaces in ${((performance.now() - startedMs) / 1000).toFixed(0)} s`,
);
const certificates = makeCertificates(place.plain, GATEWAY);
const { client, caFile } = certificates;
const service = await startService({
  args: values.engine ? engineArguments() : serveArguments(),
  env: { GHOSTSNAP_HOME: homeOf(place) },
  flags: ['--import', join(JS, 'service-probe.js'), ...profileFlags(values.profile)],
});
const ledgerFiles: string[] = [];
const stages: Stage[] = [];
let factor = 1;
const tried = (stage: Stage): Tried => ({
  ...triedOf(stage),
  factor: msOf(values.think) / stage.plan.thinkMs,
});
for (;;) {
  const ledgerFile = join(place.plain, `ledger-${stages.length}.jsonl`);
  ledgerFiles.push(ledgerFile);
  const stage = await runStage(service, {
    target: { url: service.url, ...client, caFile },
    ...{ transport, sessions: made.map(({ id, path }) => ({ workspace: id, path })) },
    connections: Number(values.connections),
    thinkMs: msOf(values.think) / factor,
    toolMs: { min: 50, max: 1000 },
    mutatingShare: Number(values.mutating),
    warmUpMs: msOf(values['warm-up']),
    measuredMs: (values.hours === undefined ? minutes : Number(values.hours) * 60) * 60_000,
    ...{ ledgerFile, seed: stages.length + 1 },
  });
  stages.push(stage);
  print(`x${factor.toFixed(2)}`, describeStage(stage));
  const next = values['find-limit'] ? nextFactor(stages.map(tried)) : null;
  if (next === null) break;
  factor = next;
}
if (values['find-limit']) print('the limit', describeLimit(stages.map(tried)));
for (const line of await service.stop()) console.log(line);
const verdict = await verifyLoad({ catalogFile, poolRoot, ledgerFiles });
print('on disk afterwards', {
  'acknowledged, snapshots on disk': `${verdict.acknowledged}, ${verdict.snapshotsOnDisk}`,
  'lost, doubled, wrong, astray': `${verdict.lost}, ${verdict.doubled}, ${verdict.wrong}, ${verdict.astray}`,
  examples: verdict.examples.join('; '),
});
const asked = (count / msOf(values.think)) * 1000 * Number(values.mutating);
const legacy = await measureLegacyShare({
  ...{ directory: place.plain, seconds: LEGACY_SECONDS, snapshotsPerSecond: asked },
  fill: fillTemplate,
});
print('the legacy way, a shadow git', {
  'captures a second, p50 / p99 ms': `${legacy.capturesPerSecond.toFixed(0)}, ${legacy.latency.p50Ms.toFixed(1)} / ${legacy.latency.p99Ms.toFixed(1)}`,
  'share of the load that it carries': `${(legacy.share * 100).toFixed(0)} % of ${asked.toFixed(0)} a second`,
});
const kernel = execFileSync('uname', ['-r'], { encoding: 'utf8' }).trim();
const machine = { kernel, memoryGiB: (totalmem() / 2 ** 30).toFixed(0) };
const kept = stages.map((stage) => ({ ...stage, plan: { ...stage.plan, sessions: count } }));
writeFileSync(
  join(OUT, 'load.json'),
  JSON.stringify({ machine, stages: kept, verdict, legacy }, null, 2),
);
const last = stages.at(-1);
if (values.record !== undefined && last !== undefined) {
  const disk = {
    'begins acknowledged, snapshots on disk': `${verdict.acknowledged}, ${verdict.snapshotsOnDisk}`,
    'lost, doubled, wrong, astray': `${verdict.lost}, ${verdict.doubled}, ${verdict.wrong}, ${verdict.astray}`,
    'shadow git afterwards: captures a second': `${legacy.capturesPerSecond.toFixed(0)}, ${(legacy.share * 100).toFixed(0)} % of those asked`,
  };
  const limit = values['find-limit'] ? describeLimit(stages.map(tried)) : {};
  keepLoadRecord(join(ROOT, 'docs'), {
    name: values.record,
    at: new Date().toISOString(),
    command: `npm run load -- ${process.argv.slice(2).join(' ')}`.replace(/ --record \S+/, ''),
    machine: describeMachine(),
    ...{ loadBefore, rows: { ...describeStage(last), ...disk, ...limit } },
  });
}
const isSound = verdict.lost + verdict.doubled + verdict.wrong + verdict.astray === 0;
process.exitCode = isSound ? 0 : 1;
