import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';

const PROGRAM = join(import.meta.dirname, '..', '..', 'bin', 'ghostsnap.js');

let base = '';
let disk: ChildProcess;
const others: ChildProcess[] = [];

beforeEach(async () => {
  base = mkdtempSync(join(tmpdir(), 'ghostsnap-hung-'));
  mkdirSync(join(base, 'hung'));
  mkdirSync(join(base, 'tree'));
  disk = spawn('python3', [join(import.meta.dirname, 'hanging-disk.py'), join(base, 'hung')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  expect(await lineOf(disk)).toBe('ready');
});

afterEach(async () => {
  // Ending the server frees whoever waits for it.
  await ended(disk);
  for (const other of others.splice(0)) await ended(other);
  execFileSync('umount', ['--lazy', join(base, 'hung')]);
  rmSync(base, { recursive: true });
});

async function lineOf(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error('no stdout');
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
  return line;
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

test('who holds a tree is found beside a process on a filesystem that does not answer', async () => {
  const fd = openSync(join(base, 'hung', 'file'), 'r');
  others.push(spawn('sleep', ['infinity'], { cwd: join(base, 'hung'), stdio: [fd, 'ignore'] }));
  closeSync(fd);
  const tree = join(base, 'tree');
  const standing = spawn('sleep', ['infinity'], { cwd: tree, stdio: 'ignore' });
  others.push(standing);
  await Promise.all(others.map((child) => once(child, 'spawn')));
  disk.stdin?.write('hang\n');
  expect(await lineOf(disk)).toBe('hanging');

  // No other process has anything of a device of this number.
  const nobody = await holdersOf(tree, -1);
  expect(nobody.holder).toBeNull();
  const somebody = await holdersOf(tree, statSync(tree).dev);
  expect(somebody.holder).toMatch(/^process \d+ \(.+\) has /);
});

test('doctor names the filesystem that does not answer, and goes on', async () => {
  disk.stdin?.write('hang\n');
  expect(await lineOf(disk)).toBe('hanging');
  const child = spawn(process.execPath, [PROGRAM, 'doctor', '--json'], {
    env: { ...process.env, GHOSTSNAP_HOME: join(base, 'home') },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  others.push(child);
  const { filesystems } = JSON.parse(await text(child.stdout)) as {
    filesystems: readonly { mountPoint: string; backend: string | null; reason: string }[];
  };
  expect(filesystems.length).toBeGreaterThan(1);
  expect(filesystems.find(({ mountPoint }) => mountPoint === join(base, 'hung'))).toMatchObject({
    backend: null,
    reason: expect.stringContaining('not answered'),
  });
});

test('a workspace that is gone comes back beside a filesystem that does not answer', async () => {
  const tree = join(base, 'tree');
  writeFileSync(join(tree, 'file'), 'first');
  expect(await run(['init', '--backend', 'store', tree])).toBe(0);
  rmSync(tree, { recursive: true });
  disk.stdin?.write('hang\n');
  expect(await lineOf(disk)).toBe('hanging');
  expect(await run(['rollback', '@', '-w', tree])).toBe(0);
  expect(readFileSync(join(tree, 'file'), 'utf8')).toBe('first');
});

async function run(words: readonly string[]): Promise<number | null> {
  const child = spawn(process.execPath, [PROGRAM, ...words], {
    env: { ...process.env, GHOSTSNAP_HOME: join(base, 'home') },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  others.push(child);
  const [status] = (await once(child, 'exit')) as [number | null];
  return status;
}

async function holdersOf(path: string, dev: number): Promise<{ holder: string | null }> {
  const child = spawn(
    process.execPath,
    [join(import.meta.dirname, 'holders-child.ts'), path, String(dev)],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  others.push(child);
  return JSON.parse(await text(child.stdout)) as { holder: string | null };
}
