/** Errors of Node's `rmSync`, which mostly have an empty code, are known by their errno all the same. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { errnoOf, toGhostsnapError } from '../../src/backend/syscall-failure.ts';
import { makeLoopImage } from '../platform/loop-image.ts';

function failureOf(work: () => void): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error('It did not fail.');
}

test('removing a mount point is EBUSY, with a path and a hint', async () => {
  await using image = await makeLoopImage({ fs: 'ext4', sizeMiB: 16 });
  const failure = failureOf(() => rmSync(image.mountPath, { recursive: true }));
  expect(errnoOf(failure)).toBe('EBUSY');
  expect(toGhostsnapError(failure, { what: 'Removing', path: image.mountPath })).toMatchObject({
    code: 'IO',
    data: { errno: 'EBUSY', path: image.mountPath },
    hint: expect.stringContaining('in use'),
  });
});

test('an empty code of anything else says nothing', async () => {
  await using image = await makeLoopImage({ fs: 'ext4', sizeMiB: 16 });
  mkdirSync(join(image.mountPath, 'd'));
  writeFileSync(join(image.mountPath, 'd/f'), '');
  expect(errnoOf(Object.assign(new Error('x'), { code: '' }))).toBe('');
  rmSync(join(image.mountPath, 'd'), { recursive: true });
});
