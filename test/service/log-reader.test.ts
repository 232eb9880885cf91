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

beforeAll(async () => {
  world = await ServiceWorld.make();
  await world.stop();
});

afterEach(async () => {
  if (running !== null) await world.ended(running, 'SIGKILL');
});

afterAll(async () => world?.[Symbol.asyncDispose]());

interface Logged {
  readonly child: ChildProcess;
  readonly log: Readable;
  readonly entries: Record<string, unknown>[];
  readonly dropped: Promise<number>;
}

/** `socket` is how journald reads, `pipe` a shell's `|`. */
async function launch(way: 'socket' | 'pipe'): Promise<Logged> {
  world.configure({});
  const argv = [PROGRAM, 'serve', '--config', world.configFile];
  const { env } = world.environment;
  const { log, child } =
    way === 'socket'
      ? readSocket(spawn(process.execPath, argv, { env, stdio: ['ignore', 'ignore', 'pipe'] }))
      : readPipe((fd) => spawn(process.execPath, argv, { env, stdio: ['ignore', 'ignore', fd] }));
  running = child;
  const entries: Record<string, unknown>[] = [];
  const serving = Promise.withResolvers<void>();
  const dropped = Promise.withResolvers<number>();
  createInterface({ input: log }).on('line', (line) => {
    // The last line of one that stops may be cut off: nobody took it in time.
    if (!line.endsWith('}')) return;
    const entry = JSON.parse(line) as Record<string, unknown>;
    entries.push(entry);
    if (entry.message === 'serving') serving.resolve();
    if (entry.message === 'lines of the log were dropped') dropped.resolve(Number(entry.count));
  });
  // One that ends at once says why on its log, which is no JSON then.
  await Promise.race([serving.promise, once(child, 'exit')]);
  return { child, log, entries, dropped: dropped.promise };
}

function readSocket(child: ChildProcess): { readonly child: ChildProcess; readonly log: Readable } {
  if (child.stderr === null) throw new Error('It has no standard error.');
  return { child, log: child.stderr };
}

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
    child.kill('SIGHUP');
    const { status } = await world.begin(world.template, `${child.pid} ${n}`);
    expect(status).toBe(201);
  }
}

async function stop(child: ChildProcess): Promise<number | null> {
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const [code] = (await ended) as [number | null];
  return code;
}

it.each(['socket', 'pipe'] as const)('hangs on a %s', async (way) => {
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
