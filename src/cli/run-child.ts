/**
 * Runs a command as if the person had typed it: same terminal, same signals, same exit status.
 *
 * The child shares our process group, so the terminal's own Ctrl-C and Ctrl-\ reach it without
 * help; they are only kept from ending us. Every other signal is sent to us alone and is passed on.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { GhostsnapError } from '../core/errors.ts';

/** Signals that a terminal sends to the whole process group. */
const TERMINAL_SIGNALS: ReadonlySet<NodeJS.Signals> = new Set(['SIGINT', 'SIGQUIT']);
const PASSED_SIGNALS: readonly NodeJS.Signals[] = [
  'SIGINT',
  'SIGQUIT',
  'SIGTERM',
  'SIGHUP',
  'SIGUSR1',
  'SIGUSR2',
  'SIGCONT',
];

/** Exit statuses of a shell for a command that could not be started. */
const NOT_EXECUTABLE = 126;
const NOT_FOUND = 127;

/**
 * Resolves when the command has ended.
 * @returns its exit status, 128 + N when signal N ended it, 126 or 127 when it could not be started
 * @throws GhostsnapError IO when it could not be started for another reason
 */
export async function runChild(options: {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Default: where this process is. */
  readonly cwd?: string;
  /** 'error': what it prints goes to standard error, and standard output stays ours. Default 'own'. */
  readonly output?: 'own' | 'error';
}): Promise<number> {
  const [file = '', ...args] = options.command;
  using passed = passSignals(() => {
    return spawn(file, args, {
      stdio: ['inherit', options.output === 'error' ? 2 : 'inherit', 'inherit'],
      env: { ...options.env },
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
  });
  return await exitStatusOf(passed.child, file);
}

/**
 * Starts a child and passes signals on to it while it lives. Listening begins before the child is made:
 * one that arrived between the two would end us and leave the child alone, running.
 */
export function passSignals<Child extends ChildProcess>(
  start: () => Child,
): Disposable & { readonly child: Child } {
  const hasTerminal = [process.stdin, process.stdout, process.stderr].some((one) => one.isTTY);
  const passOn = (signal: NodeJS.Signals): void => {
    // Listeners run between two turns of the event loop, so the child is there by then.
    if (!hasTerminal || !TERMINAL_SIGNALS.has(signal)) child.kill(signal);
  };
  for (const signal of PASSED_SIGNALS) process.on(signal, passOn);
  const stop = (): void => {
    for (const signal of PASSED_SIGNALS) process.off(signal, passOn);
  };
  let child: Child;
  try {
    child = start();
  } catch (error) {
    stop();
    throw error;
  }
  return { child, [Symbol.dispose]: stop };
}

/**
 * Resolves when `child`, just spawned from `file`, has ended, as `runChild` does.
 * @throws GhostsnapError IO
 */
export function exitStatusOf(child: ChildProcess, file: string): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  child.once('error', (error: NodeJS.ErrnoException) => {
    const status = startFailure(error);
    if (status !== null) resolve(status);
    else reject(new GhostsnapError('IO', `${file} could not be started.`, { cause: error }));
  });
  child.once('exit', (code, signal) => {
    resolve(signal === null ? (code ?? 0) : 128 + constants.signals[signal]);
  });
  return promise;
}

/** Why `runChild` gave 126 or 127, for people; null for statuses of the command's own. */
export function startFailure(error: NodeJS.ErrnoException): number | null {
  if (error.code === 'ENOENT') return NOT_FOUND;
  return error.code === 'EACCES' || error.code === 'ENOEXEC' ? NOT_EXECUTABLE : null;
}
