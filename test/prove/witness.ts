/**
 * The witness of test/checker as a process that stays: it edits the live tree and lists trees.
 *
 * Nothing of the product is on the other side. One request at a time; an error there is an error here.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { pythonPath } from '../checker/tree-digest.ts';
import type { TreeEdit } from './tree-edit.ts';

const SCRIPT = join(import.meta.dirname, '..', 'checker', 'witness.py');

/** A directory (a live tree, a btrfs snapshot), or a snapshot in a store's own files. */
export type Place =
  | { readonly dir: string }
  | { readonly store: string; readonly workspace: string; readonly snapshot: string };

/** What the kernel decides: [path, mode, uid, gid, mtimeNs, access control lists]. */
export type EntryFacts = readonly [string, number, number, number, string, Record<string, string>];

interface Answer {
  readonly error?: string;
  readonly entries?: readonly EntryFacts[];
  readonly trees: Readonly<Record<string, string | readonly string[]>>;
}

export class Witness implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string>;

  constructor() {
    this.#child = spawn(pythonPath(), ['-B', SCRIPT], { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** Runs the edits below `root`. @returns the facts of every entry afterwards */
  async edit(root: string, edits: readonly TreeEdit[]): Promise<readonly EntryFacts[]> {
    const { entries = [] } = await this.#ask({ root, run: edits });
    return entries;
  }

  /** SHA-256 of each tree's listing. */
  async hashes(places: Readonly<Record<string, Place>>): Promise<Readonly<Record<string, string>>> {
    const { trees } = await this.#ask({ list: places });
    return trees as Record<string, string>;
  }

  async lines(place: Place): Promise<readonly string[]> {
    const { trees } = await this.#ask({ list: { it: place }, lines: true });
    return trees.it as readonly string[];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.stdin.end();
    if (this.#child.exitCode === null && this.#child.signalCode === null) await ended;
  }

  async #ask(request: Record<string, unknown>): Promise<Answer> {
    this.#child.stdin.write(`${JSON.stringify(request, replaceBytes)}\n`);
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error('The witness has ended.');
    const answer = JSON.parse(value) as Answer;
    if (answer.error === undefined) return answer;
    throw new Error(`The witness says: ${answer.error}, asked ${JSON.stringify(request)}`);
  }
}

/** Bytes are texts of one byte a unit on the wire, and 64-bit numbers are texts. */
function replaceBytes(this: Record<string, unknown>, key: string, value: unknown): unknown {
  const own = this[key];
  if (Buffer.isBuffer(own)) return own.toString('latin1');
  return typeof value === 'bigint' ? `${value}` : value;
}
