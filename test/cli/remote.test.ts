/** Commands that a service carries out: the same words and the same JSON as on its host. */
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RemoteWorld } from './remote-world.ts';
import type { CliResult } from './run-cli.ts';
import { shapeOf } from './shape-of.ts';

let world: RemoteWorld;

beforeAll(async () => {
  world = await RemoteWorld.make();
});
afterAll(async () => {
  await world?.[Symbol.asyncDispose]();
});

const write = (name: string, content: string): void => {
  writeFileSync(join(world.path, name), content);
};
const read = (name: string): string => readFileSync(join(world.path, name), 'utf8');
const json = (text: string): Record<string, unknown> => JSON.parse(text);

/** A tool call of an agent, as a platform would report it. @returns its id */
async function toolCall(key: string, run: () => void): Promise<string> {
  const agent = world.client('agent');
  const about = { workspace: world.workspace, session: 's', harness: 'test' };
  const input = { command: `edit ${key}` };
  const { call } = await agent.beginCall({ ...about, tool: 'Bash', key, input });
  run();
  await agent.endCall({ workspace: world.workspace, call, outcome: 'ok' });
  return call;
}

/** Questions that are asked at the same time. */
const AT_ONCE = 4;

/** What differs from one moment to the next. */
function withoutTimes(text: string): string {
  return text
    .replaceAll(/"(durationMs|poolFreeBytes)":[0-9.]+/g, '"$1":0')
    .replaceAll(/\b(\d+ \w+ ago|now)\b/g, 'AGE')
    .replaceAll(/AGE\s+/g, 'AGE ');
}

describe('what is looked at', () => {
  const QUESTIONS: readonly (readonly string[])[] = [
    ['log'],
    ['log', '-n', '2'],
    ['log', '--json'],
    ['log', '--flat'],
    ['log', '--operations', '--changes', '--json', '-n', '4'],
    ['log', '--operations'],
    ['show', '@', '--changes', '--json'],
    ['show', 'one'],
    ['label', 'one'],
    ['diff', 'one', '--json'],
    ['diff', 'one', '@', '--stat'],
    ['diff', 'one', '--name-status'],
    ['diff', 'one'],
    ['diff', 'live', 'one'],
    ['diff', 'one', '@', '--', 'src'],
    ['diff', 'one', '--json', '--no-renames', '--times', '--', 'src'],
    ['diff', 'live', 'one', '--stat'],
    ['status', '--json'],
    ['status'],
    ['rollback', 'one', '--dry-run', '--json'],
    ['rollback', 'one', '--dry-run'],
    ['restore', 'one', 'src', '--dry-run', '--json'],
    ['undo', '--dry-run', '--json'],
    ['undo-call', '@', '--dry-run', '--json'],
    ['undo-call', '@', '--dry-run'],
    ['prune', '--dry-run', '--json'],
    ['prune', '--dry-run'],
    ['redo', '--json'],
    ['show', 'no such snapshot', '--json'],
    ['show', 'no such snapshot'],
    ['rollback', 'one', 'two', '--json'],
    ['log', '-n', 'none', '--json'],
    ['undo-call', 'nothing', '--json'],
    ['restore', 'one', '../out', '--json'],
    ['restore', 'one', 'not/there', '--json'],
  ];

  it('is told by a service as by its host: words, JSON, errors and status', async () => {
    await world.there(
      'snap',
      '-l',
      'one',
      '--tool',
      'Bash',
      '--session',
      's',
      '--call',
      'c',
      '--pin',
    );
    const text = 'change it';
    const prompt = { session: 's', harness: 'test', text };
    await world.client('agent').submitPrompt({ workspace: world.workspace, ...prompt });
    await toolCall('first', () => write('src/main.ts', 'one\ntwo\nthree\n'));
    renameSync(join(world.path, 'src', 'main.ts'), join(world.path, 'src', 'renamed.ts'));
    writeFileSync(Buffer.concat([Buffer.from(`${world.path}/caf`), Buffer.from([0xe9])]), 'odd\n');
    await world.there('snap');
    await world.there('rollback', 'one');
    await world.there('undo', '--yes');
    await toolCall('second', () => write('other', 'more\n'));
    const asked = QUESTIONS.map((args) => ['--server', world.url, '-w', 'project', ...args]);
    const there: CliResult[] = [];
    while (there.length < asked.length) {
      const some = asked.slice(there.length, there.length + AT_ONCE);
      there.push(...(await Promise.all(some.map((args) => world.remote(args)))));
    }
    await world.stop();
    try {
      for (const [index, args] of QUESTIONS.entries()) {
        const here = await world.here(args);
        const remote = there[index];
        const shown = args.join(' ');
        expect(withoutTimes(remote?.stdout ?? ''), shown).toBe(withoutTimes(here.stdout));
        expect(withoutTimes(remote?.stderr ?? ''), shown).toBe(withoutTimes(here.stderr));
        expect(remote?.status, shown).toBe(here.status);
      }
    } finally {
      await world.start();
    }
  });

  it('is names and a note for whoever may only look', async () => {
    const args = ['diff', 'one', '--server', world.url, '-w', 'project'];
    const { stdout, stderr, status } = await world.remote(args, 'reader');
    const names = await world.there('diff', 'one', '--name-status');
    expect(status).toBe(0);
    expect(stdout).toBe(names);
    expect(stderr).toContain('You get no contents there');
    expect((await world.remote(args, 'agent')).stdout).toContain('+three');
  });

  it('is every workspace for a status that names none, and is found by name, id and beginning', async () => {
    const listed = await world.remote(['status', '--server', world.url]);
    expect(listed.stdout).toBe(`${world.workspace}  ${'project'.padEnd(20)}  ${world.path}\n`);
    const all = await world.remote(['status', '--server', world.url, '--json']);
    expect(JSON.parse(all.stdout)).toMatchObject([{ workspace: world.workspace, name: 'project' }]);
    for (const named of ['project', world.workspace, world.workspace.slice(0, 12)]) {
      const env = { GHOSTSNAP_SERVER: world.url };
      const { stdout } = await world.remote(['-w', named, 'status', '--json'], 'reader', { env });
      expect(json(stdout).workspace).toBe(world.workspace);
    }
  });
});

