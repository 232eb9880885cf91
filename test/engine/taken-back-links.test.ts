/**
 * A restore that is interrupted at any step is taken back with the hard links that lead out of its paths:
 * what one user sees as one file is one file again.
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { protect } from '../never/protected-workspace.ts';
import { expectTakenBack } from './interrupted-restore.ts';

it.each(['store', 'btrfs'] as const)('a restore on a %s workspace', async (kind) => {
  await using place = await protect({ kind, before: 'mkdir d; echo one > d/a; echo two > d/b' });
  await using workspace = await place.open();
  const target = (await workspace.snapshot()).id;
  place.sh(`
    echo text > outside; ln outside d/linked
    ln -f outside d/a; rm d/b; ln d/linked d/b; ln d/a second`);
  await expectTakenBack(place, workspace, { target, paths: ['d'], stride: 1 });
  expect(statSync(join(place.path, 'outside')).nlink).toBe(2);
});
