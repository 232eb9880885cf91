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

async function rollbackOnTerminal(script: Typed): Promise<number> {
  return (await terminal.run(one, ['rollback'], script)).status;
}

it('rollback without a name lets one be searched, shows what it would change, and goes', async () => {
  const status = await rollbackOnTerminal([
    ['Type to search', 'green\r'],
    ['Go back to it?', 'd'],
    ['create', ''],
    ['Go back to it?', 'g'],
  ]);
  expect(status).toBe(0);
  expect(existsSync(join(one.path, 'a'))).toBe(true);
});

it.each(['\u001b', '\u0003'])('changes nothing when it is left by %j', async (key) => {
  expect(await rollbackOnTerminal([['Type to search', key]])).toBe(64);
  expect(existsSync(join(one.path, 'a'))).toBe(false);
});

it('says which there are where nobody can choose', () => {
  writeFileSync(join(one.path, 'b'), 'b');
  const { status, stderr } = one.cli(['rollback']);
  expect(status).toBe(64);
  expect(stderr).toContain('tests green  ghost_');
  expect(existsSync(join(one.path, 'b'))).toBe(true);
});
