/**
 * The load generator, a process of its own: open loop, free of coordinated omission.
 *
 * When a call begins is decided before the run, by a Poisson process over all sessions, and never by
 * an answer: every latency counts from the moment the request was meant to be sent. Sessions come in turn,
 * so that each has a call about every `thinkMs`. Between `begin` and `end` the tool runs: a call that
 * changes things really writes to the workspace, a number that the snapshot of the next call must hold.
 *
 * Argument: the file of a `LoadPlan`. Prints "measuring" and "measured" around the measured time, then a
 * `LoadResult` as JSON.
 */
import { createWriteStream, existsSync, readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { LatencyHistogram, type LatencySummary } from './latency-histogram.ts';
import { type Answer, type ConnectionCounts, LoadConnection } from './load-connection.ts';
import type { LedgerEntry, LoadPlan } from './load-plan.ts';

export interface LoadResult {
  readonly beginMutating: LatencySummary;
  readonly beginReadOnly: LatencySummary;
  readonly beginAll: LatencySummary;
  readonly end: LatencySummary;
  /** How late requests were sent: counted in every latency, shown to judge the generator. */
  readonly lag: LatencySummary;
  readonly calls: number;
  /** Answered while it was measured, of every kind. */
  readonly requests: number;
  readonly acknowledged: number;
  readonly adopted: number;
  readonly retries: number;
  readonly connects: number;
  readonly errors: Readonly<Record<string, number>>;
  /** Of this process, user + system, in cores. */
  readonly cpuCores: number;
  readonly seconds: number;
}

const TICK_MS = 1;
const COUNTER_FILE = 'progress.txt';

const plan = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as LoadPlan;
const counts: ConnectionCounts = { connects: 0, retries: 0 };
const connections = Array.from(
  { length: plan.connections },
  () => new LoadConnection(plan.target, plan.transport, counts),
);
const ledger = createWriteStream(plan.ledgerFile, { highWaterMark: 1 << 20 });
const random = randomOf(plan.seed);

const begins = { mutating: new LatencyHistogram(), readOnly: new LatencyHistogram() };
const beginAll = new LatencyHistogram();
const ends = new LatencyHistogram();
const lag = new LatencyHistogram();
const errors: Record<string, number> = {};
let isMeasured = false;
let calls = 0;
let requests = 0;
let acknowledged = 0;
let adopted = 0;

interface Session {
  readonly number: number;
  readonly workspace: string;
  readonly path: string;
  calls: number;
  /** What the workspace's file holds, 0 without one; null: not looked at yet. */
  counter: number | null;
  /** Its last call: the next one comes after it. */
  tail: Promise<void> | null;
}

const sessions: Session[] = plan.sessions.map(({ workspace, path }, number) => ({
  ...{ number, workspace, path, calls: 0, counter: null, tail: null },
}));
const order = sessions.map((_, index) => index);
for (let i = order.length - 1; i > 0; i -= 1) {
  const j = Math.floor(random() * (i + 1));
  [order[i], order[j]] = [order[j] ?? 0, order[i] ?? 0];
}

const underWay = new Set<Promise<void>>();
const startedMs = performance.now();
const measuredFromMs = startedMs + plan.warmUpMs;
const endMs = measuredFromMs + plan.measuredMs;
let cpuFrom = process.cpuUsage();
let nextMs = startedMs + gapMs();
let turn = 0;

function gapMs(): number {
  return (-Math.log(1 - random()) * plan.thinkMs) / sessions.length;
}

function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function tick(): void {
  const nowMs = performance.now();
  if (!isMeasured && nowMs >= measuredFromMs) {
    isMeasured = true;
    process.stdout.write('measuring\n');
    cpuFrom = process.cpuUsage();
  }
  while (nextMs <= nowMs && nextMs < endMs) {
    const session = sessions[order[turn % order.length] ?? 0];
    if (session !== undefined) start(session, nextMs);
    turn += 1;
    nextMs += gapMs();
  }
  if (nextMs < endMs) setTimeout(tick, TICK_MS);
  else void finish();
}

function start(session: Session, meantMs: number): void {
  const isMutating = random() < plan.mutatingShare;
  const toolMs = plan.toolMs.min + random() * (plan.toolMs.max - plan.toolMs.min);
  const before = session.tail ?? Promise.resolve();
  const call = before.then(() => run(session, { meantMs, isMutating, toolMs })).catch(countError);
  session.tail = call;
  underWay.add(call);
  void call.then(() => underWay.delete(call));
}

async function run(
  session: Session,
  call: { readonly meantMs: number; readonly isMutating: boolean; readonly toolMs: number },
): Promise<void> {
  const { meantMs, isMutating, toolMs } = call;
  if (isMeasured) lag.record(performance.now() - meantMs);
  calls += 1;
  session.calls += 1;
  // Another run's keys on the same workspaces are other calls, and what it has written is there.
  const key = `${plan.seed}-${session.number}-${session.calls}`;
  session.counter ??= counterIn(session.path);
  const connection = connections[session.number % connections.length];
  if (connection === undefined) return;
  const path = `/v1/workspaces/${session.workspace}/calls`;
  const begun = await connection.ask({
    ...{ operation: 'beginCall', method: 'POST', path, key: `begin-${key}` },
    inPath: { workspace: session.workspace },
    body: {
      ...{ session: `s${session.number}`, harness: 'load', key, readOnly: !isMutating },
      ...(isMutating ? { tool: 'Bash', input: INPUT } : { tool: 'Read', input: READ_INPUT }),
    },
  });
  const beganMs = performance.now();
  if (isMeasured) {
    requests += 1;
    beginAll.record(beganMs - meantMs);
    (isMutating ? begins.mutating : begins.readOnly).record(beganMs - meantMs);
  }
  if (!isGood(begun)) return;
  acknowledged += 1;
  if (begun.body.adopted === true) adopted += 1;
  write(session, begun, { key, isMutating });
  if (isMutating) {
    session.counter = (session.counter ?? 0) + 1;
    await writeFile(join(session.path, COUNTER_FILE), `${session.counter}\n`);
  }
  const endsMs = beganMs + toolMs;
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, endsMs - performance.now())));
  const call_ = String(begun.body.call);
  const ended = await connection.ask({
    ...{ operation: 'endCall', method: 'POST', path: `${path}/${call_}/end`, key: `end-${key}` },
    inPath: { workspace: session.workspace, call: call_ },
    body: { outcome: 'ok' },
  });
  if (isMeasured) {
    requests += 1;
    ends.record(performance.now() - endsMs);
  }
  isGood(ended);
}

