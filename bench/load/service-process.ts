/**
 * The service under load, as a process of its own, and what it uses.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

export interface ProcessUse {
  /** Milliseconds since some fixed point. */
  readonly atMs: number;
  readonly userMs: number;
  readonly systemMs: number;
  readonly rssBytes: number;
  readonly descriptors: number;
  readonly threads: number;
}

/** Of utime and stime in /proc/PID/stat: USER_HZ is 100 wherever Linux runs. */
const TICK_MS = 10;

export function useOf(pid: number): ProcessUse {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // The name in parentheses may hold anything; what follows it is numbers.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  return {
    atMs: performance.now(),
    userMs: Number(fields[11]) * TICK_MS,
    systemMs: Number(fields[12]) * TICK_MS,
    rssBytes: Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) * 1024,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    threads: readdirSync(`/proc/${pid}/task`).length,
  };
}

export interface ServiceProcess {
  readonly pid: number;
  readonly url: string;
  /** In order; what it printed at the end. */
  stop(): Promise<readonly string[]>;
  kill(): Promise<void>;
}

export interface ServiceCommand {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** As the service's unit starts it: threads for blocking calls, a small young generation. */
const SERVICE_FLAGS = ['--max-semi-space-size=4'] as const;
const SERVICE_THREADS = '64';

/** Starts it and waits until it says where it listens. */
export async function startService(command: ServiceCommand): Promise<ServiceProcess> {
  const child = spawn(process.execPath, [...SERVICE_FLAGS, ...command.args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, UV_THREADPOOL_SIZE: SERVICE_THREADS, ...command.env },
  });
  const lines: string[] = [];
  const url = await listening(child, lines);
  return {
    pid: child.pid ?? 0,
    url,
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

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  await ended;
}
