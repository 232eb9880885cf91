/**
 * One episode: a fresh workspace, a list of steps done to it and to the model, a comparison after each
 * step of the product, and at the end the way back to a plain directory.
 *
 * Compared are the live tree and every kept snapshot, by the witness, and what the product lists of them
 * (order, pins, labels). Edits between two steps of the product are the witness's own work; they are
 * carried out together.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT_PATH } from '../../src/core/raw-path.ts';
import {
  type Environment,
  initWorkspace,
  openWorkspace,
  type SnapshotId,
  type Workspace,
} from '../../src/index.ts';
import { cloneTree, type ModelTree, makeTree } from '../model/model-tree.ts';
import { describeDifference, listModel } from '../model/tree-listing.ts';
import { hashesOf } from './model-hashes.ts';
import { ModelHistory } from './model-history.ts';
import { runProductStep } from './model-product-steps.ts';
import type { ModelStep } from './model-steps.ts';
import {
  absorbFacts,
  type Editor,
  type Held,
  resolveEdits,
  runEditOnModel,
  type TreeEdit,
} from './tree-edit.ts';
import type { Place, Witness } from './witness.ts';
import { makeWorkspacePlace } from './workspace-place.ts';

export interface Bed {
  /** As in a pinned case and on the command line: `store-xfs`. */
  readonly name: string;
  readonly backend: 'btrfs' | 'store';
  /** An existing directory on the filesystem, the user's own. */
  readonly base: string;
}

/** A snapshot in the model. `looks` leaves out mtimes: what undo calls different. */
export interface KeptModel {
  readonly tree: ModelTree;
  readonly sha256: string;
  readonly looks: string;
  label: string | null;
  pinned: boolean;
}

/** Retention keeps so many; named prunes keep the number below. */
const KEEP_LAST = 6;
const CONFIG = {
  retention: {
    keepLast: KEEP_LAST,
    keepWithinMs: 0,
    hourlyForMs: 0,
    dailyForMs: 0,
    weeklyForMs: 0,
  },
};
/** Past this many the oldest go: every comparison looks at all of them. */
const KEPT_MAX = 12;

export class ModelEpisode implements AsyncDisposable {
  readonly bed: Bed;
  readonly witness: Witness;
  readonly actor: Editor;
  /** The folder around workspace, home and scratch places. */
  readonly folder: string;
  readonly path: string;
  readonly environment: Environment;
  live: ModelTree = makeTree();
  readonly kept = new Map<SnapshotId, KeptModel>();
  readonly history = new ModelHistory();
  readonly counts: Record<string, number> = {};
  readonly #held: Held = new Map();
  #waiting: TreeEdit[] = [];
  #workspace: Workspace | null = null;

  constructor(bed: Bed, witness: Witness) {
    this.bed = bed;
    this.witness = witness;
    this.actor = {
      canChown: process.getuid?.() === 0,
      // A mapping of tmpfs is never written back, so nothing ever tells of a store through it.
      mayHoldMappings: !bed.name.includes('tmpfs'),
    };
    const place = makeWorkspacePlace(bed.base, 'episode-', CONFIG);
    this.folder = place.folder;
    this.path = place.path;
    this.environment = place.environment;
  }