function counterIn(path: string): number {
  const file = join(path, COUNTER_FILE);
  return existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0;
}

/** What a tool's input looks like: a command line. */
const INPUT = { command: 'npm test -- --run test/core && git status --short' };
const READ_INPUT = { file_path: 'src/index.ts' };

function write(
  session: Session,
  begun: Answer,
  call: { readonly key: string; readonly isMutating: boolean },
): void {
  const entry: LedgerEntry = {
    workspace: session.workspace,
    key: call.key,
    call: String(begun.body.call),
    snapshot: begun.body.snapshot === null ? null : String(begun.body.snapshot),
    counter: call.isMutating ? session.counter : null,
  };
  ledger.write(`${JSON.stringify(entry)}\n`);
}

function isGood(answer: Answer): boolean {
  if (answer.status < 300) return true;
  const code = String(answer.body.code ?? answer.status);
  errors[code] = (errors[code] ?? 0) + 1;
  return false;
}

function countError(error: unknown): void {
  const name = error instanceof Error ? error.message : String(error);
  errors[name] = (errors[name] ?? 0) + 1;
}

async function finish(): Promise<void> {
  const seconds = (performance.now() - measuredFromMs) / 1000;
  const cpu = process.cpuUsage(cpuFrom);
  const measured = requests;
  process.stdout.write('measured\n');
  await Promise.all(underWay);
  for (const connection of connections) connection.close();
  await new Promise((resolve) => ledger.end(resolve));
  const result: LoadResult = {
    beginMutating: begins.mutating.summary(),
    beginReadOnly: begins.readOnly.summary(),
    beginAll: beginAll.summary(),
    end: ends.summary(),
    lag: lag.summary(),
    ...{ calls, requests: measured, acknowledged, adopted, errors, seconds, ...counts },
    cpuCores: (cpu.user + cpu.system) / 1e6 / seconds,
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

tick();
