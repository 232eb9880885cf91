/**
 * A restore that is interrupted leaves nothing of the way that it made to its paths: no directory that was
 * missing, and what lay in a directory's place is there again.
 */
import { it } from 'vitest';
import { protect } from '../never/protected-workspace.ts';
import { expectTakenBack } from './interrupted-restore.ts';

/** In one tree; what the way to each path became since: nothing, a file, a file further down, a symlink. */
const BEFORE = 'for d in a b c d; do mkdir -p $d/e; echo $d > $d/e/f; done; echo other > other';
const SINCE = 'rm -r a b c/e d; echo text > b; echo text > c/e; ln -s nowhere d';

it.each(['store', 'btrfs'] as const)('a restore on a %s workspace', async (kind) => {
  await using place = await protect({ kind, before: BEFORE });
  await using workspace = await place.open();
  const target = (await workspace.snapshot()).id;
  place.sh(SINCE);
  // The first step makes a directory, the next what is in it.
  const paths = ['a/e/f', 'b/e/f', 'c/e/f', 'd/e/f'];
  await expectTakenBack(place, workspace, { target, paths, stride: 2 });
});
