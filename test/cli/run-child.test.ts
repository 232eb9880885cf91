/** `run` as a person meets it: a process whose child is a real command. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

let folder = '';

// A process that runs one command through runChild() and ends with the status that it got.
const START = fileURLToPath(new URL('./start-run-child.ts', import.meta.url));

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ghostsnap-run-child-'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function run(
  command: readonly string[],
  onLine?: (line: string, kill: (signal: NodeJS.Signals) => void) => void,
): Promise<{ readonly status: number | null; readonly stdout: string }> {
  const { promise, resolve } = Promise.withResolvers<{ status: number | null; stdout: string }>();
  const child = spawn(process.execPath, [START, ...command], {
    env: { ...process.env, TRACEPARENT: '00-abc-def-01' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    onLine?.(text, (signal) => child.kill(signal));
  });
  child.once('close', (status) => resolve({ status, stdout }));
  return await promise;
}

describe('runChild()', () => {
  it('gives the exit status of the command, and passes its output and environment through', async () => {
    const result = await run(['sh', '-c', 'echo "$TRACEPARENT"; exit 3']);
    expect(result).toEqual({ status: 3, stdout: '00-abc-def-01\n' });
  });

  it('gives 128 + N when signal N ended the command', async () => {
    expect((await run(['sh', '-c', 'kill -KILL $$'])).status).toBe(128 + 9);
  });

  it('gives 127 for a command that is not there and 126 for one that cannot be executed', async () => {
    const file = join(folder, 'not-executable');
    writeFileSync(file, 'text');
    expect((await run(['no-such-command-anywhere'])).status).toBe(127);
    expect((await run([file])).status).toBe(126);
  });

  // The command speaks as soon as it lives, often before spawn() has returned: not even then is a
  // signal lost.
  it.each(['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGUSR1'] as const)(
    'passes %s on to the command and waits for it',
    async (signal) => {
      const script = `trap 'echo got; exit 5' ${signal.slice(3)}; echo ready; while :; do sleep 0.05; done`;
      const result = await run(['sh', '-c', script], (line, kill) => {
        if (line.includes('ready')) kill(signal);
      });
      expect(result).toEqual({ status: 5, stdout: 'ready\ngot\n' });
    },
  );
});
