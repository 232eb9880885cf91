/**
 * Model and backend side by side: every step happens to both, and after each one they are compared.
 *
 * The live tree is compared through the independent checker, a kept snapshot through the backend's
 * reader. A step that changes nothing in the model must change nothing on disk either.
 */
import { randomBytes } from 'node:crypto';
import { expect } from 'vitest';
import { nextUlid, type SnapshotId, snapshotId, type Ulid } from '../../src/core/ids.ts';
import {
  comparePaths,
  isWithin,
  joinRaw,
  type RawPath,
  ROOT_PATH,
} from '../../src/core/raw-path.ts';
import type { TreeChange } from '../../src/core/tree-change.ts';
import { compareModels, GROUP_SEPARATOR, linkGroups } from '../model/model-compare.ts';
import { cloneTree, type ModelTree, sortedNames } from '../model/model-tree.ts';
import type { Operation } from '../model/operation.ts';
import { type Intent, resolveIntent, resolveTurn } from '../model/operation-arbitrary.ts';
import { describeDifference, listModel, listReader } from '../model/tree-listing.ts';
import { emptyModelOf, type Stage } from './stage.ts';

export type Step =
  | { readonly do: 'operation'; readonly intent: Intent }
  | { readonly do: 'snapshot' }
  | { readonly do: 'rollback'; readonly pick: number; readonly hint: boolean }
  | { readonly do: 'swap'; readonly pick: number }
  | { readonly do: 'compare'; readonly pick: number; readonly other: number }
  | { readonly do: 'extract'; readonly pick: number }
  | { readonly do: 'delete'; readonly pick: number }
  | { readonly do: 'pin'; readonly pick: number }
  | { readonly do: 'reopen' };

export class World {
  readonly stage: Stage;
  live: ModelTree;
  readonly kept = new Map<SnapshotId, ModelTree>();
  readonly pins = new Set<SnapshotId>();
  /** What was done so far, for the message of a failure. */
  readonly log: string[] = [];
  #ulid: Ulid | '' = '';

  constructor(stage: Stage) {
    this.stage = stage;
    this.live = emptyModelOf(stage);
  }

  newId(): SnapshotId {
    this.#ulid = nextUlid(this.#ulid, Date.now(), randomBytes(10));
    return snapshotId(this.#ulid);
  }

  run(...operations: readonly Operation[]): void {
    for (const operation of operations) {
      this.log.push(describeOperation(operation));
      this.stage.run(this.live, operation);
    }
  }

  async snapshot(): Promise<SnapshotId> {
    const id = this.newId();
    this.log.push(`snapshot ${id}`);
    await this.stage.backend().createSnapshot(this.stage.ref, id);
    this.kept.set(id, cloneTree(this.live));
    return id;
  }

  async rollback(target: SnapshotId, since?: SnapshotId): Promise<void> {
    const { backend, ref } = { backend: this.stage.backend(), ref: this.stage.ref };
    const result = await backend.applyInPlace(ref, target, since === undefined ? {} : { since });
    expect(result.notes).toEqual([]);
    this.live = cloneTree(this.model(target));
  }

  async swap(target: SnapshotId): Promise<void> {
    const { backend, ref } = { backend: this.stage.backend(), ref: this.stage.ref };
    const token = backend.prepareSwap(ref, target, 'op_conformance');
    await backend.swapIn(ref, target, token);
    expect(await backend.finishSwap(ref, target, token)).toBe('done');
    await backend.removeReplaced(ref);
    this.live = cloneTree(this.model(target));
  }

  model(tree: SnapshotId | 'live'): ModelTree {
    const model = tree === 'live' ? this.live : this.kept.get(tree);
    if (model === undefined) throw new Error(`The model keeps no ${tree}.`);
    return model;
  }

  /** The live tree is the model's. */
  checkLive(): void {
    expect(describeDifference(listModel(this.live), this.stage.listLive())).toBe('');
  }

  /** Every kept snapshot is what the live tree was, and the lists name exactly them. */
  async checkKept(): Promise<void> {
    const backend = this.stage.backend();
    const ids = [...this.kept.keys()].sort();
    expect(backend.listSnapshots(this.stage.ref).map(({ id }) => id)).toEqual(ids);
    expect([...backend.listPinned(this.stage.ref)].sort()).toEqual([...this.pins].sort());
    for (const id of ids) {
      using reader = await backend.openTree(this.stage.ref, id);
      expect(describeDifference(listModel(this.model(id)), listReader(reader))).toBe('');
    }
  }

  async checkAll(): Promise<void> {
    this.checkLive();
    await this.checkKept();
  }

  async checkCompare(from: SnapshotId | 'live', to: SnapshotId | 'live'): Promise<void> {
    const actual: TreeChange[] = [];
    for await (const change of this.stage.backend().compare(this.stage.ref, from, to)) {
      actual.push(change);
    }
    assertSameChanges(compareModels(this.model(from), this.model(to)), actual, {
      before: this.model(from),
      after: this.model(to),
    });
  }

  async step(step: Step): Promise<void> {
    if (step.do === 'operation') this.#operate(step.intent);
    else if (step.do === 'snapshot') {
      await this.snapshot();
      this.checkLive();
    } else if (step.do === 'reopen') await this.stage.reopen();
    else await this.#turn(step);
  }

  #operate(intent: Intent): void {
    const operation = resolveIntent(this.live, intent, this.stage.actor);
    if (operation === null) return;
    this.run(operation);
    const second = operation.op === 'remove' ? resolveTurn(intent, operation.path) : null;
    if (second !== null) this.run(second);
  }

