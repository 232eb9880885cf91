/**
 * Starting other programs for the demo: the destructive commands, the copying, the comparing.
 *
 * Git is pinned to the copy by GIT_DIR and GIT_WORK_TREE and loses every other GIT_ variable, so
 * that no setting of the person who runs the demo can lead it to a real repository.
 */
import { spawn } from 'node:child_process';
import { GhostsnapError } from '../../core/errors.ts';

export interface ShellResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ShellOptions {
  readonly command: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal: AbortSignal;
}

/** Runs to the end, whatever the status. @throws GhostsnapError MISSING_TOOL, INTERRUPTED */
export async function runShell(options: ShellOptions): Promise<ShellResult> {
  const [file = '', ...args] = options.command;
  const { cwd, env, signal } = options;
  signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<ShellResult>();
  const child = spawn(file, args, { cwd, env: { ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const stopChild = (): boolean => child.kill('SIGTERM');
  signal.addEventListener('abort', stopChild);
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
  child.once('error', (cause) => {
    const message = `${file} could not be started.`;
    reject(new GhostsnapError('MISSING_TOOL', message, { cause, hint: `Install ${file}.` }));
  });
  child.once('close', (code) => {
    resolve({
      status: code ?? 1,
      stdout: Buffer.concat(stdout).toString('utf8'),
      stderr: Buffer.concat(stderr).toString('utf8'),
    });
  });
  try {
    const result = await promise;
    signal.throwIfAborted();
    return result;
  } finally {
    signal.removeEventListener('abort', stopChild);
  }
}

/** Like `runShell`, and a status other than 0 is an error. @throws GhostsnapError IO */
export async function runShellOrThrow(options: ShellOptions): Promise<ShellResult> {
  const result = await runShell(options);
  if (result.status === 0) return result;
  const words = options.command.slice(0, 2).join(' ');
  throw new GhostsnapError('IO', `${words} failed: ${result.stderr.trim().slice(0, 500)}.`);
}

/** The environment for commands in the copy at `root`. */
export function sealedEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  root: string,
): Record<string, string | undefined> {
  const own = Object.entries(env).filter(([name]) => !name.startsWith('GIT_'));
  return {
    ...Object.fromEntries(own),
    LC_ALL: 'C',
    GIT_DIR: `${root}/.git`,
    GIT_WORK_TREE: root,
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_CONFIG_NOSYSTEM: '1',
  };
}
