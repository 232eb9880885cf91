/**
 * A restore that is interrupted at any step is taken back with the hard links that lead out of its paths:
 * what one user sees as one file is one file again.
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { protect } from '../never/protected-workspace.ts';

it.each(['store', 'btrfs'] as const)('a restore on a %s workspace', async (kind) => {
  await using place = await protect({ kind, before: 'mkdir d; echo one > d/a; echo two > d/b' });
  await using workspace = await place.open();
  const target = (await workspace.snapshot()).id;
  place.sh(`
    echo text > outside; ln outside d/linked
    ln -f outside d/a; rm d/b; ln d/linked d/b; ln d/a second`);
  // Without the times of directories: turning single paths moves those of their parents.
  const tree = (): readonly string[] =>
    place.digest().lines.map((line) => {
      const fields = line.split('\t');
      return fields.map((field, i) => (fields[1] === 'dir' && i === 6 ? '' : field)).join('\t');
    });
  const before = tree();
  let interrupted = 0;
  for (let nth = 1; ; nth += 1) {
    const controller = new AbortController();
    let steps = 0;
    const work = workspace.restore(target, ['d'], {
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
    expect(tree(), `interrupted at step ${nth}`).toEqual(before);
    interrupted += 1;
  }
  expect(interrupted).toBeGreaterThan(5);
  expect(statSync(join(place.path, 'outside')).nlink).toBe(2);
});
