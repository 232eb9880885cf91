/**
 * Takes root's things down for a process that has stopped being root.
 *
 * A test that drops its privileges for good can't unmount its image afterwards. So a shell is started
 * while it is still root; it waits for the end of its input, which comes even when the test is killed,
 * and cleans up then.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

export interface Janitor extends AsyncDisposable {
  readonly pid: number;
}

/** @param script for `sh -c`, run when the janitor is disposed of or this process ends */
export function startJanitor(script: string): Janitor {
  const child: ChildProcess = spawn('sh', ['-c', `cat >/dev/null; ${script}`], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  return {
    pid: child.pid ?? 0,
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'exit');
      child.stdin?.end();
      const [code] = (await ended) as [number | null];
      if (code !== 0) throw new Error(`Taking down ended with ${code}: ${script}`);
    },
  };
}

/** From root to a user who owns nothing, for this whole process and for good. */
export function becomePlainUser(uid: number): void {
  process.setgroups?.([]);
  process.setgid?.(uid);
  process.setuid?.(uid);
}
