/** A variable that a script did not set, where a place is named: it is never taken for "here". */
import { describe, expect, it } from 'vitest';
import { runMain } from './run-cli.ts';

describe('an empty place', () => {
  it.each([
    [['-w', '', 'rollback', '@']],
    [['rollback', '@', '-w', '']],
    [['destroy', '--yes', '--workspace=']],
    [['restore', '@', '.env', '--to', '']],
    [['init', '']],
    [['init', '--pool', '']],
    [['pool', 'create', 'fast', '--size', '1G', '--directory', '']],
    [['--server', '', 'status']],
  ])('is refused before anything is opened: %j', async (args) => {
    const { status, stdout, stderr } = await runMain(args, { composition: {} });
    expect(stderr).toContain('[BAD_ARGUMENT]');
    expect([status, stdout]).toEqual([64, '']);
  });
});
