/**
 * The service under load, as a process of its own, and what it uses.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { createInterface } from 'node:readline';
import type { ProbeQuestion, ProbeReading } from './service-probe.ts';

export interface ProcessUse {
  /** Milliseconds since some fixed point. */
  readonly atMs: number;
  readonly userMs: number;
  readonly systemMs: number;
  readonly rssBytes: number;
  readonly descriptors: number;
  readonly threads: number;
  /** Of `rssBytes`, what is no page of a file. */
  readonly anonymousBytes: number;
  /** CPU by the threads' names. */
  readonly byThread: Readonly<Record<string, ThreadUse>>;
  /** CPU of everything that runs on the machine, this process included. */
  readonly machineMs: number;
}

export interface ThreadUse {
  readonly userMs: number;
  readonly systemMs: number;
}

/** Of utime and stime in /proc/PID/stat: USER_HZ is 100 wherever Linux runs. */
const TICK_MS = 10;

export function useOf(pid: number): ProcessUse {
  const { userMs, systemMs } = readStat(`/proc/${pid}/stat`);
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const bytesOf = (line: RegExp): number => Number(line.exec(status)?.[1] ?? 0) * 1024;
  const threads = readdirSync(`/proc/${pid}/task`);
  return {
    ...{ atMs: performance.now(), userMs, systemMs, machineMs: machineMs() },
    byThread: byThread(pid, threads),
    rssBytes: bytesOf(/^VmRSS:\s+(\d+)/m),
    anonymousBytes: bytesOf(/^RssAnon:\s+(\d+)/m),
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    threads: threads.length,
  };
}

function machineMs(): number {
  const busy = cpus().map(({ times }) => times.user + times.nice + times.sys + times.irq);
  return busy.reduce((sum, ms) => sum + ms, 0);
}

function byThread(pid: number, threads: readonly string[]): Record<string, ThreadUse> {
  const sums: Record<string, ThreadUse> = {};
  for (const thread of threads) {
    const { name, userMs, systemMs } = readStat(`/proc/${pid}/task/${thread}/stat`);
    const sum = sums[name] ?? { userMs: 0, systemMs: 0 };
    sums[name] = { userMs: sum.userMs + userMs, systemMs: sum.systemMs + systemMs };
  }
  return sums;
}

function readStat(file: string): ThreadUse & { readonly name: string } {
  const stat = readFileSync(file, 'latin1');
  // The name in parentheses may hold anything; what follows it is numbers.
  const nameEnd = stat.lastIndexOf(')');
  const fields = stat.slice(nameEnd + 2).split(' ');
  return {
    name: stat.slice(stat.indexOf('(') + 1, nameEnd),
    userMs: Number(fields[11]) * TICK_MS,
    systemMs: Number(fields[12]) * TICK_MS,
  };
}

export interface ServiceProcess {
  readonly pid: number;
  readonly url: string;
  /** What its probe counts from now on. */
  startCounting(): Promise<void>;
  /** What its probe has counted since. */
  counted(): Promise<ProbeReading>;
  /** In order; what it printed at the end. */
  stop(): Promise<readonly string[]>;
  kill(): Promise<void>;
}

export interface ServiceCommand {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Of Node, beside the unit's own: the probe, profiling. */
  readonly flags: readonly string[];
}

/** As the service's unit starts it: threads for blocking calls, a small young generation, few malloc arenas. */
const SERVICE_FLAGS = ['--max-semi-space-size=4'] as const;
const SERVICE_ENV = { UV_THREADPOOL_SIZE: '64', MALLOC_ARENA_MAX: '2' } as const;

/** Starts it and waits until it says where it listens. */
export async function startService(command: ServiceCommand): Promise<ServiceProcess> {
  const child = spawn(process.execPath, [...SERVICE_FLAGS, ...command.flags, ...command.args], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: { ...process.env, ...SERVICE_ENV, ...command.env },
  });
  const lines: string[] = [];
  const url = await listening(child, lines);
  return {
    pid: child.pid ?? 0,
    url,
    startCounting: async () => void (await ask(child, 'start')),
    counted: async () => (await ask(child, 'read')) as ProbeReading,
    async stop() {
      await end(child, 'SIGTERM');
      return lines;
    },
    kill: () => end(child, 'SIGKILL'),
  };
}

/** A line of the service's log. */
const LISTENING = /"message":"listening".*"port":(\d+)/;

async function listening(child: ChildProcess, lines: string[]): Promise<string> {
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new Error('The service has no output.');
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  child.once('exit', (code) => reject(new Error(`The service ended with ${code}.`)));
  createInterface({ input: stdout }).on('line', (line) => lines.push(line));
  createInterface({ input: stderr }).on('line', (line) => {
    const port = LISTENING.exec(line)?.[1];
    if (port !== undefined) resolve(`https://localhost:${port}`);
    else if (!line.includes('"level":"info"')) console.error(line);
  });
  return await promise;
}

/** One question at a time. */
async function ask(child: ChildProcess, question: ProbeQuestion): Promise<unknown> {
  const answered = once(child, 'message');
  child.send(question);
  const [answer] = await answered;
  return answer;
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  await ended;
}
