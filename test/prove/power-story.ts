/**
 * What happens on the recorded disk, and what was promised at which position of the log.
 *
 * The story is an ordinary session: edits, most of them never synced, snapshots, rollbacks, undo, pins,
 * labels, deletions, now and then by a new engine. Each promise is noted when the call has come back,
 * with the hash of the tree by the witness.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { initWorkspace } from '../../src/daemon/init-workspace.ts';
import { openWorkspace } from '../../src/daemon/open-workspace.ts';
import type { Workspace } from '../../src/engine/workspace-api.ts';
import type { SimRandom } from '../sim/sim-random.ts';
import type { PowerPlace } from './power-ground.ts';
import { POOL } from './power-ground.ts';
import type { RecordingDisk } from './recording-disk.ts';
import type { Witness } from './witness.ts';

/** Positions are those of the log; what was never done has none. */
export interface PromisedSnapshot {
  readonly id: string;
  /** Of its tree. */
  readonly hash: string;
  readonly promisedAt: number;
  deletingAt: number;
  pinnedAt: number;
  unpinningAt: number;
  label: string | null;
  labelledAt: number;
}

/** The live tree is this from one position to another, and nobody need have synced it. */
export interface PromisedLive {
  readonly hash: string;
  readonly from: number;
  to: number;
}

export interface Story {
  /** The workspace's contents were on disk before init began. */
  readonly filledAt: number;
  readonly filledHash: string;
  readonly initAt: number;
  readonly snapshots: readonly PromisedSnapshot[];
  readonly lives: readonly PromisedLive[];
}

const NEVER = Number.POSITIVE_INFINITY;
const FILES = 40;
const BIG_BYTES = 200_000;

export interface StoryParts {
  readonly place: PowerPlace;
  readonly disk: RecordingDisk;
  readonly witness: Witness;
  readonly random: SimRandom;
  readonly rounds: number;
}

export async function tellStory(parts: StoryParts): Promise<Story> {
  return await new StoryTeller(parts).tell();
}

class StoryTeller {
  readonly #parts: StoryParts;
  readonly #snapshots: PromisedSnapshot[] = [];
  readonly #lives: PromisedLive[] = [];
  #edits = 0;

  constructor(parts: StoryParts) {
    this.#parts = parts;
  }

  async tell(): Promise<Story> {
    const { place, disk, random, rounds } = this.#parts;
    const { workspacePath: path, environment, ground } = place;
    fill(path, random);
    execFileSync('sync', ['-f', path]);
    const filledAt = disk.position();
    const filledHash = await this.#liveHash();
    const how = ground.backend === 'image' ? { pool: POOL } : { backend: ground.backend };
    await initWorkspace({ path, environment, ...how });
    const initAt = disk.position();
    let workspace = await openWorkspace({ workspace: path, environment });
    try {
      const [first] = workspace.list();
      if (first !== undefined) this.#promise(first.id, filledHash);
      for (let round = 0; round < rounds; round += 1) {
        if (random.oneIn(4)) {
          await workspace.close();
          workspace = await openWorkspace({ workspace: path, environment });
        }
        await this.#round(workspace);
      }
    } finally {
      await workspace.close();
    }
    return { filledAt, filledHash, initAt, snapshots: this.#snapshots, lives: this.#lives };
  }

  async #round(workspace: Workspace): Promise<void> {
    const { random, place } = this.#parts;
    this.#edit();
    if (random.oneIn(4)) execFileSync('sync', ['-f', place.workspacePath]);
    const hash = await this.#liveHash();
    this.#promise((await workspace.snapshot()).id, hash);
    const kept = this.#snapshots.filter(({ deletingAt }) => deletingAt === NEVER);
    const some = random.pick(kept);
    switch (random.below(7)) {
      case 0:
      case 1:
        return await this.#rollback(workspace, some);
      case 2:
        await workspace.pin(some.id);
        some.pinnedAt = this.#position();
        return;
      case 3:
        some.unpinningAt = this.#position();
        await workspace.unpin(some.id);
        some.pinnedAt = NEVER;
        some.unpinningAt = NEVER;
        return;
      case 4:
        return await this.#delete(workspace, kept.slice(0, -4));
      case 5:
        if (some.label !== null) return;
        some.label = `label-${this.#edits}`;
        await workspace.label(some.id, some.label);
        some.labelledAt = this.#position();
        return;
      default:
    }
  }

  async #rollback(workspace: Workspace, target: PromisedSnapshot): Promise<void> {
    const { random } = this.#parts;
    this.#edit();
    const hash = await this.#liveHash();
    const mode = random.pick(['auto', 'in-place'] as const);
    const done = await workspace.rollback(target.id, { mode });
    this.#promise(done.precautionary, hash);
    this.#lives.push({ hash: target.hash, from: this.#position(), to: NEVER });
    if (!random.oneIn(2)) return;
    this.#endLive();
    const undone = await workspace.undo({ mode: 'in-place' });
    this.#promise(undone.precautionary, target.hash);
    this.#lives.push({ hash, from: this.#position(), to: NEVER });
  }

  async #delete(workspace: Workspace, from: readonly PromisedSnapshot[]): Promise<void> {
    const doomed = from.filter(({ pinnedAt }) => pinnedAt === NEVER).slice(0, 2);
    if (doomed.length === 0) return;
    for (const snapshot of doomed) snapshot.deletingAt = this.#position();
    await workspace.prune({ specs: doomed.map(({ id }) => id) });
  }

  #promise(id: string, hash: string): void {
    this.#snapshots.push({
      ...{ id, hash, promisedAt: this.#position(), deletingAt: NEVER },
      ...{ pinnedAt: NEVER, unpinningAt: NEVER, label: null, labelledAt: NEVER },
    });
  }

  #edit(): void {
    const { random, place } = this.#parts;
    this.#endLive();
    this.#edits += 1;
    const path = place.workspacePath;
    for (let i = 0; i < 4; i += 1) {
      const name = join(path, `d${random.below(4)}`, `f${random.below(FILES)}`);
      if (random.oneIn(4)) rmSync(name, { force: true });
      else writeFileSync(name, random.bytes(1 + random.below(6000)));
    }
    writeFileSync(join(path, 'fresh'), `${this.#edits}`);
    renameSync(join(path, 'fresh'), join(path, `moved-${random.below(5)}`));
    if (random.oneIn(3)) writeFileSync(join(path, 'big'), random.bytes(BIG_BYTES));
  }

  #endLive(): void {
    const last = this.#lives.at(-1);
    if (last !== undefined && last.to === NEVER) last.to = this.#position();
  }

  async #liveHash(): Promise<string> {
    const { witness, place } = this.#parts;
    return (await witness.hashes({ live: { dir: place.workspacePath } })).live ?? '';
  }

  #position(): number {
    return this.#parts.disk.position();
  }
}

function fill(path: string, random: SimRandom): void {
  for (let d = 0; d < 4; d += 1) {
    mkdirSync(join(path, `d${d}`));
    for (let f = 0; f < FILES; f += 4) {
      writeFileSync(join(path, `d${d}`, `f${f + d}`), random.bytes(random.below(6000)));
    }
  }
  writeFileSync(join(path, 'big'), random.bytes(BIG_BYTES));
}
