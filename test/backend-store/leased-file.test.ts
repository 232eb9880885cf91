/**
 * A file that another process holds a lease on: it is asked to give way, and nobody waits the 45 s that the
 * kernel would let it have.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { pythonPath } from '../checker/tree-digest.ts';
import { StoreStage } from './store-stage.ts';

/** Takes a lease for writing; asked to give way, it does or does not; the end of input ends it. */
const HOLDER = `
import fcntl, os, signal, sys
fd = os.open(sys.argv[1], os.O_RDWR)
give_way = lambda *_: fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
signal.signal(signal.SIGIO, give_way if sys.argv[2] == 'gives-way' else lambda *_: None)
fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print('held', flush=True)
sys.stdin.read()
`;

async function holdLease(path: string, way: 'gives-way' | 'stays'): Promise<AsyncDisposable> {
  const child = spawn(pythonPath(), ['-c', HOLDER, path, way], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  expect((await lines.next()).value).toBe('held');
  return {
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'exit');
      child.stdin.end();
      await ended;
    },
  };
}

describe('a leased file', () => {
  let stage: StoreStage;

  beforeEach(() => {
    stage = new StoreStage();
  });
  afterEach(() => stage?.[Symbol.dispose]());

  it('is captured when its holder gives way', async () => {
    const path = join(stage.live, 'f');
    writeFileSync(path, 'leased');
    await using backend = await stage.open();
    await using _holder = await holdLease(path, 'gives-way');
    const id = stage.take(backend);
    writeFileSync(path, 'later');
    await backend.applyInPlace(stage.ref, id);
    expect(readFileSync(path, 'utf8')).toBe('leased');
  });

  it('ends the snapshot with its path when its holder stays, and the next one holds it', async () => {
    const path = join(stage.live, 'f');
    writeFileSync(path, 'leased');
    await using backend = await stage.open();
    {
      await using _holder = await holdLease(path, 'stays');
      expect(() => stage.take(backend)).toThrow(
        expect.objectContaining({
          code: 'CAPTURE_FAILED',
          data: { path: 'f', errno: 'EAGAIN' },
          message: 'Another process holds a lease on the file: f',
          hint: expect.stringContaining('/proc/locks'),
        }),
      );
    }
    const id = stage.take(backend);
    writeFileSync(path, 'later');
    await backend.applyInPlace(stage.ref, id);
    expect(readFileSync(path, 'utf8')).toBe('leased');
  });
});
