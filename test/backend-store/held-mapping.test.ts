/**
 * A program that keeps a file mapped and stores to it moves no time stamp after the first store, and
 * makes no event: the next snapshot must hold what it stored all the same, also once it let go. On tmpfs:
 * elsewhere a flush before each capture makes the next store move them again.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Backend } from '../../src/backend/backend.ts';
import type { RawPath } from '../../src/core/raw-path.ts';
import { pythonPath } from '../checker/tree-digest.ts';
import { StoreStage } from './store-stage.ts';

/** Each line of its input goes to the start of the file, through one mapping; the end of input lets go. */
const HOLDER = `
import mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
mapping = mmap.mmap(fd, 0)
os.close(fd)
for line in sys.stdin:
    text = line.strip().encode()
    mapping[0:len(text)] = text
    print("stored", flush=True)
`;

let stage: StoreStage;

beforeEach(() => {
  stage = new StoreStage('/dev/shm');
});
afterEach(() => stage?.[Symbol.dispose]());

class Holder implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #answers: AsyncIterator<string>;

  constructor(path: string) {
    this.#child = spawn(pythonPath(), ['-c', HOLDER, path], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async store(text: string): Promise<void> {
    this.#child.stdin.write(`${text}\n`);
    expect((await this.#answers.next()).value).toBe('stored');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.stdin.end();
    await ended;
  }
}

async function captured(backend: Backend): Promise<string> {
  using reader = await backend.openTree(stage.ref, stage.take(backend));
  return Buffer.from(reader.readFile('f' as RawPath, 0, 100)).toString();
}

test.each(['on', 'off'] as const)('a snapshot holds it, watching %s', async (watch) => {
  // As if a while had passed since the store: what is just changed is read again in any case.
  await using backend = await stage.open({ watch, nowMs: () => Date.now() + 60_000 });
  const path = join(stage.live, 'f');
  writeFileSync(path, 'nothing');
  await captured(backend);
  {
    await using holder = new Holder(path);
    for (const text of ['first--', 'second-', 'third--']) {
      await holder.store(text);
      expect(await captured(backend)).toBe(text);
    }
    await holder.store('last---');
  }
  expect(readFileSync(path, 'utf8')).toBe('last---');
  expect(await captured(backend)).toBe('last---');
});
