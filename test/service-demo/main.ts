/**
 * `npm run service:demo`: the service as an operator and a platform meet it, from a private authority to a
 * clean stop; each step is looked at, and the last line counts.
 *
 * Real parts only: the built program as a process, a pool image, mutual TLS, the client, Debian's
 * Prometheus, and a receiver of OTLP. Everything lies below one temporary folder and is taken down.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createClient } from '../../src/api/client/client.ts';
import { freePort } from '../free-port.ts';
import { OtlpReceiver } from '../telemetry/otlp-receiver.ts';

const PROGRAM = join(import.meta.dirname, '..', '..', 'bin', 'ghostsnap.js');
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SESSIONS = 20;
const RED = 'spiffe://demo.example/red/agent';
const OPERATOR = 'spiffe://demo.example/red/operator';

const base = mkdtempSync(join(tmpdir(), 'ghostsnap-service-demo-'));
const env = { ...process.env, GHOSTSNAP_HOME: join(base, 'home'), UV_THREADPOOL_SIZE: '64' };
const ca = join(base, 'ca');
let passed = 0;
let failed = 0;

function ghostsnap(...args: readonly string[]): string {
  return execFileSync(process.execPath, [PROGRAM, ...args], {
    ...{ cwd: base, env, encoding: 'utf8' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

function shown(what: string, isTrue: boolean, more = ''): void {
  if (isTrue) passed += 1;
  else failed += 1;
  process.stdout.write(
    `${isTrue ? 'ok    ' : 'FAILED'}  ${what}${more === '' ? '' : `  ${more}`}\n`,
  );
}

/** A template with a thousand files, a pool that holds it, certificates, and the service's two files. */
async function prepare(otlp: string): Promise<{ port: number; metrics: number; template: string }> {
  ghostsnap('cert', 'init', '--ca', ca);
  ghostsnap('cert', 'issue', 'host', '--ca', ca, '--server', 'localhost');
  ghostsnap('cert', 'issue', 'agent', '--ca', ca, '--client', RED);
  ghostsnap('cert', 'issue', 'operator', '--ca', ca, '--client', OPERATOR);
  shown('a private authority with certificates', existsSync(join(ca, 'agent.crt')));
  ghostsnap('pool', 'create', 'demo', '--size', '1G', '--directory', join(base, 'pool'));
  const tree = join(base, 'pool', 'mount', 'template');
  mkdirSync(join(tree, 'src'), { recursive: true });
  for (let n = 0; n < 1000; n += 1)
    writeFileSync(join(tree, 'src', `${n}.ts`), `export const n = ${n};\n`);
  const made = JSON.parse(ghostsnap('init', tree, '--pool', 'demo', '--json')) as {
    workspace: string;
  };
  const [port, metrics] = [await freePort(), await freePort()];
  const rules = ['agent', 'operator'].map((role) => ({
    id: `spiffe://demo.example/{tenant}/${role}`,
    role,
  }));
  const access = { format: 1, trustDomain: 'demo.example', rules };
  writeFileSync(join(base, 'access.json'), JSON.stringify(access));
  const listen = {
    ...{ host: '127.0.0.1', port, certificate: join(ca, 'host.crt'), key: join(ca, 'host.key') },
    ...{ clientCa: join(ca, 'ca.crt'), access: join(base, 'access.json') },
  };
  const telemetry = { prometheus: { port: metrics }, otlp: { endpoint: otlp }, sampleRatio: 0 };
  const config = {
    format: 1,
    socket: join(base, 'service.sock'),
    pools: ['demo'],
    listen,
    telemetry,
  };
  writeFileSync(join(base, 'service.json'), JSON.stringify(config));
  return { port, metrics, template: made.workspace };
}

