/**
 * Whoever reads the service's log hangs, or goes away: tool calls go on, what finds no room is counted and
 * told once there is room again, and the service still stops in order.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { ServiceWorld } from './service-world.ts';

const PROGRAM = join(import.meta.dirname, '../../bin/ghostsnap.js');
/** What is wrong with a configuration is told whole: each reading of this one writes some 100 KiB. */
const WRONG = {
  adoptBelow: Array.from({ length: 60 }, (_none, n) => `/none/${n}/${'x'.repeat(900)}`),
};
/** More than any pipe takes, and than the service holds back for one. */
const READINGS = 14;

let world: ServiceWorld;
let running: ChildProcess | null = null;
/** Of the service, where something stands between. */
let served = 0;

beforeAll(async () => {
  world = await ServiceWorld.make();
  await world.stop();
});

afterEach(async () => {
  if (running === null) return;
  if (running.exitCode === null && served !== running.pid) process.kill(served, 'SIGKILL');
  await world.ended(running, 'SIGKILL');
});

afterAll(async () => world?.[Symbol.asyncDispose]());

interface Logged {
  readonly child: ChildProcess;
  readonly log: Readable;
  readonly entries: Record<string, unknown>[];
  readonly dropped: Promise<number>;
}

type Way = 'socket' | 'pipe' | 'terminal';

/** `socket` is how journald reads, `pipe` a shell's `|`, `terminal` a window that is not looked at. */
async function launch(way: Way): Promise<Logged> {
  world.configure({});
  const argv = [PROGRAM, 'serve', '--config', world.configFile];
  const { env } = world.environment;
  const { log, child } = started(way, argv, env);
  running = child;
  const entries: Record<string, unknown>[] = [];
  const serving = Promise.withResolvers<void>();
  const dropped = Promise.withResolvers<number>();
  createInterface({ input: log }).on('line', (line) => {
    // The last line of one that stops may be cut off: nobody took it in time.
    if (!line.endsWith('}')) return;
    const entry = JSON.parse(line) as Record<string, unknown>;
    entries.push(entry);
    if (entry.message === 'serving') {
      served = Number(entry.pid);
      serving.resolve();
    }
    if (entry.message === 'lines of the log were dropped') dropped.resolve(Number(entry.count));
  });
  // One that ends at once says why on its log, which is no JSON then.
  await Promise.race([serving.promise, once(child, 'exit')]);
  return { child, log, entries, dropped: dropped.promise };
}

type Started = Pick<Logged, 'child' | 'log'>;

function started(way: Way, argv: readonly string[], env: NodeJS.ProcessEnv): Started {
  if (way === 'pipe') {
    return readPipe((fd) =>
      spawn(process.execPath, argv, { env, stdio: ['ignore', 'ignore', fd] }),
    );
  }
  if (way === 'socket') {
    const child = spawn(process.execPath, argv, { env, stdio: ['ignore', 'ignore', 'pipe'] });
    return { child, log: child.stderr };
  }
  // What script does not get rid of it does not read from the terminal that it makes.
  const line = ['exec', process.execPath, ...argv].join(' ');
  const stdio: StdioPipe = ['pipe', 'pipe', 'ignore'];
  const child = spawn('script', ['-qec', line, '/dev/null'], { env, stdio });
  return { child, log: child.stdout };
}

type StdioPipe = ['pipe', 'pipe', 'ignore'];

function readPipe(start: (fd: number) => ChildProcess): {
  readonly child: ChildProcess;
  readonly log: Readable;
} {
  const fifo = join(world.base, 'log');
  fs.rmSync(fifo, { force: true });
  spawnSync('mkfifo', [fifo]);
  const { O_RDONLY, O_NONBLOCK, O_WRONLY } = fs.constants;
  const log = new net.Socket({ fd: fs.openSync(fifo, O_RDONLY | O_NONBLOCK), writable: false });
  const fd = fs.openSync(fifo, O_WRONLY);
  const child = start(fd);
  fs.closeSync(fd);
  return { child, log };
}

async function writeMuch(child: ChildProcess): Promise<void> {
  world.configure(WRONG);
  for (let n = 0; n < READINGS; n += 1) {
    process.kill(served, 'SIGHUP');
    const { status } = await world.begin(world.template, `${child.pid} ${n}`);
    expect(status).toBe(201);
  }
}

async function stop(child: ChildProcess): Promise<number | null> {
  const ended = once(child, 'exit');
  process.kill(served, 'SIGTERM');
  const [code] = (await ended) as [number | null];
  return code;
}

it.each(['socket', 'pipe', 'terminal'] as const)('hangs on a %s', async (way) => {
  const { child, log, entries, dropped } = await launch(way);
  log.pause();
  await writeMuch(child);
  log.resume();
  expect(await dropped).toBeGreaterThan(0);
  // Whole lines, in order, and never more than there were.
  const told = entries.filter(({ message }) => message === 'the configuration was not taken');
  expect(told.length + (await dropped)).toBeLessThanOrEqual(READINGS);
  expect(await stop(child)).toBe(0);
});

it.each(['socket', 'pipe'] as const)('hangs on a %s when the service stops', async (way) => {
  const { child, log } = await launch(way);
  log.pause();
  await writeMuch(child);
  expect(await stop(child)).toBe(0);
});

it.each(['socket', 'pipe'] as const)('has gone from a %s', async (way) => {
  const { child, log } = await launch(way);
  log.destroy();
  await writeMuch(child);
  expect(await stop(child)).toBe(0);
});