function withoutParent(key: string, value: unknown): unknown {
  return key === 'parent' ? '' : value;
}

describe('what is changed', () => {
  /** Each does what it says, and prints what the same command prints on the host. */
  async function shapesOf(
    run: (...args: readonly string[]) => Promise<string>,
    call: string,
  ): Promise<object> {
    const shapes: Record<string, unknown> = {};
    const did = async (...args: readonly string[]): Promise<Record<string, unknown>> => {
      const value = json(await run(...args, '--json'));
      // Whether there is a parent is the history's affair.
      shapes[args[0] ?? ''] = shapeOf(JSON.parse(JSON.stringify(value, withoutParent)));
      return value;
    };
    write('file', 'first');
    const { id } = await did('snap', '-l', 'before');
    await did('pin', 'before');
    await did('unpin', 'before');
    await did('label', 'before', 'again');
    write('file', 'second');
    expect(await did('rollback', 'again')).toMatchObject({ kind: 'rollback', target: id });
    expect(read('file')).toBe('first');
    await did('undo');
    expect(read('file')).toBe('second');
    await did('redo');
    expect(read('file')).toBe('first');
    write('file', 'third');
    await did('restore', 'again', 'file');
    expect(read('file')).toBe('first');
    expect(await did('undo-call', call)).toMatchObject({ call, conflicts: [] });
    await run('snap', '-l', 'doomed');
    expect(await did('prune', 'doomed')).toMatchObject({ deleted: [expect.any(String)] });
    await run('label', 'again', '--remove');
    return shapes;
  }

  it('is changed as on the host, with the same JSON', async () => {
    const calls = [
      await toolCall('undone there', () => write('there', 'by a call')),
      await toolCall('undone here', () => write('here', 'by a call')),
    ] as const;
    const there = await shapesOf((...args) => world.there(...args), calls[0]);
    expect([existsSync(join(world.path, 'there')), existsSync(join(world.path, 'here'))]).toEqual([
      false,
      true,
    ]);
    await world.stop();
    try {
      const here = await shapesOf(async (...args) => {
        const { status, stdout, stderr } = await world.here(args);
        expect(status, `${args.join(' ')}: ${stderr}`).toBe(0);
        return stdout;
      }, calls[1]);
      expect(existsSync(join(world.path, 'here'))).toBe(false);
      expect(there).toEqual(here);
    } finally {
      await world.start();
    }
  });

  it('is found by a label that no path carries', async () => {
    const label = 'fix/a 100% .. \\ \u00e4';
    const { id } = json(await world.there('snap', '-l', label, '--json'));
    expect(json(await world.there('show', label, '--json'))).toMatchObject({ id, label });
    expect(JSON.parse(await world.there('pin', label, '--json'))).toMatchObject([{ id }]);
    expect(await world.there('label', label, 'plain')).toBe(`labelled ${id}\n`);
    await world.there('unpin', 'plain');
  });

  it('says in words what it did, and keeps the trace of its caller', async () => {
    expect(await world.there('snap', '-l', 'words')).toMatch(/^ghost_[0-9A-Z]{26}\n$/);
    rmSync(join(world.path, 'src'), { recursive: true });
    const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
    const env = { TRACEPARENT: `00-${trace}-00f067aa0ba902b7-01`, GHOSTSNAP_SERVER: 'config' };
    const { stdout, stderr } = await world.remote(['-w', 'project', 'rollback', 'words'], 'agent', {
      env,
    });
    expect(stdout).toMatch(/^Rolled back to ghost_\w+\n {2}\d+ paths, /);
    expect(stderr).toContain('Take this back with "ghostsnap undo"');
    expect(existsSync(join(world.path, 'src'))).toBe(true);
    const audited = readFileSync(world.audit, 'utf8').trimEnd().split('\n').map(json);
    expect(audited.at(-1)).toMatchObject({ event: 'turn.done', operation: 'rollback', trace });
  });
});