  async #turn(step: Extract<Step, { pick: number }>): Promise<void> {
    const target = this.#choose(step.pick);
    if (target === null) return;
    this.log.push(`${JSON.stringify(step)} of ${target}`);
    if (step.do === 'rollback') {
      // As the engine does: a snapshot of the live tree first, which is the hint.
      const since = step.hint ? await this.snapshot() : undefined;
      await this.rollback(target, since);
      this.checkLive();
    } else if (step.do === 'swap') {
      if (!this.stage.backend().properties.canSwap) return;
      await this.swap(target);
      this.checkLive();
    } else if (step.do === 'compare') {
      await this.checkCompare(this.#choose(step.other) ?? 'live', target);
      await this.checkCompare('live', target);
    } else if (step.do === 'extract') await this.#extract(target);
    else if (step.do === 'pin') this.#pin(target);
    else {
      await this.stage.backend().deleteSnapshots(this.stage.ref, [target]);
      this.kept.delete(target);
      this.pins.delete(target);
    }
  }

  #pin(target: SnapshotId): void {
    const pinned = this.pins.has(target) ? 'unpinned' : 'pinned';
    this.stage.backend().setPinned(this.stage.ref, target, pinned);
    if (pinned === 'pinned') this.pins.add(target);
    else this.pins.delete(target);
  }

  async #extract(target: SnapshotId): Promise<void> {
    const model = this.model(target);
    const paths = sortedNames(model.root).map((name) => joinRaw(ROOT_PATH, name));
    const scratch = this.stage.makeScratch();
    await this.stage.backend().extract(this.stage.ref, target, paths, scratch);
    // The root is the scratch directory's own; everything below must be the snapshot's.
    expect(
      describeDifference(listModel(model).slice(1), this.stage.listDirectory(scratch).slice(1)),
    ).toBe('');
  }

  #choose(pick: number): SnapshotId | null {
    const ids = [...this.kept.keys()].sort();
    return ids[pick % Math.max(ids.length, 1)] ?? null;
  }
}

interface Sides {
  readonly before: ModelTree;
  readonly after: ModelTree;
}

/**
 * Kinds, fields and walk order must be the reference's. For the hard link structure a comparison that
 * never holds a whole tree may name any member of a group that differs: it must report something of
 * each such group, and must not say `links` anywhere else.
 */
export function assertSameChanges(
  expected: readonly TreeChange[],
  actual: readonly TreeChange[],
  sides: Sides,
): void {
  expect(describeDifference(renderChanges(expected), renderChanges(actual))).toBe('');
  const paths = actual.map(({ path }) => path);
  expect(paths).toEqual([...paths].sort(comparePaths));
  const groups = differingGroups(sides);
  const reported = new Set(paths);
  const untold = groups.filter((group) => !group.some((path) => reported.has(path)));
  expect(untold).toEqual([]);
  const members = new Set(groups.flat());
  const named = actual.filter(({ fields }) => fields.includes('links')).map(({ path }) => path);
  expect(named.filter((path) => !members.has(path))).toEqual([]);
}

function renderChanges(changes: readonly TreeChange[]): string[] {
  return changes
    .map((change) => ({ ...change, fields: change.fields.filter((field) => field !== 'links') }))
    .filter(({ kind, fields }) => kind !== 'metadata' || fields.length > 0)
    .map(({ path, kind, fields }) => `${kind} ${JSON.stringify(path)} ${[...fields].sort()}`);
}

/** For each path whose hard link group differs: all paths that share its file, on either side. */
function differingGroups({ before, after }: Sides): RawPath[][] {
  const left = linkGroups(before);
  const right = linkGroups(after);
  const groups: RawPath[][] = [];
  for (const path of new Set([...left.keys(), ...right.keys()])) {
    if (left.get(path) === right.get(path)) continue;
    const texts = [left.get(path), right.get(path)].filter((text) => text !== undefined);
    groups.push(texts.flatMap((text) => text.split(GROUP_SEPARATOR) as RawPath[]));
  }
  return groups;
}

/** Lines of a listing at or below `path`. */
export function linesWithin(lines: readonly string[], path: RawPath): string[] {
  return lines.filter((line) => isWithin((line.split('\t')[0] ?? '') as RawPath, path));
}

function describeOperation(operation: Operation): string {
  return JSON.stringify(operation, (_, value: unknown) => {
    if (typeof value === 'bigint') return `${value}n`;
    const isBuffer = typeof value === 'object' && value !== null && 'data' in value;
    return isBuffer ? `${(value.data as number[]).length} bytes` : value;
  });
}
