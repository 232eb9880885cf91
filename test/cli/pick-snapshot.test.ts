/** Choosing on a real terminal; and the error where there is none. */
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Protected, protect } from '../never/protected-workspace.ts';
import { Terminal, type Typed } from './on-terminal.ts';

let one: Protected;
let terminal: Terminal;

beforeEach(async () => {
  terminal = new Terminal();
  one = await protect({ kind: 'store', before: 'echo a > a' });
  one.cli(['snap', '-l', 'tests green']);
  one.cli(['snap', '-l', 'something else']);
  rmSync(join(one.path, 'a'));
});

afterEach(async () => {
  terminal[Symbol.dispose]();
  await one[Symbol.asyncDispose]();
});

async function onTerminal(script: Typed, verb = 'rollback'): Promise<number> {
  return (await terminal.run(one, [verb], script)).status;
}

it('rollback without a name lets one be searched, shows what it would change, and goes', async () => {
  const status = await onTerminal([
    ['Type to search', 'green\r'],
    ['Go back to it?', 'd'],
    ['create', ''],
    ['Go back to it?', 'g'],
  ]);
  expect(status).toBe(0);
  expect(existsSync(join(one.path, 'a'))).toBe(true);
});

it('Enter alone says yes to what was shown', async () => {
  const status = await onTerminal([
    ['Type to search', 'green\r'],
    ['Go back to it?', '\r'],
  ]);
  expect(status).toBe(0);
  expect(existsSync(join(one.path, 'a'))).toBe(true);
});

it('undo offers the state before first, and Enter twice takes it', async () => {
  const status = await onTerminal(
    [
      ['Type to search', '\r'],
      ['Go back to it?', 'd'],
      ['create', ''],
      ['Go back to it?', '\r'],
    ],
    'undo',
  );
  expect(status).toBe(0);
  expect(existsSync(join(one.path, 'a'))).toBe(true);
  expect(JSON.parse(one.cli(['log', '--operations', '--json']).stdout)[0].kind).toBe('undo');
});

it('undo goes to another state by arrows, and asks nobody without a terminal', async () => {
  one.sh('echo b > b');
  one.cli(['snap', '-l', 'with b']);
  one.sh('rm b');
  const status = await onTerminal(
    [
      ['Type to search', '\u001b[B'],
      ['something else', '\r'],
      ['Go back to it?', 'g'],
    ],
    'undo',
  );
  expect(status).toBe(0);
  expect([existsSync(join(one.path, 'a')), existsSync(join(one.path, 'b'))]).toEqual([true, false]);
  expect(one.cli(['undo']).status).toBe(0);
});

it.each(['\u001b', '\u0003'])('changes nothing when it is left by %j', async (key) => {
  expect(await onTerminal([['Type to search', key]])).toBe(64);
  expect(existsSync(join(one.path, 'a'))).toBe(false);
});

it('says which there are where nobody can choose', () => {
  writeFileSync(join(one.path, 'b'), 'b');
  const { status, stderr } = one.cli(['rollback']);
  expect(status).toBe(64);
  expect(stderr).toContain('tests green  ghost_');
  expect(existsSync(join(one.path, 'b'))).toBe(true);
});
