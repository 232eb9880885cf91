/** A child that answers JSON lines, as root or as a plain user; its end by a signal is an answer too. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

export interface ChildOptions {
  /** The script and its arguments. */
  readonly script: string;
  readonly args: readonly string[];
  /** Drops to it, and the same group, before anything is loaded. */
  readonly uid: number | undefined;
}

export class AnsweringChild<Q, A> implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string>;

  constructor({ script, args, uid }: ChildOptions) {
    this.#child = spawn(process.execPath, [script, ...args], {
      stdio: ['pipe', 'pipe', 'inherit'],
      cwd: '/',
      env: { ...process.env, HOME: '/nonexistent', NODE_COMPILE_CACHE: '' },
      ...(uid === undefined ? {} : { uid, gid: uid }),
    });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
    // Writing to a child that has died is told by the answer that does not come.
    this.#child.stdin.on('error', () => undefined);
  }

  /** null: it died instead of answering. */
  async ask(request: Q): Promise<A | null> {
    this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await this.#lines.next();
    return done === true ? null : (JSON.parse(value) as A);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.stdin.end();
    await ended;
  }
}
