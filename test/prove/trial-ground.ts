/**
 * A workspace that lives through many tries: each does one operation in a process of its own, which is
 * killed or has a call fail, and then everything that was acknowledged before must still be there.
 *
 * What is known of the tree and of the snapshots is the model's; what is there is the witness's to say.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Environment,
  initWorkspace,
  openWorkspace,
  type SnapshotId,
  type Workspace,
} from '../../src/index.ts';
import { cloneTree, type ModelTree, makeTree, walkTree } from '../model/model-tree.ts';
import { describeDifference, listModel } from '../model/tree-listing.ts';
import type { SimRandom } from '../sim/sim-random.ts';
import type { Bed } from './model-episode.ts';
import { hashesOf, sha256Of } from './model-hashes.ts';
import {
  absorbFacts,
  type Held,
  randomIntent,
  resolveEdits,
  runEditOnModel,
  type TreeEdit,
} from './tree-edit.ts';
import type { Place, Witness } from './witness.ts';
import { makeWorkspacePlace } from './workspace-place.ts';

/** Nothing is pruned behind the tries' back. */
const CONFIG = { retention: { keepLast: 5, keepWithinMs: 0, hourlyForMs: 0, dailyForMs: 0 } };
/** Past this many the oldest go: every try looks at all of them. */
const KEPT_MAX = 8;
const KEPT_MIN = 3;
/** A live tree has about so many entries or more. */
const ENTRIES_MIN = 24;

export interface Known {
  readonly tree: ModelTree;
  readonly sha256: string;
}

export class TrialGround implements Disposable {
  readonly bed: Bed;
  readonly witness: Witness;
  readonly folder: string;
  readonly path: string;
  readonly environment: Environment;
  live: ModelTree = makeTree();
  readonly kept = new Map<SnapshotId, Known>();
  /** false: the live tree lacks what an operation said that it could not give back. */
  isAsKnown = true;
  #place: ((id: SnapshotId) => Place) | null = null;

  private constructor(bed: Bed, witness: Witness) {
    this.bed = bed;
    this.witness = witness;
    const place = makeWorkspacePlace(bed.base, 'trial-', CONFIG);
    this.folder = place.folder;
    this.path = place.path;
    this.environment = place.environment;
  }

  static async make(bed: Bed, witness: Witness, random: SimRandom): Promise<TrialGround> {
    const ground = new TrialGround(bed, witness);
    await ground.edit(random, 60);
    await initWorkspace({
      path: ground.path,
      backend: bed.backend,
      environment: ground.environment,
    });
    await ground.withWorkspace(async (workspace) => {
      const { poolRoot, workspace: id } = workspace.info;
      ground.#place = (snapshot) =>
        bed.backend === 'store'
          ? { store: poolRoot, workspace: id, snapshot }
          : { dir: join(poolRoot, '.ghostsnap', id, snapshot) };
      for (const { id: first } of workspace.list()) ground.keep(first, ground.live);
      await ground.edit(random, 10);
      ground.keep((await workspace.snapshot()).id, ground.live);
    });
    return ground;
  }

  async withWorkspace<T>(work: (workspace: Workspace) => Promise<T>): Promise<T> {
    await using workspace = await openWorkspace({
      workspace: this.path,
      environment: this.environment,
    });
    return await work(workspace);
  }

  /** Random edits of the live tree, in the model and for real. */
  async edit(random: SimRandom, count: number): Promise<void> {
    const nothing: Held = new Map();
    const editor = { canChown: this.environment.uid === 0, mayHoldMappings: false };
    const edits: TreeEdit[] = [];
    for (let i = 0; i < count; i += 1) {
      for (const edit of resolveEdits(this.live, randomIntent(random), editor, nothing)) {
        runEditOnModel(this.live, edit, nothing);
        edits.push(edit);
      }
    }
    // Random edits alone shrink a tree to next to nothing, and little can be torn in that.
    for (
      let tries = 0;
      tries < ENTRIES_MIN && [...walkTree(this.live)].length < ENTRIES_MIN;
      tries += 1
    ) {
      const intent = {
        ...randomIntent(random),
        kind: random.oneIn(4) ? 'mkdir' : 'write',
      } as const;
      for (const edit of resolveEdits(this.live, intent, editor, nothing)) {
        runEditOnModel(this.live, edit, nothing);
        edits.push(edit);
      }
    }
    absorbFacts(this.live, await this.witness.edit(this.path, edits));
  }

