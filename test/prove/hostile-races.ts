/**
 * Rollbacks and restores while a process exchanges components of their paths for symlinks that lead out
 * of the workspace, as fast as it can.
 *
 * What lies outside is the same user's own, so that nothing but the product's care protects it. After each
 * turn it is looked at by the witness; when the swapper has ended, the workspace must come to the tree it
 * is asked for. A turn may fail meanwhile, with a code.
 */
import { type ChildProcessByStdio, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import type { SnapshotId } from '../../src/index.ts';
import { SimRandom } from '../sim/sim-random.ts';
import { AnsweringChild } from './child-process.ts';
import type { Spending } from './effort.ts';
import type { HostileAnswer, HostileRequest } from './hostile-child.ts';
import { maySay } from './hostile-codes.ts';
import type { UserBed } from './model-beds.ts';
import type { Witness } from './witness.ts';

const CHILD = join(import.meta.dirname, 'hostile-child.ts');
const FILES = 6;
/** Turns between two deletions of the snapshots that they took. */
const THIN_OUT_EVERY = 24;
/** Turns with one swapper; then it ends and the tree is looked at. */
const TURNS_A_ROUND = 12;

/** Symlinks below the workspace, each to its like outside; they are exchanged with what they are like. */
const LINKS = { a: 'to-a', 'a/b': 'to-b', 'a/b/c': 'a/to-c', 'a/f1': 'to-f1' } as const;

/**
 * What is exchanged at once. Never something below another: through a symlink the attacker would reach
 * outside himself.
 */
const ATTACKS: readonly (readonly (keyof typeof LINKS)[])[] = [
  ['a'],
  ['a/b'],
  ['a/b', 'a/f1'],
  ['a/b/c', 'a/f1'],
  ['a/b/c'],
];

export interface RaceCounts {
  turns: number;
  exchanges: number;
  refused: number;
}

export interface RaceOptions {
  readonly bed: UserBed;
  readonly witness: Witness;
  readonly swapper: string;
  readonly seed: number;
  readonly effort: Spending;
  readonly counts: RaceCounts;
}

/** @returns what went wrong */
export async function raceTurns(options: RaceOptions): Promise<string[]> {
  await using race = new Race(options);
  return await race.run();
}

class Race implements AsyncDisposable {
  readonly #options: RaceOptions;
  readonly #folder: string;
  readonly #live: string;
  readonly #outside: string;
  readonly #child: AnsweringChild<HostileRequest, HostileAnswer>;
  readonly #random: SimRandom;
  readonly #failures: string[] = [];

  constructor(options: RaceOptions) {
    const { base, uid } = options.bed;
    this.#options = options;
    this.#random = new SimRandom(options.seed);
    this.#folder = mkdtempSync(join(base, 'race-'));
    this.#live = join(this.#folder, 'work');
    this.#outside = join(this.#folder, 'outside');
    for (const root of [this.#live, this.#outside]) {
      mkdirSync(join(root, 'a/b/c'), { recursive: true });
      fill(root, 'first');
    }
    for (const [to, link] of Object.entries(LINKS)) {
      symlinkSync(join(this.#outside, to), join(this.#live, link));
    }
    if (uid !== undefined) execFileSync('chown', ['-hR', `${uid}:${uid}`, this.#folder]);
    this.#child = new AnsweringChild({ script: CHILD, args: [this.#folder], uid });
  }

  async run(): Promise<string[]> {
    const { bed, effort } = this.#options;
    const first = await this.#ask({ op: 'init', backend: bed.backend });
    const states = [first];
    for (const text of ['second', 'third, which is longer than the others']) {
      fill(this.#live, text);
      states.push(await this.#ask({ op: 'snapshot' }));
    }
    const ids = states.flatMap(({ snapshot }) => (snapshot === null ? [] : [snapshot.id]));
    const hashes = await this.#hashes(states);
    const outside = await this.#outsideHash();
    while (!effort.isSpent && this.#failures.length === 0) {
      await this.#round(ids, outside);
      await this.#settle(ids, hashes);
    }
    return this.#failures;
  }

  async #round(ids: readonly SnapshotId[], outside: string): Promise<void> {
    const { effort, counts, swapper, bed } = this.#options;
    const names = this.#someNames();
    const attacker = new Swapper(swapper, names, bed.uid);
    for (let turn = 0; turn < TURNS_A_ROUND && !effort.isSpent; turn += 1) {
      const id = this.#random.pick(ids);
      const request: HostileRequest = this.#random.oneIn(3)
        ? { op: 'restore', id, paths: [this.#random.pick(['a', 'a/b', 'a/b/c/f2', 'a/f1'])] }
        : { op: 'rollback', id };
      const { code, message } = await this.#ask(request);
      effort.done += 1;
      counts.turns += 1;
      if (code !== null) counts.refused += 1;
      if (!maySay(code)) this.#failures.push(`${code}: ${message}`);
      const now = await this.#outsideHash();
      if (now !== outside) {
        this.#failures.push(`something outside was written by ${JSON.stringify(request)}`);
        break;
      }
      if (counts.turns % THIN_OUT_EVERY === 0) await this.#ask({ op: 'thin-out' });
    }
    counts.exchanges += await attacker.end();
  }

  /** Nobody is in the way any more: what is asked for is reached. */
  async #settle(ids: readonly SnapshotId[], hashes: readonly string[]): Promise<void> {
    const at = this.#random.below(ids.length);
    await this.#ask({ op: 'recover' });
    const turned = await this.#ask({ op: 'rollback', id: ids[at] as SnapshotId });
    if (turned.code !== null) this.#failures.push(`after the race: ${turned.message}`);
    const { it } = await this.#options.witness.hashes({ it: { dir: this.#live } });
    if (it !== hashes[at]) this.#failures.push('after the race: the tree is not the target');
  }

  #someNames(): string[] {
    const attacked = this.#random.pick(ATTACKS);
    return attacked.flatMap((name) => [join(this.#live, name), join(this.#live, LINKS[name])]);
  }

  async #hashes(states: readonly HostileAnswer[]): Promise<string[]> {
    const { witness } = this.#options;
    const places = states.map(({ snapshot }) => snapshot?.place ?? { dir: '' });
    const hashes: string[] = [];
    for (const it of places) hashes.push((await witness.hashes({ it })).it ?? '');
    return hashes;
  }

  async #outsideHash(): Promise<string> {
    const { it = '' } = await this.#options.witness.hashes({ it: { dir: this.#outside } });
    return it;
  }

  async #ask(request: HostileRequest): Promise<HostileAnswer> {
    const answer = await this.#child.ask(request);
    if (answer !== null) return answer;
    throw new Error(`The process died of ${JSON.stringify(request)}.`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child[Symbol.asyncDispose]();
  }
}

function fill(root: string, text: string): void {
  for (const directory of ['a', 'a/b', 'a/b/c']) {
    for (let file = 0; file < FILES; file += 1) {
      writeFileSync(join(root, directory, `f${file}`), `${text} ${directory} ${file}`);
    }
  }
}

/** The attacker's process. */
class Swapper {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;

  constructor(program: string, names: readonly string[], uid: number | undefined) {
    this.#child = spawn(program, names, {
      stdio: ['pipe', 'pipe', 'inherit'],
      ...(uid === undefined ? {} : { uid, gid: uid }),
    });
  }

  /** How often it exchanged. */
  async end(): Promise<number> {
    const ended = once(this.#child, 'exit');
    let text = '';
    this.#child.stdout.on('data', (piece: Buffer) => {
      text += piece.toString();
    });
    this.#child.stdin.end();
    await ended;
    return Number(text);
  }
}
