/** Bisect as a person and a script use it: the call is named, and the live tree stays as it is. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Workspace } from '../../src/index.ts';
import { type CliResult, type Protected, protect } from '../never/protected-workspace.ts';

const CALLS = 9;
/** The call, counted from 1, that breaks it. */
const BROKEN_BY = 6;

describe.each(['store', 'btrfs'] as const)('bisect in a %s workspace', (kind) => {
  let one: Protected;
  let calls: readonly string[];

  beforeAll(async () => {
    one = await protect({ kind, before: 'mkdir sub; echo works > sub/state; chmod 700 sub' });
    await using workspace = await one.open();
    calls = await tellStory(one, workspace);
  });

  afterAll(async () => {
    await one[Symbol.asyncDispose]();
  });

  afterEach(() => {
    one.cli(['bisect', 'reset']);
  });

  const cli = (...args: readonly string[]): CliResult => one.cli(['bisect', ...args]);
  const json = <T>(...args: readonly string[]): T => {
    const { stdout, stderr, status } = cli(...args);
    expect(status, stderr).toBe(0);
    return JSON.parse(stdout) as T;
  };
  const start = ['start', '--good', 'begin', '--bad', 'end'];

  it('names the tool call that broke it, its session, its prompt and its change', () => {
    const before = one.digest().lines;
    const { status, stdout, stderr } = cli(...start, '--', 'grep', '-q', 'works', 'sub/state');
    expect(status, stderr).toBe(0);
    expect(stdout).toContain(`This tool call broke it:\n  ${calls[BROKEN_BY - 1]}  Bash`);
    expect(stdout).toContain('session alpha  test\n    > please do 6');
    expect(stdout).toContain('M sub/state');
    expect(stderr.match(/Trying/g)).toHaveLength(3);
    expect(one.digest().lines).toEqual(before);
  });

  it('lets a person judge, one command at a time, in a tree that may be changed', () => {
    const before = one.digest().lines;
    let at = json<Step>(...start, '--json');
    while (at.state === 'trying') {
      const state = readFileSync(join(at.path, 'sub/state'), 'utf8');
      writeFileSync(join(at.path, 'sub/state'), 'spoilt');
      writeFileSync(join(at.path, 'left over'), '');
      at = json<Step>(state.startsWith('works') ? 'good' : 'bad', '--json');
      if (at.state === 'trying') expect(existsSync(join(at.path, 'left over'))).toBe(false);
    }
    expect(at.calls.map(({ call }) => call.call)).toEqual([calls[BROKEN_BY - 1]]);
    expect(one.digest().lines).toEqual(before);
  });

  it('is gone on with after the run was killed, and cleans up what the killed one left', async () => {
    const left = await killedWhileTrying(one);
    const stands = json<Trying>('status', '--json');
    expect(stands.next).toBe(left.state);
    const found = json<Found>('run', '--json', 'grep', '-q', 'works', 'sub/state');
    expect(found.calls.map(({ call }) => call.call)).toEqual([calls[BROKEN_BY - 1]]);
    expect(existsSync(left.path)).toBe(false);
  });

  // What follows has nothing to do with how a snapshot is kept.
  if (kind === 'btrfs') return;

  it('says a range where states cannot be judged', () => {
    const check = 'case $(cat sub/number) in 4|5|6) exit 125;; esac; grep -q works sub/state';
    const found = json<Found>(...start, '--json', '--', 'sh', '-c', check);
    expect(found.calls.map(({ call }) => call.call)).toEqual(calls.slice(3, 7));
    expect(found.skipped).toHaveLength(3);
  });

  it('leaves no tree behind when the search is over, and none after a reset', () => {
    const { path } = json<Trying>(...start, '--json');
    expect(existsSync(path)).toBe(true);
    cli('run', 'true');
    expect(readdirSync(dirname(path))).not.toContain('scratch');
    json('reset', '--json');
    json(...start, '--json');
    json('reset', '--json');
    expect(readdirSync(dirname(path))).not.toContain('scratch');
  });

  it('turns the workspace itself only when asked, and brings it back', () => {
    const before = one.digest().lines;
    const { path } = json<Trying>(...start, '--in-place', '--json');
    expect(path).toBe(one.path);
    expect(readFileSync(join(path, 'sub/number'), 'utf8')).toBe('4\n');
    json('bad', '--json');
    const { rolledBack } = json<{ rolledBack: object }>('reset', '--json');
    expect(rolledBack).toMatchObject({ kind: 'rollback' });
    expect(one.digest().lines).toEqual(before);
  });

  it('survives a recovery and goes with its workspace', async () => {
    const { path } = json<Trying>(...start, '--json');
    expect(one.cli(['recover']).status).toBe(0);
    expect(readFileSync(join(path, 'sub/number'), 'utf8')).toBe('4\n');
    await using other = await protect({ kind, before: 'echo a > a' });
    other.cli(['snap', '-l', 'begin']);
    other.cli(['snap']);
    const { stdout } = other.cli(['bisect', 'start', '--good', 'begin', '--json']);
    const scratch = (JSON.parse(stdout) as Trying).path;
    expect(existsSync(scratch)).toBe(true);
    expect(other.cli(['destroy', '--yes']).status).toBe(0);
    expect(existsSync(dirname(scratch))).toBe(false);
    const home = other.environment.env.GHOSTSNAP_HOME!;
    expect(readdirSync(join(home, 'bisect')).filter((name) => name.endsWith('.json'))).toEqual([]);
  });

  it.each([
    [['good'], 64, 'No bisect of this workspace is under way.'],
    [['start', '--good', '@'], 0, ''],
    [['start', '--good', '@', '--bad', 'begin'], 64, 'is not older than'],
  ])('%j ends with %i', (args, status, message) => {
    const result = cli(...args);
    expect([result.status, result.stderr.includes(message)]).toEqual([status, true]);
  });

  it('refuses a second start, and a verdict on what is not ready', () => {
    json(...start, '--json');
    expect(cli(...start)).toMatchObject({ status: 75 });
    cli('run', 'true');
    expect(cli('good')).toMatchObject({ status: 64 });
  });

  it('does not take a command that cannot be run for a bad state', () => {
    const { status, stderr } = cli(...start, '--', 'no-such-command');
    expect(status).toBe(64);
    expect(stderr).toContain('on a good state as well');
    const first = json<Found>('run', '--json', 'sh', '-c', 'grep -q works sub/state || exit 127');
    expect(first.calls.map(({ call }) => call.call)).toEqual([calls[BROKEN_BY - 1]]);
  });

  it('stops when the command says so, and is gone on with', () => {
    const { status, stderr } = cli(...start, '--', 'sh', '-c', 'exit 200');
    expect([status, stderr.includes('ended with 200')]).toEqual([75, true]);
    expect(json<Trying>('status', '--json').untried).toBeGreaterThan(0);
  });

  it('keeps its states from retention, until it ends or nobody is at it for a week', () => {
    const home = one.environment.env.GHOSTSNAP_HOME!;
    const nothing = { keepWithinMs: 0, hourlyForMs: 0, dailyForMs: 0, weeklyForMs: 0 };
    writeFileSync(
      join(home, 'config.json'),
      JSON.stringify({ retention: { keepLast: 1, ...nothing } }),
    );
    json(...start, '--json');
    const { good } = json<{ good: string }>('status', '--json');
    const rule = (): string | undefined => ruleOf(one, good);
    expect(rule()).toBe('needed by the bisect under way');
    expect(one.cli(['prune']).status).toBe(0);
    const file = join(home, 'bisect', recordIn(join(home, 'bisect')));
    const record = JSON.parse(readFileSync(file, 'utf8')) as object;
    const weekMs = 7 * 86_400_000;
    writeFileSync(file, JSON.stringify({ ...record, steppedAtMs: Date.now() - weekMs - 1 }));
    expect(rule()).toBe('older than every rule keeps');
    // A step, and it is somebody's again.
    const found = json<Found>('run', '--json', 'grep', '-q', 'works', 'sub/state');
    expect(found.calls.map(({ call }) => call.call)).toEqual([calls[BROKEN_BY - 1]]);
    expect(rule()).toBe('needed by the bisect under way');
    json('reset', '--json');
    expect(rule()).toBe('older than every rule keeps');
  });
});