  keep(id: SnapshotId, tree: ModelTree): void {
    this.kept.set(id, { tree: cloneTree(tree), sha256: hashesOf(tree).sha256 });
  }

  ids(): SnapshotId[] {
    return [...this.kept.keys()].sort();
  }

  placeOf(id: SnapshotId): Place {
    if (this.#place === null) throw new Error('The ground is not made yet.');
    return this.#place(id);
  }

  async liveLines(): Promise<readonly string[]> {
    return await this.witness.lines({ dir: this.path });
  }

  /** Every snapshot of the model is there and whole. What is wrong, one text each. */
  async wrongSnapshots(listed: ReadonlySet<SnapshotId>): Promise<string[]> {
    const wrong: string[] = [];
    for (const [id, { tree, sha256 }] of this.kept) {
      if (!listed.has(id)) {
        wrong.push(`${id} was acknowledged and is not listed any more`);
        continue;
      }
      const lines = await this.linesOf(id);
      if (lines !== null && sha256Of(lines) === sha256) continue;
      const difference = describeDifference(listModel(tree), lines ?? []);
      wrong.push(`${id} was acknowledged and is not whole:\n${difference}`);
    }
    return wrong;
  }

  /** null: what is on disk can't be read as a snapshot. */
  async linesOf(id: SnapshotId): Promise<readonly string[] | null> {
    try {
      return await this.witness.lines(this.placeOf(id));
    } catch (error) {
      if (error instanceof Error && error.message.startsWith('The witness says')) return null;
      throw error;
    }
  }

  /**
   * What a killed or failed operation left lying about; after a full recovery nothing may be. A cache that
   * was being replaced is replaced the next time, and one snapshot may lie armed for the next call.
   */
  leftOvers(workspace: Workspace): string[] {
    const { poolRoot, workspace: id } = workspace.info;
    const beside = readdirSync(this.folder).filter((name) => !['work', 'home'].includes(name));
    const own = join(poolRoot, '.ghostsnap', id);
    const working = join(own, 'working');
    const inside = existsSync(working) ? readdirSync(working) : [];
    const expected =
      /^(ghost_\w+|workspace\.json|pins|snapshots|index(\.new)?|working|replaced_\w+)$/;
    const names = readdirSync(own).filter((name) => !expected.test(name));
    const armed = names.filter((name) => name.startsWith('armed_'));
    const others = names.filter((name) => !armed.includes(name));
    return [...beside, ...armed.slice(1), ...others, ...inside.map((name) => `working/${name}`)];
  }

  /** The oldest go, so that a try stays cheap; a few must be there to go back to. */
  async thinOut(workspace: Workspace): Promise<void> {
    if (this.kept.size < KEPT_MIN) this.keep((await workspace.snapshot()).id, this.live);
    if (this.kept.size <= KEPT_MAX) return;
    const unpinned = workspace.list().filter(({ pinned }) => !pinned);
    const specs = unpinned.map(({ id }) => id).slice(KEPT_MAX / 2);
    for (const id of (await workspace.prune({ specs })).deleted) this.kept.delete(id);
  }

  [Symbol.dispose](): void {
    // A btrfs snapshot can't be removed as files are; it goes away with its image.
    if (this.bed.backend === 'btrfs') return;
    rmSync(this.folder, { recursive: true, force: true });
  }
}
