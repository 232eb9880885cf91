/** Copying and comparing bytes: shared blocks, NOCOW, compression, holes. */
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { copyContent, sameContent } from '../../src/backend/file-content.ts';
import { done } from '../../src/backend/steps.ts';
import { type LoopImage, makeLoopImage } from '../platform/loop-image.ts';

let image: LoopImage;
beforeAll(async () => {
  image = await makeLoopImage({ fs: 'btrfs', sizeMiB: 256 });
});
afterAll(async () => {
  await image.dispose();
});

const at = (name: string): string => join(image.mountPath, name);

function copy(from: string, to: string): string {
  const fromFd = openSync(at(from), 'r');
  const toFd = openSync(at(to), 'wx');
  try {
    return done(copyContent({ fromFd, toFd, sizeBytes: statSync(at(from)).size }));
  } finally {
    closeSync(fromFd);
    closeSync(toFd);
  }
}

function same(a: string, b: string): boolean {
  const [aFd, bFd] = [openSync(at(a), 'r'), openSync(at(b), 'r')];
  try {
    return sameContent({ aFd, bFd, sizeBytes: statSync(at(a)).size, extents: 'comparable' });
  } finally {
    closeSync(aFd);
    closeSync(bFd);
  }
}

test('a NOCOW file shares its blocks with a copy that is NOCOW as well', () => {
  writeFileSync(at('nocow'), '');
  execFileSync('chattr', ['+C', at('nocow')]);
  writeFileSync(at('nocow'), Buffer.alloc(100_000, 'n'));
  expect(copy('nocow', 'nocow-copy')).toBe('shared');
  expect(execFileSync('lsattr', [at('nocow-copy')], { encoding: 'utf8' })).toMatch(/^-*C/);
  expect(same('nocow', 'nocow-copy')).toBe(true);
});

test('files of one size are told apart by any byte, whether or not they share blocks', () => {
  writeFileSync(at('a'), Buffer.alloc(1_000_000, 'a'));
  expect(copy('a', 'b')).toBe('shared');
  expect(same('a', 'b')).toBe(true);
  const fd = openSync(at('b'), 'r+');
  execFileSync(
    'dd',
    ['if=/dev/zero', `of=${at('b')}`, 'bs=1', 'count=1', 'seek=999999', 'conv=notrunc'],
    { stdio: 'ignore' },
  );
  closeSync(fd);
  expect(same('a', 'b')).toBe(false);
  writeFileSync(at('c'), readFileSync(at('a')));
  expect(same('a', 'c')).toBe(true);
});

test('two pieces of one compressed extent are not taken for equal', () => {
  writeFileSync(at('z'), '');
  execFileSync('btrfs', ['property', 'set', at('z'), 'compression', 'zlib']);
  const pieces = Buffer.concat([Buffer.alloc(4096, 'x'), Buffer.alloc(4096, 'y')]);
  writeFileSync(at('z'), pieces);
  execFileSync('sync', ['-f', at('z')]);
  for (const [name, skip] of [
    ['z1', 0],
    ['z2', 4096],
  ] as const) {
    writeFileSync(at(name), '');
    execFileSync('xfs_io', ['-c', `reflink ${at('z')} ${skip} 0 4096`, at(name)], {
      stdio: 'ignore',
    });
  }
  expect(readFileSync(at('z1'), 'latin1')).toBe('x'.repeat(4096));
  expect(readFileSync(at('z2'), 'latin1')).toBe('y'.repeat(4096));
  expect(same('z1', 'z2')).toBe(false);
});
