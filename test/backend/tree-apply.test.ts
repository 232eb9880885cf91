/**
 * Turning, copying and comparing trees on real filesystems, judged by rsync and a Python listing.
 */
import {
  chmodSync,
  linkSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { copyTree } from '../../src/backend/copy-tree.ts';
import { openDirectoryTree } from '../../src/backend/directory-tree.ts';
import { PathSet } from '../../src/backend/path-set.ts';
import { applyTree } from '../../src/backend/tree-apply.ts';
import { compareTrees } from '../../src/backend/tree-compare.ts';
import type { RawPath } from '../../src/core/raw-path.ts';
import type { TreeChange } from '../../src/core/tree-change.ts';
import { assertRsyncSame, assertSameTree, rsyncDifferences } from '../checker/tree-digest.ts';
import { type LoopImage, makeLoopImage } from '../platform/loop-image.ts';
import { makeRichTree, python, wreckRichTree } from './rich-tree.ts';

const unknown = { sameContent: () => 'unknown' as const };

async function turn(livePath: string, sourcePath: string, extra = {}) {
  using source = openDirectoryTree(sourcePath, 'live');
  return await applyTree({ livePath, source, ...unknown, ...extra });
}

async function changesBetween(fromPath: string, toPath: string, extra = {}): Promise<TreeChange[]> {
  using from = openDirectoryTree(fromPath, 'live');
  using to = openDirectoryTree(toPath, 'live');
  const found: TreeChange[] = [];
  for await (const change of compareTrees({ from, to, ...unknown, ...extra })) found.push(change);
  return found;
}

const brief = (changes: TreeChange[]) => changes.map((c) => `${c.kind} ${c.path} ${c.fields}`);

describe.each(['btrfs', 'xfs', 'ext4'] as const)('trees on %s', (fs) => {
  let image: LoopImage;
  let next = 0;
  const folder = (): string => {
    const path = join(image.mountPath, `t${next++}`);
    mkdirSync(path);
    return path;
  };
  const sample = (): string => {
    const path = folder();
    makeRichTree(path);
    return path;
  };

  beforeAll(async () => {
    image = await makeLoopImage({ fs, sizeMiB: 512 });
  });
  afterAll(async () => {
    await image.dispose();
  });

  test('copyTree() gives an equal tree, holes included, whatever is in it', async () => {
    const from = sample();
    const to = folder();
    expect((await copyTree({ fromPath: from, toPath: to })).notes).toEqual([]);
    assertRsyncSame(from, to);
    assertSameTree(from, to, { holes: 'compare' });
  });

  test('copyTree() without reflinks gives an equal tree with the same holes', async () => {
    const from = sample();
    const to = folder();
    await copyTree({ fromPath: from, toPath: to, reflink: 'never' });
    assertRsyncSame(from, to);
    assertSameTree(from, to, { holes: 'compare' });
  });

  test('applyTree() mends every kind of damage, and again changes nothing', async () => {
    const source = sample();
    const live = folder();
    await copyTree({ fromPath: source, toPath: live });
    wreckRichTree(live);
    expect(rsyncDifferences(source, live).length).toBeGreaterThan(20);
    expect((await changesBetween(live, source)).length).toBeGreaterThan(20);
    expect((await turn(live, source)).notes).toEqual([]);
    assertRsyncSame(source, live);
    assertSameTree(source, live, { holes: 'compare' });
    expect((await turn(live, source)).changes).toBe(0);
    expect(await changesBetween(live, source)).toEqual([]);
  });

  test('applyTree() keeps the inodes of what did not change and of what only changed metadata', async () => {
    const source = sample();
    const live = folder();
    await copyTree({ fromPath: source, toPath: live });
    const inode = (name: string): number => statSync(join(live, name)).ino;
    const names = ['src', 'src/main.ts', 'setuid', 'zlink', 'src/link-b', 'attrs'];
    const before = names.map(inode);
    python(
      `os.chmod(p(b'setuid'), 0o600); os.unlink(p(b'link-a')); os.removexattr(p(b'attrs'), b'user.key')`,
      live,
    );
    await turn(live, source);
    expect(names.map(inode)).toEqual(before);
    expect(inode('link-a')).toBe(inode('zlink'));
    assertSameTree(source, live);
  });

  test('applyTree() leaves hard links outside the tree what they were', async () => {
    const source = folder();
    const live = folder();
    const outside = join(folder(), 'kept');
    writeFileSync(join(source, 'f'), 'captured');
    writeFileSync(join(live, 'f'), 'modified');
    linkSync(join(live, 'f'), outside);
    await turn(live, source);
    expect(readFileSync(join(live, 'f'), 'utf8')).toBe('captured');
    expect(readFileSync(outside, 'utf8')).toBe('modified');
  });

  test('applyTree() separates what the source keeps apart and joins what it joins', async () => {
    const source = folder();
    const live = folder();
    python(
      `write(p(b'a'), b'1'); write(p(b'b'), b'1'); write(p(b'c'), b'2'); os.link(p(b'c'), p(b'd'))`,
      source,
    );
    python(
      `write(p(b'a'), b'1'); os.link(p(b'a'), p(b'b')); write(p(b'c'), b'2'); write(p(b'd'), b'2')`,
      live,
    );
    await turn(live, source);
    assertRsyncSame(source, live);
    assertSameTree(source, live);
  });

  test('applyTree() by one candidate mends all names of the file', async () => {
    const source = folder();
    const live = folder();
    python(`write(p(b'a'), b'good'); os.mkdir(p(b'd')); os.link(p(b'a'), p(b'd', b'b'))`, source);
    python(`write(p(b'a'), b'bad!'); os.mkdir(p(b'd')); os.link(p(b'a'), p(b'd', b'b'))`, live);
    await turn(live, source, { candidates: new PathSet(['a' as RawPath]) });
    expect(readFileSync(join(live, 'd/b'), 'utf8')).toBe('good');
    expect(statSync(join(live, 'd/b')).ino).toBe(statSync(join(live, 'a')).ino);
  });

  test('applyTree() with chosen paths turns these and nothing beside them', async () => {
    const source = sample();
    const live = folder();
    await copyTree({ fromPath: source, toPath: live });
    wreckRichTree(live);
    await turn(live, source, { subtreeRoots: new PathSet(['src/deep', 'extra'] as RawPath[]) });
    assertSameTree(join(source, 'src/deep'), join(live, 'src/deep'), { links: 'ignore' });
    expect(readFileSync(join(live, 'src/main.ts'), 'utf8')).toBe('export !\n');
    expect(statSync(join(live, 'empty')).isFile()).toBe(true);
    expect(() => statSync(join(live, 'extra'))).toThrow();
  });

  test('applyTree() leaves a directory on the way to a chosen path the mode that it has', async () => {
    const [source, live] = [folder(), folder()];
    for (const root of [source, live]) mkdirSync(join(root, 'way'), { mode: 0o755 });
    writeFileSync(join(source, 'way/f'), 'chosen');
    chmodSync(join(live, 'way'), 0o700);
    await turn(live, source, { subtreeRoots: new PathSet(['way/f'] as RawPath[]) });
    expect(readFileSync(join(live, 'way/f'), 'utf8')).toBe('chosen');
    expect(statSync(join(live, 'way')).mode & 0o777).toBe(0o700);
  });

  test('applyTree() removes what a killed run left beside a candidate, and nothing else', async () => {
    const source = folder();
    const live = folder();
    for (const root of [source, live]) writeFileSync(join(root, 'f'), root);
    writeFileSync(join(live, '.ghostsnap-0123456789abcdef.tmp'), 'left over');
    writeFileSync(join(live, '.ghostsnap-notes.tmp'), 'a file of the user');
    const held = '.ghostsnap-fedcba9876543210.tmp';
    for (const root of [source, live]) writeFileSync(join(root, held), 'in the snapshot');
    await turn(live, source, { candidates: new PathSet(['f'] as RawPath[]) });
    expect(() => statSync(join(live, '.ghostsnap-0123456789abcdef.tmp'))).toThrow();
    expect(statSync(join(live, '.ghostsnap-notes.tmp')).isFile()).toBe(true);
    expect(readFileSync(join(live, held), 'utf8')).toBe('in the snapshot');
  });

  test('applyTree() and compareTrees() do not follow a directory that became a symlink', async () => {
    const source = folder();
    const live = folder();
    const outside = folder();
    python(`os.mkdir(p(b'd')); write(p(b'd', b'f'), b'captured')`, source);
    writeFileSync(join(outside, 'f'), 'untouchable');
    symlinkSync(outside, join(live, 'd'));
    expect(brief(await changesBetween(live, source))).toContain('type d ');
    await turn(live, source);
    assertSameTree(source, live);
    expect(readFileSync(join(outside, 'f'), 'utf8')).toBe('untouchable');
  });

  test('applyTree() stops between two paths when it is aborted, and a second run finishes', async () => {
    const source = sample();
    const live = folder();
    const abort = new AbortController();
    let steps = 0;
    const onStep = (): void => {
      steps += 1;
      if (steps === 25) abort.abort();
    };
    const work = turn(live, source, { signal: abort.signal, onStep });
    await expect(work).rejects.toMatchObject({ code: 'INTERRUPTED' });
    expect(rsyncDifferences(source, live)).not.toEqual([]);
    await turn(live, source);
    assertSameTree(source, live);
  });

  test('compareTrees() says each difference once, in walk order', async () => {
    const from = folder();
    const to = folder();
    python(
      `os.makedirs(p(b'a', b'b')); write(p(b'a', b'b', b'x'), b'1'); write(p(b'a.b'), b'same'); write(p(b'gone'), b'g'); write(p(b'm'), b'm')`,
      from,
    );
    python(
      `os.makedirs(p(b'a', b'b')); write(p(b'a', b'b', b'x'), b'2'); write(p(b'a.b'), b'same'); write(p(b'new'), b'n'); write(p(b'm'), b'm', 0o600)`,
      to,
    );
    expect(brief(await changesBetween(from, to, { mtimes: false }))).toEqual([
      'modified a/b/x ',
      'deleted gone ',
      'metadata m mode',
      'added new ',
    ]);
  });
});

test('applyTree() gives immutable and append-only flags back and works through them', async () => {
  await using image = await makeLoopImage({ fs: 'btrfs', sizeMiB: 256 });
  const [source, live] = ['s', 'l'].map((name) => join(image.mountPath, name)) as [string, string];
  for (const root of [source, live]) {
    mkdirSync(root);
    const flags = root === source ? ['+i', '+a'] : ['+a', '+i'];
    python(
      `
os.mkdir(p(b'd'))
write(p(b'd', b'f'), b'${root === source ? 'good' : 'bad!'}')
write(p(b'log'), b'l')
write(p(b'd', b'plain'), b'p')
subprocess.check_call([b'chattr', b'${flags[0]}', p(b'd', b'f')])
subprocess.check_call([b'chattr', b'${flags[1]}', p(b'log')])
subprocess.check_call([b'chattr', b'+i', p(b'd')])`,
      root,
    );
  }
  try {
    // On the way to a chosen path the flag of a directory goes for a while and comes back.
    await turn(live, source, { subtreeRoots: new PathSet(['d/f'] as RawPath[]) });
    const way = python(
      `print(subprocess.check_output([b'lsattr', b'-d', p(b'd')]).decode())`,
      live,
    );
    expect(way).toMatch(/^----i/);
    expect(readFileSync(join(live, 'd/f'), 'utf8')).toBe('good');
    expect((await turn(live, source)).notes).toEqual([]);
    assertSameTree(source, live);
    const flags = python(`print(subprocess.check_output([b'lsattr', b'-R', root]).decode())`, live);
    expect(flags).toMatch(/^----i\S* \S+\/d$/m);
    expect(flags).toMatch(/^----i\S* \S+\/d\/f$/m);
    expect(flags).toMatch(/^-----a\S* \S+\/log$/m);
  } finally {
    python(`subprocess.call([b'chattr', b'-R', b'-ia', root])`, image.mountPath);
  }
});

test('a full filesystem is POOL_FULL, and the file keeps its old content', async () => {
  await using image = await makeLoopImage({ fs: 'ext4', sizeMiB: 16 });
  await using other = await makeLoopImage({ fs: 'ext4', sizeMiB: 64 });
  writeFileSync(join(other.mountPath, 'big'), Buffer.alloc(30 * 2 ** 20, 7));
  writeFileSync(join(image.mountPath, 'big'), 'old');
  await expect(turn(image.mountPath, other.mountPath)).rejects.toMatchObject({ code: 'POOL_FULL' });
  expect(readFileSync(join(image.mountPath, 'big'), 'utf8')).toBe('old');
});
