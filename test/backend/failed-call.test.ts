/**
 * errno read after V8 had the thread: the call that failed is asked again, and believed when it says the
 * same twice. The disturbance is real in kind (another value in the thread's errno), only its moment is
 * chosen here.
 */
import koffi from 'koffi';
import { describe, expect, it } from 'vitest';
import { settled, settledThreaded, type ThreadedResult } from '../../src/backend/failed-call.ts';
import { seekHole } from '../../src/backend/syscalls-data-linux.ts';
import { openAt } from '../../src/backend/syscalls-linux.ts';
import { Statx } from '../../src/backend/syscalls-statx-linux.ts';

const { EAGAIN, ENOENT, ENOMEM } = koffi.os.errno as Record<string, number>;
const MISSING = Buffer.from('/there/is/no/such/path\0');

const openat = koffi
  .load(null)
  .func('int openat(int dirfd, const void *path, int flags, unsigned int mode)');

/** openat(2) of a path that is not there, with errno overwritten after the first tries. */
function disturbedBy(...overwritten: readonly (number | undefined)[]) {
  const left = [...overwritten];
  return () => {
    const result = openat(-100, MISSING, 0, 0) as number;
    const value = left.shift();
    if (value !== undefined) koffi.errno(value);
    return result;
  };
}

describe('the errno of a call that failed', () => {
  it.each([
    ['not at all', []],
    ['once', [EAGAIN]],
    ['the second time', [undefined, EAGAIN]],
    ['twice, each time otherwise', [EAGAIN, ENOMEM]],
  ])('is the one it failed with when it is overwritten %s', (_, overwritten) => {
    expect(settled(disturbedBy(...overwritten))).toBe(-(ENOENT ?? 0));
  });

  it('is of no interest when the call succeeds after all', () => {
    const results = [-1, 7];
    expect(settled(() => results.shift() ?? -1)).toBe(7);
  });

  it('makes a call that succeeds once', () => {
    let calls = 0;
    settled(() => {
      calls += 1;
      return 0;
    });
    expect(calls).toBe(1);
  });
});

/** The same on a thread, with errno overwritten when the callback reads it. */
function disturbedOnThreadBy(...overwritten: readonly (number | undefined)[]) {
  const left = [...overwritten];
  return () =>
    new Promise<ThreadedResult>((resolve, reject) => {
      openat.async(-100, MISSING, 0, 0, (error: Error | null, result: number) => {
        const value = left.shift();
        if (value !== undefined) koffi.errno(value);
        if (error === null) resolve({ result, errno: koffi.errno() });
        else reject(error);
      });
    });
}

describe('the errno of a call that failed on a thread', () => {
  it.each([
    ['not at all', []],
    ['once', [EAGAIN]],
    ['the second time', [undefined, EAGAIN]],
    ['twice, each time otherwise', [EAGAIN, ENOMEM]],
  ])('is the one it failed with when it is overwritten %s', async (_, overwritten) => {
    expect(await settledThreaded(disturbedOnThreadBy(...overwritten))).toBe(-(ENOENT ?? 0));
  });

  it('is of no interest when the call succeeds after all, and success is not asked again', async () => {
    const results = [
      { result: -1, errno: 5 },
      { result: 7, errno: 5 },
    ];
    expect(await settledThreaded(async () => results.shift() as ThreadedResult)).toBe(7);
    expect(results).toEqual([]);
  });
});

describe('a call that fails', () => {
  it('says what the kernel said', () => {
    expect(() => openAt(-100, '/there/is/no/such/path', 0)).toThrow('openat failed with ENOENT');
    expect(() => seekHole(-1, 0)).toThrow('lseek failed with EBADF on descriptor -1');
    expect(new Statx().tryRead(-100, '/there/is/no/such/path')).toBe(ENOENT);
    expect(new Statx().tryRead(-100, '/proc')).toBe(0);
  });
});
