/** Subtrees that a comparison passes over: only those in which surely nothing differs. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type DirectoryTree, openDirectoryTree } from '../../src/backend/directory-tree.ts';
import { provenSubtrees } from '../../src/backend/proven-subtrees.ts';
import { type LoopImage, makeLoopImage } from './loop-image.ts';

const DIRECTORIES = 80;
const TICK_MS = 20;

let image: LoopImage;
let live = '';
let snapshot = '';
let trustedBeforeMs = 0;
let made = 0;

beforeAll(async () => {
  image = await makeLoopImage({ fs: 'btrfs', sizeMiB: 256 });
});
afterAll(async () => {
  await image?.dispose();
});

beforeEach(() => {
  made += 1;
  live = join(image.mountPath, `live${made}`);
  snapshot = join(image.mountPath, `snapshot${made}`);
  execFileSync('btrfs', ['-q', 'subvolume', 'create', live]);
  for (let d = 0; d < DIRECTORIES; d += 1) {
    mkdirSync(join(live, `d${d}/below`), { recursive: true });
    for (const name of ['one', 'below/two']) writeFileSync(join(live, `d${d}/${name}`), `${d}`);
  }
  // Older than a tick of the clock, as everything is that was not made just before a snapshot.
  const { ctimeMs } = statSync(join(live, `d${DIRECTORIES - 1}/below/two`));
  while (Date.now() < ctimeMs + 3 * TICK_MS) statSync(live);
  trustedBeforeMs = Date.now() - TICK_MS;
  execFileSync('btrfs', ['-q', 'subvolume', 'snapshot', '-r', live, snapshot]);
});

async function proven(): Promise<ReadonlySet<string>> {
  using from: DirectoryTree = openDirectoryTree(live, 'live');
  using to: DirectoryTree = openDirectoryTree(snapshot, 'live');
  return await provenSubtrees({ from, to, trustedBeforeMs });
}

test('everything is proven where nothing was touched', async () => {
  expect((await proven()).size).toBe(DIRECTORIES);
});

const CHANGES: readonly (readonly [string, (top: string) => void])[] = [
  ['content of the same size and mtime', sameSizeAndMtime],
  ['a mode below', (top) => chmodSync(join(top, 'below/two'), 0o600)],
  ['the mode of a directory below', (top) => chmodSync(join(top, 'below'), 0o700)],
  ['a name added below', (top) => writeFileSync(join(top, 'below/new'), '')],
  ['a name removed', (top) => rmSync(join(top, 'one'))],
  ['a rename below', (top) => renameSync(join(top, 'below/two'), join(top, 'below/too'))],
  ['a directory turned into a symlink to a like one', likeSymlink],
  ['the whole gone', (top) => rmSync(top, { recursive: true })],
];

function sameSizeAndMtime(top: string): void {
  const path = join(top, 'below/two');
  const { atimeMs, mtimeMs } = statSync(path);
  writeFileSync(path, 'XX');
  utimesSync(path, atimeMs / 1000, mtimeMs / 1000);
}

function likeSymlink(top: string): void {
  renameSync(join(top, 'below'), join(top, '../moved'));
  symlinkSync('../moved', join(top, 'below'));
}

test.each(CHANGES)('%s is not proven, and costs no other subtree', async (_, change) => {
  change(join(live, 'd42'));
  const found = await proven();
  expect(found.has('d42')).toBe(false);
  for (let d = 0; d < DIRECTORIES; d += 1) if (d !== 42) expect(found.has(`d${d}`)).toBe(true);
});

test('nothing is proven that could have been touched in the tick of the snapshot', async () => {
  trustedBeforeMs = 0;
  expect([...(await proven())]).toEqual([]);
});

test('a mount and a nested subvolume below are not proven', async () => {
  const mount = join(live, 'd1/below');
  execFileSync('mount', ['-t', 'tmpfs', 'none', mount]);
  try {
    execFileSync('btrfs', ['-q', 'subvolume', 'create', join(live, 'd2/below/nested')]);
    const found = await proven();
    expect([found.has('d1'), found.has('d2'), found.has('d3')]).toEqual([false, false, true]);
  } finally {
    execFileSync('umount', [mount]);
  }
});

test('a directory that is mounted on itself is not proven', async () => {
  const mount = join(live, 'd1/below');
  execFileSync('mount', ['--bind', mount, mount]);
  try {
    expect((await proven()).has('d1')).toBe(false);
  } finally {
    execFileSync('umount', [mount]);
  }
});

test('what an exchange brought back from before the snapshot is not proven', async () => {
  writeFileSync(join(live, 'd42/one'), 'later');
  const { ctimeMs } = statSync(join(live, 'd42/one'));
  while (Date.now() < ctimeMs + 3 * TICK_MS) statSync(live);
  const later = `${snapshot}-later`;
  execFileSync('btrfs', ['-q', 'subvolume', 'snapshot', '-r', live, later]);
  trustedBeforeMs = Date.now() - TICK_MS;
  // Every time stamp on either side is old; only that they differ tells.
  live = snapshot;
  snapshot = later;
  const found = await proven();
  expect([found.has('d42'), found.has('d43')]).toEqual([false, true]);
});

test('another copy of the same tree proves nothing', async () => {
  execFileSync('btrfs', ['-q', 'subvolume', 'create', `${live}-copy`]);
  execFileSync('cp', ['-a', `${live}/.`, `${live}-copy`]);
  live = `${live}-copy`;
  expect([...(await proven())]).toEqual([]);
});
