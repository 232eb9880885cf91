/**
 * A crowd of processes on one workspace and on several: `npm run prove -- concurrency`.
 *
 * Before it begins, each workspace goes through a few states that are pinned; nobody edits afterwards. So
 * whatever is captured or left must be one of those states, to the byte: a snapshot that saw a half-turned
 * tree would be another. No id may be given twice or be lost, nobody may wait for ever or be refused for
 * having waited. One op is one process.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { verifyCatalog } from '../../src/catalog/verify-catalog.ts';
import type { Environment } from '../../src/daemon/home.ts';
import { initWorkspace } from '../../src/daemon/init-workspace.ts';
import { openWorkspace } from '../../src/daemon/open-workspace.ts';
import { makeLoopImage } from '../platform/loop-image.ts';
import type { CrowdAnswer } from './crowd-child.ts';
import type { Prover, ProverOptions, ProverReport } from './prover.ts';
import { type Place, Witness } from './witness.ts';

const CHILD = join(import.meta.dirname, 'crowd-child.ts');
const STATES = 5;
const FILES = 30;
const CALLS = { bounded: 8, long: 60 } as const;
/** Of the processes, this part is on the first workspace alone; the others share the rest. */
const ON_THE_FIRST = 1 / 2;
/** What may come of a call that another process was quicker than. */
const EXPECTED = new Set(['NOTHING_TO_UNDO', 'SNAPSHOT_NOT_FOUND', 'SNAPSHOT_PINNED']);

export const concurrency: Prover = {
  name: 'concurrency',
  about: 'many processes snapshot, go back and delete on one workspace and on many',
  async run(options) {
    const effort = options.effort({
      bounded: { ops: 16, minutes: 3 },
      long: { ops: 64, minutes: 60 },
    });
    await using image = await makeLoopImage({ fs: 'btrfs', sizeMiB: 1024 });
    await using witness = new Witness();
    const crowd = new Crowd(options, image.mountPath, witness);
    for (const backend of ['btrfs', 'store'] as const) {
      await crowd.gather(backend, Math.ceil(effort.opsMax / 2));
    }
    return crowd.report();
  },
};

interface Ground {
  readonly path: string;
  readonly environment: Environment;
  /** Hashes of the states, by the witness. */
  readonly states: ReadonlySet<string>;
  readonly made: Set<string>;
  readonly deleted: Set<string>;
}

class Crowd {
  readonly #options: ProverOptions;
  readonly #base: string;
  readonly #witness: Witness;
  readonly #failures: string[] = [];
  readonly #counts: Record<string, number> = { processes: 0, calls: 0 };
  #longestMs = 0;

  constructor(options: ProverOptions, base: string, witness: Witness) {
    this.#options = options;
    this.#base = base;
    this.#witness = witness;
  }

