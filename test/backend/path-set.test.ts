import { readFileSync, writeSync } from 'node:fs';
import { expect, test } from 'vitest';
import { PathSet } from '../../src/backend/path-set.ts';
import { SyscallError } from '../../src/backend/syscall-error.ts';
import { errnoOf, toGhostsnapError } from '../../src/backend/syscall-failure.ts';
import { closeFd, openPipe } from '../../src/backend/syscalls-linux.ts';
import { comparePaths, type RawPath } from '../../src/core/raw-path.ts';

const paths = ['b', 'a/b/c', 'a.b', 'a', 'a/z', 'a/b'] as RawPath[];

test('a PathSet is iterated in walk order, whatever the order of adding', () => {
  expect([...new PathSet(paths)]).toEqual([...paths].sort(comparePaths));
});

test('a PathSet knows its members, what lies below, and what they cover', () => {
  const set = new PathSet(['a/b', 'c'] as RawPath[]);
  const ask = (path: string) => [
    set.hasExact(path as RawPath),
    set.mayContainBelow(path as RawPath),
    set.covers(path as RawPath),
  ];
  expect(ask('a')).toEqual([false, true, false]);
  expect(ask('a/b')).toEqual([true, false, true]);
  expect(ask('a/b/x')).toEqual([false, false, true]);
  expect(ask('a/bb')).toEqual([false, false, false]);
  expect(ask('')).toEqual([false, true, false]);
});

test('a PathSet that retains some forgets the others with what lies below them', () => {
  const set = new PathSet(paths);
  const kept = new Set([set.find('b' as RawPath), set.find('a' as RawPath)]);
  kept.add(set.find('a/b' as RawPath));
  set.retain((node) => kept.has(node));
  expect([...set]).toEqual(['a', 'a/b', 'b']);
  expect(set.size).toBe(3);
});

test.each(['..', 'a/../b', '/etc', 'a//b', 'a/.'])('a PathSet refuses %s', (path) => {
  expect(() => new PathSet([path as RawPath])).toThrow(/stays below its root/);
});

test.each([
  ['ENOSPC', 28, 'POOL_FULL'],
  ['EDQUOT', 122, 'POOL_FULL'],
  ['EACCES', 13, 'NOT_PERMITTED'],
  ['EPERM', 1, 'NOT_PERMITTED'],
  ['EROFS', 30, 'NOT_PERMITTED'],
  ['EMFILE', 24, 'LIMIT_EXCEEDED'],
  ['EIO', 5, 'IO'],
  ['ENOTEMPTY', 39, 'RESTORE_FAILED'],
])('toGhostsnapError() turns %s into a code with a hint', (name, errno, code) => {
  const cause = new SyscallError('call', errno, 'x');
  expect(errnoOf(cause)).toBe(name);
  const error = toGhostsnapError(cause, {
    what: 'Trying',
    path: 'a\xff',
    fallback: 'RESTORE_FAILED',
  });
  expect(error).toMatchObject({ code, cause, message: `Trying failed with ${name}: a\\xff` });
  expect(error).toHaveProperty('hint', expect.stringMatching(/\.$/));
});

test('toGhostsnapError() passes a bug through', () => {
  const bug = new TypeError('bug');
  expect(toGhostsnapError(bug, { what: 'Trying', path: '' })).toBe(bug);
});

test('openPipe() holds as much as the system allows when more is asked for', () => {
  const allowedBytes = Number(readFileSync('/proc/sys/fs/pipe-max-size', 'utf8'));
  const { readFd, writeFd } = openPipe(allowedBytes * 2);
  const chunk = Buffer.alloc(65_536);
  let heldBytes = 0;
  try {
    for (;;) heldBytes += writeSync(writeFd, chunk);
  } catch (error) {
    expect(errnoOf(error)).toBe('EAGAIN');
  } finally {
    closeFd(readFd);
    closeFd(writeFd);
  }
  expect(heldBytes).toBeGreaterThanOrEqual(allowedBytes);
});
