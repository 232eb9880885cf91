/** The generated scripts are run by the real shells; one that is not installed is said to be. */
import { execFileSync, spawnSync } from 'node:child_process';
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

function isInstalled(shell: string): boolean {
  return spawnSync(shell, ['-c', 'exit 0']).status === 0;
}

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

  if (isInstalled('zsh')) {
    it('zsh loads the script and knows the verbs', async () => {
      const file = await scriptFor('zsh');
      const script = `autoload -Uz compinit; compinit -D; source ${file}
        (( $+functions[_ghostsnap_pool_create] )) && print -r -- $_comps[ghostsnap]`;
      const reply = execFileSync('zsh', ['-f', '-c', script], { encoding: 'utf8' });
      expect(reply.trim()).toBe('_ghostsnap');
    });
  } else console.log('Not tested: the zsh script, because zsh is not installed.');

  if (isInstalled('fish')) {
    it.each([
      ['roll', 'rollback'],
      ['pool cr', 'create'],
      ['rollback --mode s', 'swap'],
      ['diff --na', '--name-status'],
    ])('fish completes %j', async (typed, expected) => {
      const file = await scriptFor('fish');
      const ask = `source ${file}; complete -C 'ghostsnap ${typed}'`;
      const reply = execFileSync('fish', ['-N', '-c', ask], { encoding: 'utf8' });
      expect(reply).toContain(expected);
    });
  } else console.log('Not tested: the fish script, because fish is not installed.');

  it('refuses a shell that it does not know', async () => {
    const { status, stderr } = await runMain(['completion', 'csh']);
    expect(status).toBe(64);
    expect(stderr).toContain('bash, zsh, fish');
  });
});