  report(): ProverReport {
    const notes = [`the longest call took ${Math.round(this.#longestMs)} ms`];
    return { counts: this.#counts, failures: this.#failures, notes };
  }

  async gather(backend: 'btrfs' | 'store', processes: number): Promise<void> {
    const grounds: Ground[] = [];
    for (let i = 0; i < 4; i += 1) grounds.push(await this.#makeGround(backend, i));
    const children: Promise<void>[] = [];
    for (let i = 0; i < processes; i += 1) {
      const isOnFirst = i < processes * ON_THE_FIRST;
      const ground = grounds[isOnFirst ? 0 : 1 + (i % 3)] as Ground;
      children.push(this.#start(ground, this.#options.seed * 1000 + i));
    }
    await Promise.all(children);
    for (const ground of grounds) await this.#judge(backend, ground);
  }

  async #makeGround(backend: 'btrfs' | 'store', index: number): Promise<Ground> {
    const home = join(this.#base, backend);
    const path = join(home, `work-${index}`);
    mkdirSync(path, { recursive: true });
    const env = { GHOSTSNAP_HOME: join(home, 'ghostsnap'), PATH: process.env.PATH };
    const environment = { env, cwd: '/', homeDir: home, uid: 0 };
    const states = new Set<string>();
    const made = new Set<string>();
    await initWorkspace({ path, environment, backend });
    await using workspace = await openWorkspace({ workspace: path, environment });
    for (const { id } of workspace.list()) made.add(id);
    states.add(await this.#hashOf({ dir: path }));
    for (let state = 0; state < STATES; state += 1) {
      writeState(path, state);
      states.add(await this.#hashOf({ dir: path }));
      const { id } = await workspace.snapshot();
      await workspace.pin(id);
      made.add(id);
    }
    return { path, environment, states, made, deleted: new Set() };
  }

  async #start(ground: Ground, seed: number): Promise<void> {
    const { environment, path } = ground;
    const args = [JSON.stringify(environment), path, `${seed}`, `${CALLS[this.#options.extent]}`];
    const child = spawn(process.execPath, [CHILD, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    const ended = once(child, 'exit');
    for await (const line of createInterface({ input: child.stdout })) {
      this.#note(ground, JSON.parse(line) as CrowdAnswer, seed);
    }
    const [code] = (await ended) as [number | null];
    this.#counts.processes = (this.#counts.processes ?? 0) + 1;
    if (code !== 0) this.#failures.push(`the process of seed ${seed} ended with ${code}: ${said}`);
  }

  #note(ground: Ground, answer: CrowdAnswer, seed: number): void {
    this.#counts.calls = (this.#counts.calls ?? 0) + 1;
    this.#longestMs = Math.max(this.#longestMs, answer.ms);
    const key = answer.code === null ? `${answer.what}s` : answer.code;
    this.#counts[key] = (this.#counts[key] ?? 0) + 1;
    if (answer.code !== null && !EXPECTED.has(answer.code)) {
      this.#failures.push(`seed ${seed}: a ${answer.what} failed with ${answer.code}`);
    }
    for (const id of answer.made) {
      if (ground.made.has(id)) this.#failures.push(`seed ${seed}: the id ${id} was given twice`);
      ground.made.add(id);
    }
    for (const id of answer.deleted) ground.deleted.add(id);
  }

  async #judge(backend: 'btrfs' | 'store', ground: Ground): Promise<void> {
    const { path, environment, states, made, deleted } = ground;
    await using workspace = await openWorkspace({ workspace: path, environment });
    const { poolRoot, workspace: ws, pool } = workspace.info;
    const listed = new Set(workspace.list().map(({ id }) => id as string));
    for (const id of made) {
      if (!deleted.has(id) && !listed.has(id)) this.#failures.push(`${path}: ${id} is lost`);
    }
    for (const id of deleted) {
      if (listed.has(id)) this.#failures.push(`${path}: ${id} was deleted and is listed`);
    }
    const places: Record<string, Place> = { live: { dir: path } };
    for (const id of listed) {
      places[id] =
        backend === 'store'
          ? { store: poolRoot, workspace: ws, snapshot: id }
          : { dir: join(poolRoot, '.ghostsnap', ws, id) };
    }
    for (const [name, hash] of Object.entries(await this.#witness.hashes(places))) {
      if (!states.has(hash)) this.#failures.push(`${path}: ${name} is none of the states`);
    }
    const home = environment.env.GHOSTSNAP_HOME ?? '';
    const file = join(home, 'pools', pool, 'catalog.db');
    for (const problem of verifyCatalog({ file })) this.#failures.push(`${file}: ${problem}`);
  }

  async #hashOf(place: Place): Promise<string> {
    return (await this.#witness.hashes({ it: place })).it ?? '';
  }
}

/** Each state differs from the one before in most files, and some come and go. */
function writeState(path: string, state: number): void {
  mkdirSync(join(path, 'deep'), { recursive: true });
  for (let file = 0; file < FILES; file += 1) {
    const name = join(path, file % 2 === 0 ? 'deep' : '.', `f${file}`);
    if ((file + state) % 5 === 0) rmSync(name, { force: true });
    else if ((file + state) % 3 !== 0) writeFileSync(name, `${state}`.repeat(1 + file * 40));
  }
}
