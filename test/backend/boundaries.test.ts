/** Mounts, nested subvolumes and sockets: listed, never entered, never removed. */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openDirectoryTree } from '../../src/backend/directory-tree.ts';
import { listMountsBelow, listUncovered } from '../../src/backend/list-uncovered.ts';
import { removeTree } from '../../src/backend/remove-tree.ts';
import { applyTree } from '../../src/backend/tree-apply.ts';
import { extractTree } from '../../src/backend/tree-extract.ts';
import type { RawName, RawPath } from '../../src/core/raw-path.ts';
import { makeLoopImage } from '../platform/loop-image.ts';
import { python } from './rich-tree.ts';

const unknown = { sameContent: () => 'unknown' as const };

test('a tmpfs, a bind mount, a mounted file and a subvolume survive whatever is asked', async () => {
  await using image = await makeLoopImage({ fs: 'btrfs', sizeMiB: 256 });
  const [source, live, bound] = ['source', 'live', 'bound'].map((n) =>
    join(image.mountPath, n),
  ) as [string, string, string];
  for (const path of [source, live, bound]) mkdirSync(path);
  writeFileSync(join(bound, 'inside'), 'bound');
  python(
    `os.makedirs(p(b'a', b'b', b'tmp')); os.mkdir(p(b'bind')); write(p(b'file'), b'under'); os.mkdir(p(b'more')); write(p(b'more', b'x'), b'x')`,
    live,
  );
  const at = (name: string): string => join(live, name);
  execFileSync('mount', ['-t', 'tmpfs', 'none', at('a/b/tmp')]);
  execFileSync('mount', ['--bind', bound, at('bind')]);
  execFileSync('mount', ['--bind', join(bound, 'inside'), at('file')]);
  execFileSync('btrfs', ['subvolume', 'create', at('a/sub')]);
  writeFileSync(at('a/b/tmp/t'), 'tmpfs');
  writeFileSync(at('a/sub/s'), 'subvolume');
  python(`s = socket.socket(socket.AF_UNIX); os.chdir(root); s.bind('sock')`, live);

  using tree = openDirectoryTree(live, 'live');
  expect(await listUncovered(tree)).toEqual([
    { path: 'a/b/tmp', reason: 'mount' },
    { path: 'a/sub', reason: 'subvolume' },
    { path: 'bind', reason: 'mount' },
    { path: 'file', reason: 'mount' },
    { path: 'sock', reason: 'socket' },
  ]);
  expect(listMountsBelow(live).map(({ path }) => path)).toEqual(['a/b/tmp', 'bind', 'file']);
  expect(() => tree.readDirectory('bind' as RawPath)).toThrow(/EXDEV/);
  expect(tree.lookup('a/sub/s' as RawPath)).toBeNull();

  using empty = openDirectoryTree(source, 'live');
  const { notes } = await applyTree({ livePath: live, source: empty, ...unknown });
  expect(notes.map(({ path }) => path).sort()).toEqual(['a/b/tmp', 'a/sub', 'bind', 'file']);
  expect(existsSync(at('more'))).toBe(false);
  const parentFd = openSync(live, 'r');
  try {
    const { kept } = await removeTree({ parentFd, name: 'a' as RawName });
    expect([...kept].sort()).toEqual(['a/b/tmp', 'a/sub']);
  } finally {
    closeSync(parentFd);
  }
  expect(readFileSync(at('a/b/tmp/t'), 'utf8')).toBe('tmpfs');
  expect(readFileSync(at('a/sub/s'), 'utf8')).toBe('subvolume');
  expect(readFileSync(at('bind/inside'), 'utf8')).toBe('bound');
  expect(existsSync(at('sock'))).toBe(true);
});

test('a subvolume that is an empty directory in the snapshot is neither entered nor deleted', async () => {
  await using image = await makeLoopImage({ fs: 'btrfs', sizeMiB: 256 });
  const [live, snapshot] = [join(image.mountPath, 'ws'), join(image.mountPath, 'snap')];
  execFileSync('btrfs', ['subvolume', 'create', live]);
  execFileSync('btrfs', ['subvolume', 'create', join(live, 'nested')]);
  writeFileSync(join(live, 'nested/precious'), 'p');
  writeFileSync(join(live, 'f'), '1');
  execFileSync('btrfs', ['subvolume', 'snapshot', '-r', live, snapshot]);
  writeFileSync(join(live, 'f'), '2');
  using source = openDirectoryTree(snapshot, 'live');
  expect(source.lookup('nested' as RawPath)?.type).toBe('subvolume');
  await applyTree({ livePath: live, source, ...unknown });
  expect(readFileSync(join(live, 'f'), 'utf8')).toBe('1');
  expect(readFileSync(join(live, 'nested/precious'), 'utf8')).toBe('p');
  // Nor does what a person put in its place go for something that cannot be made again.
  execFileSync('btrfs', ['subvolume', 'delete', join(live, 'nested')]);
  mkdirSync(join(live, 'nested'));
  writeFileSync(join(live, 'nested/own'), 'mine');
  const { notes } = await applyTree({ livePath: live, source, ...unknown });
  expect(notes).toMatchObject([{ path: 'nested' }]);
  expect(readFileSync(join(live, 'nested/own'), 'utf8')).toBe('mine');
});