async function serve(): Promise<ChildProcess> {
  const args = [PROGRAM, 'serve', '--config', join(base, 'service.json')];
  const service = spawn(process.execPath, args, {
    cwd: base,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ready = Promise.withResolvers<void>();
  for (const stream of [service.stdout, service.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      if (line.includes('"serving"')) ready.resolve();
      else process.stderr.write(`${line}\n`);
    });
  }
  service.once('exit', (code, signal) => {
    ready.reject(new Error(`the service ended with ${code ?? signal}`));
  });
  await ready.promise;
  return service;
}

function clientFor(name: string, port: number): ReturnType<typeof createClient> {
  const read = (file: string): string => readFileSync(join(ca, file), 'utf8');
  const tls = { cert: read(`${name}.crt`), key: read(`${name}.key`), ca: read('ca.crt') };
  return createClient({ endpoints: [`https://localhost:${port}`], tls });
}

async function work(port: number, template: string): Promise<void> {
  await using operator = clientFor('operator', port);
  await using agent = clientFor('agent', port);
  const startedMs = performance.now();
  const made = await Promise.all(
    Array.from({ length: SESSIONS }, () => operator.createWorkspace({ template })),
  );
  const tookMs = Math.round(performance.now() - startedMs);
  shown(
    `${SESSIONS} workspaces of 1,000 files from a template`,
    made.length === SESSIONS,
    `${tookMs} ms`,
  );
  const calls = await Promise.all(
    made.map(async ({ workspace, path }, n) => {
      const about = { workspace, session: `s${n}`, harness: 'demo', tool: 'bash', key: 'one' };
      const begun = await agent.beginCall(about, {
        traceparent: `00-${TRACE}-00f067aa0ba902b7-01`,
      });
      rmSync(join(path, 'src'), { recursive: true });
      await agent.endCall({ workspace, call: begun.call, outcome: 'ok' });
      return { workspace, path, snapshot: String(begun.snapshot) };
    }),
  );
  shown(
    'each begins a tool call, which removes src',
    calls.every(({ path }) => !existsSync(join(path, 'src'))),
  );
  const [first] = calls;
  if (first === undefined) throw new Error('no workspace was made');
  const turn = await agent.rollback({ workspace: first.workspace, target: first.snapshot });
  const text = readFileSync(join(first.path, 'src', '7.ts'), 'utf8');
  shown(
    'one is rolled back',
    text === 'export const n = 7;\n',
    `${turn.mode}, ${turn.durationMs} ms`,
  );
  const tls = { certFile: `${ca}/agent.crt`, keyFile: `${ca}/agent.key`, caFile: `${ca}/ca.crt` };
  const endpoints = [`https://localhost:${port}`];
  writeFileSync(join(base, 'home', 'client.json'), JSON.stringify({ endpoints, tls }));
  const there = ['--server', 'config', '-w', first.workspace];
  const told = JSON.parse(ghostsnap(...there, 'undo', '--json')) as { kind: string };
  shown(
    'the command line takes that back by --server',
    told.kind === 'undo' && !existsSync(join(first.path, 'src')),
    ghostsnap(...there, 'log', '-n', '1').trim(),
  );
  const refused = await agent
    .deleteWorkspace({ workspace: first.workspace, keep: 'nothing' })
    .catch((error: unknown) =>
      error instanceof Error && 'code' in error ? error.code : String(error),
    );
  shown('an agent may not delete a workspace', refused === 'NOT_PERMITTED', String(refused));
}

/** Debian's Prometheus scrapes the sidecar. */
async function scrape(metrics: number): Promise<void> {
  const directory = join(base, 'prometheus');
  mkdirSync(directory);
  const listen = `127.0.0.1:${await freePort()}`;
  const targets = [{ targets: [`127.0.0.1:${metrics}`] }];
  const scrape = [{ job_name: 'ghostsnap', static_configs: targets }];
  const config = { global: { scrape_interval: '1s' }, scrape_configs: scrape };
  writeFileSync(join(directory, 'prometheus.yml'), JSON.stringify(config));
  const args = [
    `--config.file=${directory}/prometheus.yml`,
    `--storage.tsdb.path=${directory}/data`,
    `--web.listen-address=${listen}`,
  ];
  const server = spawn('prometheus', args, { stdio: 'ignore' });
  try {
    const query = 'ghostsnap_backend_snapshot_duration_seconds_count{outcome="ok"}';
    const deadlineMs = performance.now() + 60_000;
    let value = 0;
    while (value < SESSIONS && performance.now() < deadlineMs && server.exitCode === null) {
      value = await asked(listen, query);
    }
    shown('Prometheus has counted the snapshots', value >= SESSIONS, String(value));
  } finally {
    const ended = once(server, 'exit');
    server.kill('SIGTERM');
    await ended;
  }
}

async function asked(listen: string, query: string): Promise<number> {
  try {
    const response = await fetch(`http://${listen}/api/v1/query?${new URLSearchParams({ query })}`);
    const { data } = (await response.json()) as { data: { result: { value: [number, string] }[] } };
    return Number(data.result[0]?.value[1] ?? 0);
  } catch {
    // It does not listen yet; the loop has an end of its own.
    return 0;
  }
}

const receiver = await OtlpReceiver.start();
let service: ChildProcess | null = null;
try {
  const { port, metrics, template } = await prepare(receiver.endpoint);
  service = await serve();
  shown('the service serves by mutual TLS', true, `port ${port}`);
  await work(port, template);
  await receiver.until(({ spans }) =>
    spans.some(({ traceId, name }) => traceId === TRACE && name === 'ghostsnap.btrfs.snap_create'),
  );
  const spans = receiver.spans.filter(({ traceId }) => traceId === TRACE);
  shown(
    'a trace leads from the request to the ioctl',
    spans.length > SESSIONS,
    `${spans.length} spans`,
  );
  await scrape(metrics);
  const ended = once(service, 'exit');
  service.kill('SIGTERM');
  const [status] = await ended;
  shown('it stops cleanly', status === 0, `status ${status}`);
} catch (error) {
  shown(`the demo itself: ${error instanceof Error ? error.stack : String(error)}`, false);
} finally {
  if (service !== null && service.exitCode === null && service.signalCode === null) {
    const ended = once(service, 'exit');
    service.kill('SIGKILL');
    await ended;
  }
  await receiver.close();
  rmSync(join(base, 'home', 'workspaces'), { recursive: true, force: true });
  try {
    ghostsnap('pool', 'destroy', 'demo', '--yes', '--force');
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exitCode = failed === 0 ? 0 : 1;
