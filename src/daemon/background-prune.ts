/**
 * Retention in the background: a process of its own, after the snapshot is acknowledged.
 *
 * A tool call never waits for a deletion, and a short command does not live long enough to do it
 * itself. The child is detached, says nothing, waits for no lock longer than usual, and a failure is
 * seen by the next `prune` or `status` of a person: nothing is lost by pruning later.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Environment } from './home.ts';

/** The program's own entry, from `src/daemon` and from `dist/daemon` alike. */
const PROGRAM = fileURLToPath(new URL('../../bin/ghostsnap.js', import.meta.url));

export function pruneInBackground(environment: Environment, workspacePath: string): void {
  const child = spawn(process.execPath, [PROGRAM, 'prune', '-w', workspacePath], {
    detached: true,
    stdio: 'ignore',
    cwd: '/',
    env: { ...environment.env, GHOSTSNAP_BACKGROUND: '1' },
  });
  // Without a listener a failed start would end the caller, whose snapshot is taken.
  child.on('error', (error) => {
    process.emitWarning(`ghostsnap could not prune in the background: ${error.message}`);
  });
  child.unref();
}