test('removeTree() refuses a name that leads to another inode by now', async () => {
  await using image = await makeLoopImage({ fs: 'ext4', sizeMiB: 32 });
  mkdirSync(join(image.mountPath, 'd'));
  const parentFd = openSync(image.mountPath, 'r');
  try {
    const request = { parentFd, name: 'd' as RawName, expectedIno: 999_999 };
    await expect(removeTree(request)).rejects.toMatchObject({ code: 'TREE_CHANGED' });
    expect(existsSync(join(image.mountPath, 'd'))).toBe(true);
    expect(await removeTree({ parentFd, name: 'missing' as RawName })).toEqual({
      removed: 0,
      kept: [],
    });
  } finally {
    closeSync(parentFd);
  }
});

test('extractTree() writes chosen paths and refuses what is there already, before writing', async () => {
  await using image = await makeLoopImage({ fs: 'ext4', sizeMiB: 32 });
  const [from, to] = [join(image.mountPath, 'from'), join(image.mountPath, 'to')];
  mkdirSync(from);
  python(
    `os.makedirs(p(b'd', b'e')); write(p(b'd', b'e', b'f'), b'f'); write(p(b'g'), b'g')`,
    from,
  );
  using source = openDirectoryTree(from, 'live');
  const paths = ['d/e'] as RawPath[];
  await extractTree({ source, paths, toDirectory: to });
  expect(readFileSync(join(to, 'd/e/f'), 'utf8')).toBe('f');
  expect(existsSync(join(to, 'g'))).toBe(false);
  writeFileSync(join(to, 'd/e/f'), 'mine');
  const again = extractTree({ source, paths: ['g', 'd/e/f'] as RawPath[], toDirectory: to });
  await expect(again).rejects.toMatchObject({ code: 'TARGET_EXISTS' });
  expect(existsSync(join(to, 'g'))).toBe(false);
  expect(readFileSync(join(to, 'd/e/f'), 'utf8')).toBe('mine');
  const missing = extractTree({ source, paths: ['no'] as RawPath[], toDirectory: to });
  await expect(missing).rejects.toMatchObject({ code: 'PATH_NOT_IN_SNAPSHOT' });
});

test('a reader follows no symlink, neither at the end of a path nor on the way', async () => {
  await using image = await makeLoopImage({ fs: 'ext4', sizeMiB: 32 });
  const [live, outside] = [join(image.mountPath, 'live'), join(image.mountPath, 'outside')];
  for (const path of [live, outside]) mkdirSync(path);
  python(`os.makedirs(p(b'd', b'e')); write(p(b'd', b'e', b'f'), b'outside')`, outside);
  python(
    `
os.symlink(b'../outside/d', p(b'relative'))
os.symlink(b'${outside}/d', p(b'absolute'))
os.symlink(b'.', p(b'self'))
write(p(b'own'), b'own'); os.symlink(b'own', p(b'file'))`,
    live,
  );
  using tree = openDirectoryTree(live, 'live');
  for (const link of ['relative', 'absolute', 'self']) {
    const [directory, file] = [`${link}/e`, `${link}/e/f`] as [RawPath, RawPath];
    expect(() => tree.readDirectory(link as RawPath)).toThrow(/ELOOP|ENOTDIR/);
    expect(() => tree.readDirectory(directory)).toThrow(/ELOOP|ENOTDIR/);
    expect(tree.lookup(directory)).toBeNull();
    expect(tree.lookup(file)).toBeNull();
    expect(() => tree.readFile(file, 0, 10)).toThrow(/ELOOP|ENOTDIR/);
    expect(() => tree.readXattrs(file)).toThrow(/ELOOP|ENOTDIR/);
    expect(() => tree.readLink(file)).toThrow(/ELOOP|ENOTDIR/);
  }
  expect(() => tree.readFile('file' as RawPath, 0, 10)).toThrow(/ELOOP/);
  expect(tree.readLink('relative' as RawPath)).toBe('../outside/d');
});

test('what took the place of a file is not read for one: a FIFO, a directory, a symlink', () => {
  const live = mkdtempSync(join(tmpdir(), 'ghostsnap-place-'));
  try {
    python(
      `os.mkfifo(p(b'fifo')); os.mkdir(p(b'dir')); os.symlink('/etc/passwd', p(b'link'))`,
      live,
    );
    using tree = openDirectoryTree(live, 'live');
    for (const name of ['fifo', 'dir', 'link']) {
      expect(() => tree.readFile(name as RawPath, 0, 16)).toThrow(/ESTALE|ELOOP/);
    }
  } finally {
    rmSync(live, { recursive: true });
  }
});
