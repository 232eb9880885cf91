/**
 * A restore that is interrupted leaves nothing of the way that it made to its paths: no directory that was
 * missing, and what lay in a directory's place is there again.
 */
import { expect, it } from 'vitest';
import { protect } from '../never/protected-workspace.ts';

/** In one tree; what the way to each path became since: nothing, a file, a file further down, a symlink. */
const BEFORE = 'for d in a b c d; do mkdir -p $d/e; echo $d > $d/e/f; done; echo other > other';
const SINCE = 'rm -r a b c/e d; echo text > b; echo text > c/e; ln -s nowhere d';

it.each(['store', 'btrfs'] as const)('a restore on a %s workspace', async (kind) => {
  await using place = await protect({ kind, before: BEFORE });
  await using workspace = await place.open();
  const target = (await workspace.snapshot()).id;
  place.sh(SINCE);
  // Without the times of directories: turning single paths moves those of their parents.
  const tree = (): readonly string[] =>
    place.digest().lines.map((line) => {
      const fields = line.split('\t');
      return fields.map((field, i) => (fields[1] === 'dir' && i === 6 ? '' : field)).join('\t');
    });
  const expected = tree();
  let interrupted = 0;
  // Every second step: the first makes a directory, the next what is in it.
  for (let nth = 1; ; nth += 2) {
    const controller = new AbortController();
    let steps = 0;
    const work = workspace.restore(target, ['a/e/f', 'b/e/f', 'c/e/f', 'd/e/f'], {
      signal: controller.signal,
      onStep() {
        steps += 1;
        if (steps === nth) controller.abort();
      },
    });
    const error = await work.then(
      () => null,
      (failure: unknown) => failure,
    );
    if (error === null) break;
    expect(error).toMatchObject({ code: 'INTERRUPTED' });
    expect(tree(), `interrupted at step ${nth}`).toEqual(expected);
    interrupted += 1;
  }
  expect(interrupted).toBeGreaterThan(5);
});
