/**
 * Running the command line in tests: inside this process with captured streams, or as a process of
 * its own, with a home of its own in both cases.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { homedir } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Composition } from '../../src/cli/composition.ts';
import { main } from '../../src/cli/main.ts';
import { createOutput } from '../../src/cli/output.ts';

export interface CliResult {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Runs as this user and group; needs root. */
  readonly uid?: number;
  readonly onSpawn?: (child: ChildProcess) => void;
}

const START = fileURLToPath(new URL('./start-from-source.ts', import.meta.url));

/** A process of its own. */
export function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const { promise, resolve, reject } = Promise.withResolvers<CliResult>();
  const child = spawn(process.execPath, [START, ...args], {
    cwd: options.cwd ?? '/',
    env: { ...process.env, NO_COLOR: undefined, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.uid }),
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  child.once('error', reject);
  child.once('close', (status, signal) => resolve({ status, signal, stdout, stderr }));
  options.onSpawn?.(child);
  return promise;
}

/** Inside this process; `composition` stands in for the real one. */
export async function runMain(
  args: readonly string[],
  options: CliOptions & { readonly composition?: Partial<Composition> } = {},
): Promise<CliResult> {
  let stdout = '';
  let stderr = '';
  const env = options.env ?? {};
  const output = createOutput({
    stdout: {
      write: (text) => {
        stdout += text;
      },
    },
    stderr: {
      write: (text) => {
        stderr += text;
      },
    },
    env,
  });
  const status = await main({
    args,
    output,
    environment: { env, cwd: options.cwd ?? '/', homeDir: homedir(), uid: 1000, isTty: false },
    composition: async () => {
      if (options.composition === undefined) throw new Error('This test opens nothing.');
      return options.composition as Composition;
    },
  });
  return { status, signal: null, stdout, stderr };
}
