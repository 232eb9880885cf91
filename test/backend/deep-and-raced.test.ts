/** Trees deeper than a path can say, and trees that somebody else changes meanwhile. */
import {
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { copyTree } from '../../src/backend/copy-tree.ts';
import { openDirectoryTree } from '../../src/backend/directory-tree.ts';
import { applyTree } from '../../src/backend/tree-apply.ts';
import { compareTrees } from '../../src/backend/tree-compare.ts';
import type { RawPath } from '../../src/core/raw-path.ts';
import { assertSameTree } from '../checker/tree-digest.ts';
import { makeLoopImage } from '../platform/loop-image.ts';
import { python } from './rich-tree.ts';

const unknown = { sameContent: () => 'unknown' as const };
const LEVELS = 2200;

/** Depth of the chain of directories called `level-...`, by chdir: no path is ever that long. */
const MEASURE = `
os.chdir(root); n = 0
while os.path.isdir(b'level-' + b'x' * 20):
    os.chdir(b'level-' + b'x' * 20); n += 1
    assert os.path.isfile(b'z') == (n % 100 == 0)
print(n, open(b'bottom').read() if os.path.exists(b'bottom') else '-')
`;

test('a name that no file system can hold is missing, not a failure', async () => {
  using tree = openDirectoryTree('/tmp', 'live');
  for (const path of ['q'.repeat(300), `${'q'.repeat(300)}/a`]) {
    expect(tree.lookup(path as RawPath)).toBeNull();
  }
});

test('a tree of 2,200 levels, with paths of 60 kB, is copied, compared, mended and removed', async () => {
  await using image = await makeLoopImage({ fs: 'btrfs', sizeMiB: 256 });
  const [source, live] = ['source', 'live'].map((n) => join(image.mountPath, n)) as [
    string,
    string,
  ];
  for (const path of [source, live]) mkdirSync(path);
  python(
    `
os.chdir(root)
for n in range(1, ${LEVELS} + 1):
    os.mkdir(b'level-' + b'x' * 20); os.chdir(b'level-' + b'x' * 20)
    if n % 100 == 0: open(b'z', 'w').write('z')
open(b'bottom', 'w').write('deep')
`,
    source,
  );
  await copyTree({ fromPath: source, toPath: live });
  expect(python(MEASURE, live)).toBe(`${LEVELS} deep\n`);
  using from = openDirectoryTree(live, 'live');
  {
    using to = openDirectoryTree(source, 'live');
    const found = [];
    let descriptorsMax = 0;
    const sameContent = () => {
      descriptorsMax = Math.max(descriptorsMax, readdirSync('/proc/self/fd').length);
      return 'unknown' as const;
    };
    for await (const change of compareTrees({ from, to, sameContent })) found.push(change.path);
    expect(found).toEqual([]);
    expect(descriptorsMax).toBeGreaterThan(0);
    expect(descriptorsMax).toBeLessThan(250);
  }
  const empty = join(image.mountPath, 'empty');
  mkdirSync(empty);
  await copyTree({ fromPath: empty, toPath: live });
  expect(readdirSync(live)).toEqual([]);
});

test('a directory that is exchanged for a symlink at any step leads nobody out of the tree', async () => {
  await using image = await makeLoopImage({ fs: 'ext4', sizeMiB: 64 });
  const source = join(image.mountPath, 'source');
  mkdirSync(source);
  const build = `os.makedirs(p(b'd', b'e')); [write(p(b'd', b'e', b'%d' % i), b'new') for i in range(6)]`;
  python(build, source);
  let total = Number.POSITIVE_INFINITY;
  for (let exchangeAt = 1; exchangeAt <= total; exchangeAt += 1) {
    const [live, outside] = ['live', 'outside'].map((n) =>
      join(image.mountPath, `${n}${exchangeAt}`),
    ) as [string, string];
    for (const path of [live, outside]) {
      mkdirSync(path);
      python(
        `os.makedirs(p(b'd', b'e')); [write(p(b'd', b'e', b'%d' % i), b'old') for i in range(3, 9)]`,
        path,
      );
    }
    let steps = 0;
    const onStep = (): void => {
      steps += 1;
      if (steps !== exchangeAt) return;
      renameSync(join(live, 'd/e'), join(live, 'aside'));
      symlinkSync(join(outside, 'd/e'), join(live, 'd/e'));
    };
    using tree = openDirectoryTree(source, 'live');
    const outcome = await applyTree({ livePath: live, source: tree, ...unknown, onStep }).catch(
      (error: { code: string }) => error.code,
    );
    total = Math.min(total, Math.max(steps, 10));
    // Whether it got through or said that the tree changed: nothing outside was touched.
    if (typeof outcome === 'string') expect(['RESTORE_FAILED', 'TREE_CHANGED']).toContain(outcome);
    expect(readdirSync(join(outside, 'd/e')).sort()).toEqual(['3', '4', '5', '6', '7', '8']);
    expect(readFileSync(join(outside, 'd/e/3'), 'utf8')).toBe('old');
    await copyTree({ fromPath: source, toPath: live });
    assertSameTree(source, live);
  }
  expect(total).toBeGreaterThanOrEqual(10);
});

test('what others create and delete meanwhile is met again and turned', async () => {
  await using image = await makeLoopImage({ fs: 'ext4', sizeMiB: 64 });
  const [source, live] = ['source', 'live'].map((n) => join(image.mountPath, n)) as [
    string,
    string,
  ];
  for (const path of [source, live]) mkdirSync(path);
  for (const name of ['a', 'b', 'c']) writeFileSync(join(source, name), name);
  writeFileSync(join(live, 'z'), 'to be removed');
  let steps = 0;
  const onStep = (): void => {
    steps += 1;
    if (steps === 1) {
      writeFileSync(join(image.mountPath, 'theirs'), 'somebody else');
      linkSync(join(image.mountPath, 'theirs'), join(live, 'b'));
      mkdirSync(join(live, 'c'));
    }
  };
  using tree = openDirectoryTree(source, 'live');
  await applyTree({ livePath: live, source: tree, ...unknown, onStep });
  expect(readdirSync(live).sort()).toEqual(['a', 'b', 'c']);
  expect(readFileSync(join(live, 'b'), 'utf8')).toBe('b');
  expect(readFileSync(join(live, 'c'), 'utf8')).toBe('c');
  expect(readFileSync(join(image.mountPath, 'theirs'), 'utf8')).toBe('somebody else');
});
