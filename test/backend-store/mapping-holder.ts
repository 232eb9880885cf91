/**
 * A process that keeps a file mapped, shared and writable, after it closed it, and stores when told.
 *
 * Its answers are read by lines: Python writes a line and its end apart when PYTHONUNBUFFERED is set, and
 * whoever takes each piece for an answer takes the second one for the answer to the next store.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { expect } from 'vitest';
import { pythonPath } from '../checker/tree-digest.ts';

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

export class MappingHolder implements AsyncDisposable {
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
