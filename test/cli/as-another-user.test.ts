/** What a plain user meets where root, or nobody whom the system knows, has a part in it. */
import {
  chmodSync,
  chownSync,
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
import { type CliResult, runCli } from './run-cli.ts';

/** No passwd entry has it. */
const UID = 54_321;

let base: string;
let project: string;

beforeEach(() => {
  base = mkdtempSync(join(realpathSync(tmpdir()), 'ghostsnap-user-'));
  project = join(base, 'project');
  mkdirSync(project);
  for (const path of [base, project]) chownSync(path, UID, UID);
});

afterEach(() => {
  rmSync(base, { recursive: true, force: true });
});

function asUser(
  args: readonly string[],
  env: Record<string, string | undefined> = {},
): Promise<CliResult> {
  const home = { HOME: undefined, GHOSTSNAP_HOME: join(base, 'home') };
  return runCli(args, { cwd: project, uid: UID, env: { ...home, ...env } });
}

async function ok(...args: string[]): Promise<string> {
  const { status, stdout, stderr } = await asUser(args);
  expect(status, stderr).toBe(0);
  return stdout.trim();
}

function write(name: string, content: string): void {
  writeFileSync(join(project, name), content);
  chownSync(join(project, name), UID, UID);
}

const read = (name: string): string => readFileSync(join(project, name), 'utf8');

describe('a user whom passwd does not know', () => {
  it('needs no home directory where GHOSTSNAP_HOME says everything', async () => {
    write('a', '1');
    await ok('init');
    expect(await ok('snap')).toMatch(/^ghost_/);
  });

  it('is told what to set where nothing says where home is', async () => {
    for (const HOME of [undefined, '', 'relative']) {
      const { status, stderr } = await asUser(['init'], { GHOSTSNAP_HOME: undefined, HOME });
      expect(status).toBe(64);
      expect(stderr).toContain('[BAD_CONFIG]');
      expect(stderr).toContain('GHOSTSNAP_HOME');
    }
    expect(readdirSync(project)).toEqual([]);
  });

  it('is not let go on with a GHOSTSNAP_HOME that moves with the current directory', async () => {
    const { status, stderr } = await asUser(['init'], { GHOSTSNAP_HOME: './state' });
    expect(status).toBe(64);
    expect(stderr).toContain('./state');
  });
});

describe('what root left in the workspace of a plain user', () => {
  it('does not stop undo and redo: its owner cannot be given back, everything else can', async () => {
    write('a', '1');
    await ok('init');
    writeFileSync(join(project, 'of-root'), 'container\n');
    await ok('snap', '-l', 'second');
    write('a', '2');
    await ok('rollback', 'init');
    await ok('undo');
    expect([read('a'), read('of-root')]).toEqual(['2', 'container\n']);
    await ok('undo');
    expect([read('a'), read('of-root')]).toEqual(['1', 'container\n']);
    await ok('undo');
    expect(readdirSync(project)).toEqual(['a']);
    await ok('redo');
    await ok('redo');
    expect([read('a'), read('of-root')]).toEqual(['2', 'container\n']);
  });
});

describe('a rollback that cannot turn a path', () => {
  it('is taken back whole, and says so, why, and what still goes', async () => {
    write('a', '1');
    mkdirSync(join(project, 'dist'));
    writeFileSync(join(project, 'dist', 'out'), 'one');
    await ok('init');
    writeFileSync(join(project, 'dist', 'out'), 'two');
    write('a', '2');
    const { status, stderr } = await asUser(['rollback', 'init']);
    expect(status).toBe(74);
    expect(stderr).toContain('dist/out (EACCES)');
    expect(stderr).toContain('The rollback was taken back, so the workspace is as it was');
    expect(read('a')).toBe('2');
    await ok('restore', 'init', 'a');
    expect(read('a')).toBe('1');
  });

  it('names a file where a directory was asked for', async () => {
    write('a', '1');
    await ok('init');
    for (const to of ['a', 'a/below']) {
      const { status, stderr } = await asUser(['restore', '@', 'a', '--to', to]);
      expect([status, stderr]).toEqual([75, expect.stringContaining('no directory')]);
    }
  });
});

describe('an init whose first snapshot failed', () => {
  it('says that nothing is protected, and takes the snapshot when it is run again', async () => {
    writeFileSync(join(project, 'closed'), 'secret');
    chmodSync(join(project, 'closed'), 0o600);
    const failed = await asUser(['init']);
    expect(failed.status).toBe(74);
    expect(failed.stderr).toContain('without a snapshot');
    const status = await asUser(['status']);
    expect(status.stderr).toContain('no state to go back to');
    expect((await asUser(['init'])).status).toBe(74);
    rmSync(join(project, 'closed'));
    write('a', '1');
    expect(await ok('init')).toContain('Already a workspace');
    write('a', '2');
    await ok('rollback', 'init');
    expect(read('a')).toBe('1');
  });
});
