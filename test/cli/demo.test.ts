/** The demo on a small clone: it proves itself, touches nothing else, and leaves nothing behind. */
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { assertSameDigest, digestTree, type TreeDigest } from '../checker/tree-digest.ts';
import { type CliOptions, type CliResult, runCli } from './run-cli.ts';

const NOBODY = 65_534;

let base = '';
let project = '';
let temporary = '';
let before: TreeDigest;

beforeEach(() => {
  base = mkdtempSync(join(realpathSync(tmpdir()), 'ghostsnap-demo-test-'));
  project = join(base, 'project');
  temporary = join(base, 'tmp');
  mkdirSync(temporary);
  mkdirSync(join(project, 'src', 'deep'), { recursive: true });
  for (const name of ['package.json', 'src/a.ts', 'src/deep/b.ts', 'README.md']) {
    writeFileSync(join(project, name), `${name}\n`.repeat(50));
  }
  const identity = ['-c', 'user.name=Test', '-c', 'user.email=test@example.org'];
  for (const words of [
    ['init', '-q'],
    ['add', '-A'],
    [...identity, 'commit', '-qm', 'first'],
  ]) {
    execFileSync('git', ['-C', project, ...words]);
  }
  writeFileSync(join(project, 'README.md'), 'not committed\n');
  before = digestTree(project);
});

afterEach(() => {
  rmSync(base, { recursive: true, force: true });
});

function demo(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return runCli(['demo', ...args], { ...options, env: { TMPDIR: temporary, ...options.env } });
}

function assertNothingLeft(): void {
  expect(readdirSync(temporary)).toEqual([]);
  expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(temporary);
  expect(execFileSync('losetup', ['-a'], { encoding: 'utf8' })).not.toContain(temporary);
  assertSameDigest(before, digestTree(project), 'the project that was shown');
}

describe('demo', () => {
  it('destroys and brings back on both backends, and leaves nothing behind', async () => {
    const { status, stdout, stderr } = await demo([project]);
    expect(status, stdout + stderr).toBe(0);
    expect(stdout).toContain(`a copy of ${project}, a plain directory of the btrfs\n`);
    expect(stdout).toMatch(/\n18 passed, 0 failed\n$/);
    for (const title of ['rm -rf src', 'git clean -fdx', 'git reset --hard', 'chmod -R 000 src']) {
      expect(stdout.split(`$ ${title}\n`)).toHaveLength(3);
    }
    assertNothingLeft();
  });

  it('leaves nothing behind when it is interrupted', async () => {
    const { status, stderr } = await demo([project, '--backend', 'btrfs'], {
      onSpawn: (child) => {
        child.stdout?.once('data', () => {
          child.stdout?.on('data', (text: string) => {
            if (text.includes('baseline snapshot')) child.kill('SIGINT');
          });
        });
      },
    });
    expect(stderr).toContain('Stopping at the next safe point');
    expect(stderr).toContain('[INTERRUPTED]');
    expect(status).toBe(75);
    assertNothingLeft();
  });

  it('shows less, and says so, for a project that is no git clone of its own', async () => {
    // A worktree's .git is a file that leads to the real repository: no git command may follow it.
    const worktree = join(base, 'worktree');
    cpSync(join(project, 'src'), join(worktree, 'src'), { recursive: true });
    writeFileSync(join(worktree, 'package.json'), '{}\n');
    writeFileSync(join(worktree, '.git'), `gitdir: ${project}/.git\n`);
    const { status, stdout } = await demo([worktree, '--backend', 'store']);
    expect(status, stdout).toBe(0);
    expect(stdout).toContain('left out: git clean -fdx');
    expect(stdout).toMatch(/\n6 passed, 0 failed\n$/);
    assertNothingLeft();
  });

  it('works for a plain user, and says what it leaves out', async () => {
    execFileSync('chown', ['-R', `${NOBODY}:${NOBODY}`, base]);
    before = digestTree(project);
    const { status, stdout } = await demo([project], { uid: NOBODY, env: { HOME: base } });
    expect(status, stdout).toBe(0);
    expect(stdout).toContain('btrfs: left out, it needs root for its image');
    expect(stdout).toContain('$ chmod -R 000 src\n');
    expect(stdout).toMatch(/\n8 passed, 0 failed\n$/);
    assertNothingLeft();
  });

  it('compares by diff and find where rsync is missing', async () => {
    // A PATH with the few commands that the demo needs and without rsync.
    const bin = join(base, 'bin');
    mkdirSync(bin);
    for (const tool of ['cp', 'sh', 'rm', 'mkdir', 'find', 'truncate', 'chmod', 'diff', 'git']) {
      const real = execFileSync('sh', ['-c', `command -v ${tool}`], { encoding: 'utf8' }).trim();
      writeFileSync(join(bin, tool), `#!/bin/sh\nexec ${real} "$@"\n`, { mode: 0o755 });
    }
    const env = { PATH: bin };
    const { status, stdout } = await demo([project, '--backend', 'store'], { env });
    expect(status, stdout).toBe(0);
    expect(stdout).toContain('trees compared by diff -r and find');
    expect(stdout).toMatch(/\n8 passed, 0 failed\n$/);
    assertNothingLeft();
  });
});
