/**
 * A process that works with one lock and tells its parent, for the tests beside it.
 *
 * hold: takes the lock, prints "held", and keeps it until it is killed or stdin ends.
 * serve: holds the whole pool as a service does, prints "held", and works in one workspace until it is killed.
 * count: increments a number in a file so many times, each time under the lock, reading and writing it
 * in separate steps, and prints the longest wait in milliseconds.
 */
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createPoolFileLocks } from '../../src/locks/file-locks.ts';
import { holdPool } from '../../src/locks/service-locks.ts';

const [command = '', directory = '', argument = ''] = process.argv.slice(2);
const locks = createPoolFileLocks(directory);

function hold(): void {
  const lock = locks.acquireSync('shared', { waitMs: 30_000, purpose: 'hold for a test' });
  if (argument === 'with-child') {
    // Outlives this process, and would keep the lock if it had inherited the descriptor.
    const child = spawn('sleep', ['60'], { stdio: 'ignore', detached: true });
    console.log(child.pid);
  }
  console.log('held');
  process.stdin.on('end', () => lock[Symbol.dispose]());
  process.stdin.resume();
}

function count(): void {
  const file = `${directory}/counter`;
  let longestMs = 0;
  for (let i = 0; i < Number(argument); i += 1) {
    const before = performance.now();
    using _lock = locks.acquireSync('shared', { waitMs: 60_000, purpose: 'count' });
    longestMs = Math.max(longestMs, performance.now() - before);
    writeFileSync(file, String(Number(readFileSync(file, 'utf8')) + 1));
  }
  console.log(longestMs.toFixed(0));
}

async function serve(): Promise<void> {
  const service = await holdPool({ directory, purpose: 'serve', waitMs: 30_000 });
  service.acquireSync('shared', { waitMs: 0, purpose: 'serve for a test' });
  console.log('held');
  process.stdin.resume();
}

if (command === 'hold') hold();
else if (command === 'serve') await serve();
else count();
