import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { makeLoopImage } from '../platform/loop-image.ts';
import { Journal, open } from './catalog-fixture.ts';

it('keeps the index that is mapped into memory out of copy on write: a full btrfs killed its user', async () => {
  await using image = await makeLoopImage({ fs: 'btrfs', sizeMiB: 128 });
  const file = join(image.mountPath, 'catalog.db');
  {
    using catalog = open(file);
    new Journal(catalog).init().snapshot();
    const flags = execFileSync('lsattr', [`${file}-shm`], { encoding: 'utf8' }).split(' ')[0];
    expect(flags).toContain('C');
  }
  expect(existsSync(`${file}-shm`)).toBe(false);
});
