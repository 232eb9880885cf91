/**
 * Telemetry as an operator has it: the built daemon on a real btrfs, a real Prometheus that scrapes it and
 * evaluates the rules, a receiver of OTLP, and every command of the runbook.
 */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openCatalog } from '../../src/catalog/open-catalog.ts';
import { daemonPlace } from '../../src/daemon/daemon-place.ts';
import { type Environment, poolDirectory, resolveHome } from '../../src/daemon/home.ts';
import { initWorkspace } from '../../src/daemon/init-workspace.ts';
import { openWorkspace } from '../../src/daemon/open-workspace.ts';
import { listPoolRecords } from '../../src/daemon/registry.ts';
import type { WorkspaceRow } from '../../src/engine/ports.ts';
import { PROGRAM, post } from '../daemon/hook-world.ts';
import { OtlpReceiver } from '../telemetry/otlp-receiver.ts';
import { type LoopImage, makeLoopImage } from './loop-image.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const TRACE = '0af7651916cd43dd8448eb211c80319c';
const ASKING = 'b7ad6b7169203331';
const TRACED = { traceparent: `00-${TRACE}-${ASKING}-01`, tracestate: 'vendor=1' };

const stack: (() => Promise<void> | void)[] = [];
let image: LoopImage;
let receiver: OtlpReceiver;
let environment: Environment;
let path: string;
let port: number;

beforeAll(async () => {
  image = await makeLoopImage({
    fs: 'btrfs',
    sizeMiB: 256,
    mountOptions: 'user_subvol_rm_allowed',
  });
  stack.push(() => image.dispose());
  receiver = await OtlpReceiver.start();
  stack.push(() => receiver.close());
  port = await freePort();
  path = join(image.mountPath, 'project');
  const home = join(image.directory, 'home');
  const bin = join(image.directory, 'bin');
  for (const directory of [path, home, bin]) mkdirSync(directory);
  symlinkSync(PROGRAM, join(bin, 'ghostsnap'));
  writeFileSync(join(path, 'file'), 'one\n');
  writeFileSync(
    join(home, 'config.json'),
    JSON.stringify({
      telemetry: { prometheus: { port }, otlp: { endpoint: receiver.endpoint }, sampleRatio: 0 },
    }),
  );
  const { XDG_RUNTIME_DIR: _runtime, ...rest } = process.env;
  const env = {
    ...rest,
    PATH: `${bin}:${rest.PATH}`,
    HOME: image.directory,
    GHOSTSNAP_HOME: home,
    METRICS: `http://127.0.0.1:${port}/metrics`,
  };
  environment = { env, cwd: path, homeDir: image.directory, uid: 0 };
  await initWorkspace({ path, backend: 'btrfs', environment });
  // Started by a hook of another trace: that one's trace is not everybody's.
  program(['daemon', 'start'], { TRACEPARENT: `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01` });
  stack.push(() => void program(['daemon', 'stop']));
});

afterAll(async () => {
  for (const end of stack.reverse()) await end();
});

function program(args: readonly string[], env: Readonly<Record<string, string>> = {}): string {
  const options = { cwd: path, env: { ...environment.env, ...env }, encoding: 'utf8' } as const;
  return execFileSync(process.execPath, [PROGRAM, ...args], options);
}

async function hook(event: string, fields: Readonly<Record<string, unknown>>): Promise<string> {
  const { socket } = daemonPlace(resolveHome(environment), environment);
  const payload = {
    ...{ session_id: 's1', cwd: path, hook_event_name: event, tool_name: 'Bash' },
    ...{ tool_input: { command: 'make' }, tool_use_id: 'toolu_1', ...fields },
  };
  return await post({ socketPath: socket }, `/hook/claude-code/${event}`, JSON.stringify(payload));
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port: free } = server.address() as { port: number };
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return free;
}

test('a traced hook is seen from the payload to the system call, and its events know the trace', async () => {
  await hook('PreToolUse', TRACED);
  await receiver.until(({ spans }) => spans.some(({ name }) => name === 'ghostsnap.hook'));
  const spans = receiver.spans.filter(({ traceId }) => traceId === TRACE);
  const parents = (name: string): string[] => {
    const found = spans.find((span) => span.name === name);
    const above = spans.find(({ spanId }) => spanId === found?.parentSpanId);
    if (found === undefined) return [`no ${name}`];
    return above === undefined ? [found.parentSpanId ?? ''] : [above.name, ...parents(above.name)];
  };
  expect(parents('ghostsnap.btrfs.snap_create')).toEqual([
    'ghostsnap.call.begin',
    'ghostsnap.hook',
    ASKING,
  ]);
  expect(receiver.spans.every(({ traceId }) => traceId === TRACE)).toBe(true);
  await using workspace = await openWorkspace({ environment, readOnly: 'yes' });
  expect(workspace.listCalls()).toHaveLength(1);
});

