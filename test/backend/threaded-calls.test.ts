/**
 * Thousands of system calls on threads at once: none is refused, whichever part of the program was loaded
 * first.
 */
import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';

const ROOT = new URL('../../', import.meta.url).href;

/** Each on its own brings koffi along. */
const FIRST = [
  'src/catalog/open-catalog.ts',
  'src/backend/syscalls-inode-linux.ts',
  'src/backend/syscalls-linux.ts',
  'src/locks/lock-file.ts',
];

describe('threaded calls', () => {
  it.each(FIRST)('are not refused, however many, when %s is loaded first', (first) => {
    const script = `
      await import('${ROOT}${first}');
      const { ioctlAsync } = await import('${ROOT}src/backend/threaded-ioctl.ts');
      const nothing = { fd: -1, request: 0, arg: Buffer.alloc(8), name: 'nothing' };
      const call = () => ioctlAsync(nothing).catch((error) => error.code);
      const results = await Promise.all(Array.from({ length: 5000 }, call));
      console.log([...new Set(results)].join(' '));`;
    const args = ['--input-type=module', '-e', script];
    expect(execFileSync(process.execPath, args, { encoding: 'utf8' }).trim()).toBe('EBADF');
  });
});