  get workspace(): Workspace {
    if (this.#workspace === null) throw new Error('The workspace is not open.');
    return this.#workspace;
  }

  /** @throws Error that says what differs */
  async run(steps: readonly ModelStep[]): Promise<void> {
    await this.#begin();
    for (const step of steps) {
      if (step.do === 'edit') this.#edit(step);
      else await this.#step(step);
    }
    await this.#end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#workspace?.close();
    // Snapshots of an episode that failed can't be removed as files are; they go with their image.
    if (this.bed.backend === 'btrfs' && this.kept.size > 0) return;
    rmSync(this.folder, { recursive: true, force: true });
  }

  async reopen(watch: 'on' | 'off'): Promise<void> {
    await this.#workspace?.close();
    this.#workspace = await openWorkspace({
      workspace: this.path,
      environment: this.environment,
      watch,
    });
  }

  count(what: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
  }

  ids(): SnapshotId[] {
    return [...this.kept.keys()].sort();
  }

  choose(pick: number): SnapshotId | null {
    const ids = this.ids();
    return ids[pick % Math.max(ids.length, 1)] ?? null;
  }

  model(id: SnapshotId): KeptModel {
    const model = this.kept.get(id);
    if (model === undefined) throw new Error(`The model keeps no ${id}.`);
    return model;
  }

  /** The live tree as it is now is what `id` holds. */
  keep(id: SnapshotId, label: string | null = null): void {
    const tree = cloneTree(this.live);
    this.kept.set(id, { tree, ...hashesOf(tree), label, pinned: false });
  }

  forget(id: SnapshotId): void {
    this.kept.delete(id);
    this.history.forget(id);
  }

  looksOtherThanLive(): (id: SnapshotId) => boolean {
    const { looks } = hashesOf(this.live);
    return (id) => this.model(id).looks !== looks;
  }

  placeOf(id: SnapshotId): Place {
    const { poolRoot, workspace } = this.workspace.info;
    if (this.bed.backend === 'store') return { store: poolRoot, workspace, snapshot: id };
    return { dir: join(poolRoot, '.ghostsnap', workspace, id) };
  }

  /** Mappings that are held end here: what turns a tree may be refused while somebody maps it. */
  async letGo(): Promise<void> {
    for (const key of this.#held.keys()) this.#waiting.push({ op: 'let-go', path: ROOT_PATH, key });
    this.#held.clear();
    await this.#flush();
  }

  async #begin(): Promise<void> {
    absorbFacts(this.live, await this.witness.edit(this.path, []));
    await initWorkspace({
      path: this.path,
      backend: this.bed.backend,
      environment: this.environment,
    });
    await this.reopen('off');
    const first = this.workspace.list()[0];
    if (first === undefined) throw new Error('init took no snapshot.');
    this.keep(first.id, 'init');
    this.history.append(first.id);
    await this.#compare();
  }

  #edit(step: Extract<ModelStep, { do: 'edit' }>): void {
    for (const edit of resolveEdits(this.live, step.intent, this.actor, this.#held)) {
      runEditOnModel(this.live, edit, this.#held);
      this.#waiting.push(edit);
      this.count('edits');
    }
  }

  async #flush(): Promise<void> {
    if (this.#waiting.length === 0) return;
    const edits = this.#waiting;
    this.#waiting = [];
    absorbFacts(this.live, await this.witness.edit(this.path, edits));
  }

  async #step(step: Exclude<ModelStep, { do: 'edit' }>): Promise<void> {
    await this.#flush();
    if (!HOLDERS_MAY_STAY.has(step.do)) await this.letGo();
    try {
      await runProductStep(this, step);
      this.count(step.do);
      await this.#compare();
      await this.#thinOut();
    } catch (error) {
      const cause = error instanceof Error ? (error.stack ?? error.message) : String(error);
      throw new Error(`at ${JSON.stringify(step)}: ${cause}`, { cause: error });
    }
  }

  /** By name, as a person would: so that an episode of any length stays cheap to compare. */
  async #thinOut(): Promise<void> {
    if (this.kept.size <= KEPT_MAX) return;
    const specs = this.ids()
      .filter((id) => !this.model(id).pinned)
      .slice(0, this.kept.size - KEPT_MAX / 2);
    const { deleted } = await this.workspace.prune({ specs });
    for (const id of deleted) this.forget(id);
    this.count('prune');
    await this.#compare();
  }

  async #compare(): Promise<void> {
    const live = hashesOf(this.live).sha256;
    const places: Record<string, Place> = { live: { dir: this.path } };
    for (const id of this.kept.keys()) places[id] = this.placeOf(id);
    const found = await this.witness.hashes(places);
    if (found.live !== live) await this.#tell('the live tree', places.live, this.live);
    for (const [id, { sha256, tree }] of this.kept) {
      if (found[id] !== sha256) await this.#tell(id, places[id], tree);
    }
    this.counts.comparisons = (this.counts.comparisons ?? 0) + this.kept.size + 1;
    this.#compareLists();
  }

  async #tell(what: string, place: Place | undefined, tree: ModelTree): Promise<void> {
    const lines = place === undefined ? [] : await this.witness.lines(place);
    throw new Error(
      `${what} differs from the model:\n${describeDifference(listModel(tree), lines)}`,
    );
  }

  #compareLists(): void {
    const expected = this.ids()
      .reverse()
      .map((id) => `${id} ${this.model(id).pinned} ${this.model(id).label}`);
    // The label of a precautionary snapshot is the product's to word.
    const listed = this.workspace
      .list()
      .map(({ id, pinned, label, role }) =>
        [id, pinned, isWorded(role, this.kept.get(id)) ? null : label].map(String).join(' '),
      );
    const wrong = describeDifference(expected, listed);
    if (wrong !== '' || expected.length !== listed.length) {
      throw new Error(`The list differs from the model:\n${wrong}`);
    }
  }

  /** A plain directory with the same contents remains. */
  async #end(): Promise<void> {
    await this.letGo();
    await this.workspace.destroy();
    this.count('destroy');
    this.#workspace = null;
    this.kept.clear();
    const found = await this.witness.hashes({ live: { dir: this.path } });
    if (found.live !== hashesOf(this.live).sha256) {
      await this.#tell('what destroy left', { dir: this.path }, this.live);
    }
  }
}

/** Steps that turn no tree: a program may keep a file mapped meanwhile. */
const HOLDERS_MAY_STAY: ReadonlySet<ModelStep['do']> = new Set([
  'snapshot',
  'arm',
  'pin',
  'label',
  'retention',
]);

function isWorded(role: string, kept: KeptModel | undefined): boolean {
  return role === 'precautionary' && kept?.label === null;
}
