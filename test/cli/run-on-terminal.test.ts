/** `ghostsnap run` with a person before it: the question, and Ctrl-C for the command. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Protected, protect } from '../never/protected-workspace.ts';
import { Terminal } from './on-terminal.ts';

const DOWN = '\u001b[B';
const CTRL_C = '\u0003';

let one: Protected;
let terminal: Terminal;

beforeEach(async () => {
  terminal = new Terminal();
  one = await protect({ kind: 'store', before: 'echo a > a' });
});

afterEach(async () => {
  terminal[Symbol.dispose]();
  await one[Symbol.asyncDispose]();
});

describe('run --ask', () => {
  it.each([
    ['keeps what the command did', '\r', false],
    ['rolls back', `${DOWN}\r`, true],
    ['keeps it when the question is left', CTRL_C, false],
  ])('%s', async (_, typed, isThereAgain) => {
    const { status } = await terminal.run(
      one,
      ['run', '--ask', '--', 'rm', 'a'],
      [['What now?', typed]],
    );
    expect(status).toBe(0);
    expect(existsSync(join(one.path, 'a'))).toBe(isThereAgain);
  });

  it('asks nothing when the command changed nothing', async () => {
    const { status, shown } = await terminal.run(one, ['run', '--ask', '--', 'true'], []);
    expect(status).toBe(0);
    expect(shown).not.toContain('What now?');
  });
});

describe('Ctrl-C', () => {
  it('is for the command: its own exit status, and what it changed is shown', async () => {
    const loop = 'trap "rm a; exit 7" INT; echo ready; while :; do read -r line; done';
    const { status, shown } = await terminal.run(
      one,
      ['run', '--', 'sh', '-c', loop],
      [['ready', CTRL_C]],
    );
    expect(status).toBe(7);
    expect(shown).toContain('1 path: 1 deleted');
    expect(existsSync(join(one.path, 'a'))).toBe(false);
  });
});