test('a command joins the trace of its environment, and a hook as a command hands it to the daemon', async () => {
  const other = 'f'.repeat(32);
  const env = { TRACEPARENT: `00-${other}-${ASKING}-01`, BAGGAGE: 'user=7' };
  const id = program(['snap', '-w', path], env).trim();
  const payload = { session_id: 's2', cwd: path, hook_event_name: 'PreToolUse', tool_name: 'Bash' };
  const input = JSON.stringify({ ...payload, tool_input: {}, tool_use_id: 'toolu_2' });
  execFileSync(process.execPath, [PROGRAM, 'hook', 'run', 'claude-code', 'PreToolUse'], {
    ...{ cwd: path, env: { ...environment.env, ...env }, input },
  });
  await receiver.until(({ spans }) =>
    spans.some(({ traceId, name }) => traceId === other && name === 'ghostsnap.hook'),
  );
  const home = resolveHome(environment);
  const [pool] = listPoolRecords(home);
  using catalog = openCatalog({ file: join(poolDirectory(home, pool?.name ?? ''), 'catalog.db') });
  const [{ workspace }] = catalog.listWorkspaces() as [WorkspaceRow];
  const traced = catalog
    .events(workspace, 0, 1000)
    .filter((event) => event.trace?.traceparent.includes(other) === true);
  expect(traced[0]).toMatchObject({ type: 'snapshot.created', id, trace: { baggage: 'user=7' } });
  expect(traced.map(({ type }) => type)).toContain('call.begun');
});

describe('Prometheus', () => {
  test('scrapes the sidecar and evaluates every rule without an error', async () => {
    const directory = join(image.directory, 'prometheus');
    mkdirSync(directory);
    const listen = `127.0.0.1:${await freePort()}`;
    const config = {
      global: { scrape_interval: '1s', evaluation_interval: '1s' },
      rule_files: [join(ROOT, 'deploy/prometheus/ghostsnap.rules.yml')],
      scrape_configs: [
        { job_name: 'ghostsnap', static_configs: [{ targets: [`127.0.0.1:${port}`] }] },
      ],
    };
    writeFileSync(join(directory, 'prometheus.yml'), JSON.stringify(config));
    const server = spawn(
      'prometheus',
      [
        `--config.file=${directory}/prometheus.yml`,
        `--storage.tsdb.path=${directory}/data`,
        `--web.listen-address=${listen}`,
      ],
      { stdio: 'ignore' },
    );
    const ended = new Promise<void>((resolve) => server.once('exit', () => resolve()));
    try {
      const query = 'ghostsnap_backend_snapshot_duration_seconds_count{outcome="ok"} >= 1';
      await until(async () => (await asked(listen, 'query', { query })).result.length === 1);
      const rules = async (): Promise<Rule[]> =>
        (await asked(listen, 'rules', {})).groups.flatMap(
          (group: { rules: Rule[] }) => group.rules,
        );
      await until(async () => (await rules()).every(({ health }) => health !== 'unknown'));
      expect((await rules()).length).toBeGreaterThan(10);
      expect((await rules()).filter(({ health }) => health !== 'ok')).toEqual([]);
    } finally {
      server.kill('SIGTERM');
      await ended;
    }
  });
});

test('every command of the runbook runs', () => {
  const runbook = readFileSync(join(ROOT, 'docs', 'runbook.md'), 'utf8');
  const commands = [...runbook.matchAll(/```sh\n([^`]*)```/g)].map(([, text = '']) => text);
  expect(commands.length).toBeGreaterThan(20);
  for (const command of commands) {
    const options = { cwd: path, env: environment.env, encoding: 'utf8' } as const;
    execFileSync('bash', ['-euo', 'pipefail', '-c', command], options);
  }
});

interface Rule {
  readonly health: string;
}

async function asked(
  listen: string,
  api: string,
  query: Readonly<Record<string, string>>,
  // biome-ignore lint/suspicious/noExplicitAny: the shape is Prometheus's, and each caller names its part.
): Promise<any> {
  try {
    const response = await fetch(`http://${listen}/api/v1/${api}?${new URLSearchParams(query)}`);
    const { data } = (await response.json()) as { data: unknown };
    return data;
  } catch {
    // It is starting.
    return { result: [], groups: [{ rules: [{ health: 'unknown' }] }] };
  }
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition()));
}
