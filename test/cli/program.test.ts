import { describe, expect, it } from 'vitest';
import { COMMANDS } from '../../src/cli/command-table.ts';
import { askedVerb, packageVersion } from '../../src/cli/program.ts';
import { GhostsnapError } from '../../src/core/errors.ts';
import { runMain } from './run-cli.ts';

describe('the command line', () => {
  it('keeps its help texts', async () => {
    const verbs = COMMANDS.map((entry) => [entry.name]);
    const pools = ['create', 'list', 'status', 'mount', 'destroy'].map((name) => ['pool', name]);
    const pages: string[] = [];
    const bisects = ['start', 'good', 'next', 'run', 'status', 'reset'].map((name) => [
      'bisect',
      name,
    ]);
    const policies = ['check', 'explain'].map((name) => ['policy', name]);
    for (const words of [[], ...verbs, ...pools, ...bisects, ...policies]) {
      const { status, stdout } = await runMain([...words, '--help']);
      expect(status).toBe(0);
      pages.push(`$ ghostsnap ${[...words, '--help'].join(' ')}\n${stdout}`);
    }
    await expect(pages.join('\n')).toMatchFileSnapshot('../golden/cli-help.txt');
  });

  it('prints the version of the package', async () => {
    const { status, stdout } = await runMain(['--version']);
    expect([status, stdout]).toEqual([0, `${packageVersion()}\n`]);
  });

  it('suggests the verb that was meant, and exits with EX_USAGE', async () => {
    const { status, stdout, stderr } = await runMain(['rolback', '@']);
    expect(status).toBe(64);
    expect(stdout).toBe('');
    expect(stderr).toContain("Unknown command 'rolback'.");
    expect(stderr).toContain('Did you mean rollback?');
  });

  it.each([
    ['log', '-n', 'many'],
    ['daemon', 'logs', '-n', 'many'],
    ['daemon', 'logs', '-n', '0'],
  ])('refuses a number that is none: %s %s %s %s', async (...words) => {
    const { status, stdout, stderr } = await runMain(words);
    expect([status, stdout]).toEqual([64, '']);
    expect(stderr).toContain('Give a whole number above 0.');
  });

  it('prints the help to standard error when no command is named', async () => {
    const { status, stdout, stderr } = await runMain([]);
    expect([status, stdout]).toEqual([64, '']);
    expect(stderr).toContain('Usage: ghostsnap');
  });

  it('reports a usage error as JSON on standard error when JSON was asked for', async () => {
    const { status, stdout, stderr } = await runMain(['show', '--json']);
    expect([status, stdout]).toEqual([64, '']);
    expect(JSON.parse(stderr)).toEqual({
      error: {
        code: 'BAD_ARGUMENT',
        kind: 'usage',
        message: "Missing required argument 'spec'.",
        hint: 'See "ghostsnap show --help".',
        data: {},
      },
    });
  });

  it('shows a GhostsnapError with its code and hint and takes its exit status from its kind', async () => {
    const openWorkspace = (): Promise<never> =>
      Promise.reject(
        new GhostsnapError('POOL_FULL', 'The pool \u001b[31mp is full.', { hint: 'Prune it.' }),
      );
    const { status, stdout, stderr } = await runMain(['snap'], { composition: { openWorkspace } });
    expect([status, stdout]).toEqual([73, '']);
    expect(stderr).toBe('ghostsnap: The pool \\x1b[31mp is full. [POOL_FULL]\n  Prune it.\n');
  });

  it('calls anything else that is thrown a bug, with its stack, and exits with EX_SOFTWARE', async () => {
    const openWorkspace = (): Promise<never> => Promise.reject(new TypeError('x is undefined'));
    const { status, stderr } = await runMain(['snap'], { composition: { openWorkspace } });
    expect(status).toBe(70);
    expect(stderr).toMatch(/TypeError: x is undefined\n\s+at /);
    expect(stderr).toContain('This is a bug in ghostsnap');
  });

  it('loads nothing of the composition root for help', async () => {
    const { status } = await runMain(['snap', '--help']);
    expect(status).toBe(0);
  });
});

describe('askedVerb()', () => {
  it.each([
    [['snap'], 'snap'],
    [['-w', 'init', 'log'], 'log'],
    [['--workspace', 'x', 'diff', 'snap'], 'diff'],
    [['--workspace=x', 'diff'], 'diff'],
    [['help', 'undo'], 'undo'],
    [['--help'], undefined],
    [[], undefined],
  ])('finds the verb in %j', (args, verb) => {
    expect(askedVerb(args)).toBe(verb);
  });
});
