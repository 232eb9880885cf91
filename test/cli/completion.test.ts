/** The generated scripts are run by the real shells, as a person types. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runMain } from './run-cli.ts';

let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ghostsnap-completion-'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function scriptFor(shell: string): Promise<string> {
  const { status, stdout } = await runMain(['completion', shell]);
  expect(status).toBe(0);
  const file = join(folder, `completion.${shell}`);
  writeFileSync(file, stdout);
  return file;
}

/**
 * On a terminal of its own: what is typed is completed, and `ghostsnap` shows the words that it gets. Bounded,
 * since an answer that never comes is waited for in memory.
 */
const ZSH_TYPIST = `
ulimit -v 1000000
zmodload zsh/zpty
zpty -b typist zsh -f -i
zpty -w typist "PS1=; ghostsnap() { print -r -- 'got'\\"[\\$*]\\"; }
  autoload -Uz compinit; compinit -D; source \${(q)1}; print rea''dy"
zpty -r typist answer '*ready*'
zpty -w typist "ghostsnap $2"$'\\t'
zpty -r typist answer '*got\\[*\\]*'
print -r -- \${\${answer##*got\\[}%%\\]*}
zpty -d typist
`;

describe('completion', () => {
  it.each([
    ['', ['init', 'snap', 'rollback', '--version']],
    ['ro', ['rollback']],
    ['-w /tmp roll', ['rollback']],
    ['pool cr', ['create']],
    ['rollback --mode ', ['auto', 'in-place', 'swap']],
    ['init --backend s', ['store']],
    ['completion ', ['bash', 'zsh', 'fish']],
    ['diff --na', ['--name-status']],
  ])('bash completes %j', async (typed, expected) => {
    const file = await scriptFor('bash');
    const words = typed.split(' ');
    const script = `set -eu; source ${file}
      complete -p ghostsnap >/dev/null
      COMP_WORDS=(ghostsnap ${words.map((word) => `'${word}'`).join(' ')})
      COMP_CWORD=${words.length}
      _ghostsnap
      printf '%s\\n' "\${COMPREPLY[@]}"`;
    const reply = execFileSync('bash', ['-c', script], { encoding: 'utf8' }).trim().split('\n');
    expect(reply).toEqual(expect.arrayContaining(expected));
    const last = words.at(-1) ?? '';
    expect(reply.every((word) => word.startsWith(last))).toBe(true);
  });

  it.each([
    ['roll', 'rollback'],
    ['-w /tmp roll', '-w /tmp rollback'],
    ['pool cr', 'pool create'],
    ['rollback --mode s', 'rollback --mode swap'],
    ['diff --na', 'diff --name-status'],
    ['completion z', 'completion zsh'],
  ])('zsh completes %j', async (typed, expected) => {
    const file = await scriptFor('zsh');
    const ask = ['-f', '-c', ZSH_TYPIST, 'typist', file, typed];
    const env = { ...process.env, TERM: 'dumb', HOME: folder };
    expect(execFileSync('zsh', ask, { encoding: 'utf8', env, timeout: 120_000 }).trim()).toBe(
      expected,
    );
  });

  it.each([
    ['roll', ['rollback']],
    ['-w /tmp roll', ['rollback']],
    ['pool cr', ['create']],
    ['rollback --mode s', ['swap']],
    ['diff --na', ['--name-status']],
    ['completion ', ['bash', 'fish', 'zsh']],
    ['label pool cr', []],
    ['run -- pool cr', []],
  ])('fish completes %j', async (typed, expected) => {
    const file = await scriptFor('fish');
    const ask = `source ${file}; complete -C 'ghostsnap ${typed}'`;
    const env = { ...process.env, HOME: folder };
    const options = { encoding: 'utf8', cwd: folder, env } as const;
    const reply = execFileSync('fish', ['-N', '-c', ask], options);
    const words = reply.split('\n').filter((line) => line !== '');
    expect(words.map((line) => line.split('\t')[0])).toEqual(expected);
  });

  it('refuses a shell that it does not know', async () => {
    const { status, stderr } = await runMain(['completion', 'csh']);
    expect(status).toBe(64);
    expect(stderr).toContain('bash, zsh, fish');
  });
});