/** What retention says of a state. */
function ruleOf(one: Protected, state: string): string | undefined {
  const { stdout } = one.cli(['prune', '--dry-run', '--json']);
  const { decisions } = JSON.parse(stdout) as {
    readonly decisions: readonly { readonly id: string; readonly rule: string }[];
  };
  return decisions.find(({ id }) => id === state)?.rule;
}

function recordIn(folder: string): string {
  return readdirSync(folder).find((name) => name.endsWith('.json')) ?? '';
}

interface Trying {
  readonly state: 'trying';
  readonly path: string;
  readonly next: string;
  readonly untried: number;
}

interface Found {
  readonly state: 'found';
  readonly calls: readonly { readonly call: { readonly call: string } }[];
  readonly skipped: readonly string[];
}

type Step = Trying | Found;

/** Calls of an agent, each with a prompt; one of them breaks what worked. */
async function tellStory(one: Protected, workspace: Workspace): Promise<readonly string[]> {
  await workspace.snapshot({ label: 'begin' });
  const calls: string[] = [];
  for (let n = 1; n <= CALLS; n += 1) {
    const whose = { session: 'alpha', harness: 'test' };
    await workspace.submitPrompt({ ...whose, text: `please do ${n}` });
    const begun = await workspace.beginCall({ ...whose, tool: 'Bash', key: `k${n}` });
    calls.push(begun.call);
    one.sh(`echo ${n} > sub/number`);
    if (n === BROKEN_BY) one.sh('echo broken > sub/state');
    await workspace.endCall({ call: begun.call, outcome: 'ok' });
  }
  await workspace.snapshot({ label: 'end' });
  return calls;
}

const START = join(import.meta.dirname, 'start-from-source.ts');

/** Kills a run with its command in it; gives the state that was tried and where. */
async function killedWhileTrying(
  one: Protected,
): Promise<{ readonly state: string; readonly path: string }> {
  const script = 'echo "$GHOSTSNAP_BISECT $PWD" >&2; touch left-over; exec sleep 1000';
  const args = ['bisect', 'start', '--good', 'begin', '--', 'sh', '-c', script];
  const child = spawn(process.execPath, [START, ...args], {
    ...{ cwd: one.path, env: { ...process.env, ...one.environment.env }, detached: true },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let text = '';
  for await (const part of child.stderr.setEncoding('utf8')) {
    text += part;
    if (/^ghost_\w+ \/.*\n/m.test(text)) break;
  }
  // The group: the command would outlive the program.
  process.kill(-child.pid!, 'SIGKILL');
  await once(child, 'close');
  const [, state = '', path = ''] = /^(ghost_\w+) (\/.*)\n/m.exec(text) ?? [];
  return { state, path };
}
