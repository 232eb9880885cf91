/**
 * Making a workspace from another one's snapshot, and ending one together with its tree.
 *
 * Cut off at every step, a clone is taken back and a removal is finished by `removeWorkspace`; the
 * workspace that was cloned from is what it was, and so is whatever else stands at the path.
 */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { expect } from 'vitest';
import type { WorkspaceRef } from '../../src/backend/backend.ts';
import type { SnapshotId } from '../../src/core/ids.ts';
import type { Operation } from '../model/operation.ts';
import { describeDifference, listModel } from '../model/tree-listing.ts';
import { newWorkspaceRef, type Stage } from './stage.ts';
import type { World } from './world.ts';

type Check = (name: string, body: (world: World) => Promise<void>) => void;

interface Trees {
  /** One of everything. */
  readonly rich: readonly Operation[];
  readonly wreck: readonly Operation[];
}

class CutOff extends Error {}

export function describeCloning(check: Check, { rich, wreck }: Trees): void {
  check('cloneWorkspace() makes a workspace of its own that holds the snapshot', async (w) => {
    w.run(...rich);
    const id = await w.snapshot();
    w.run(...wreck);
    const { backend, ref } = { backend: w.stage.backend(), ref: w.stage.ref };
    const clone = besideOf(w.stage);
    await backend.cloneWorkspace(clone, { ref, snapshot: id });
    expectTree(w, clone, id);
    const own = w.newId();
    await backend.createSnapshot(clone, own);
    expect(backend.listSnapshots(clone).map((snapshot) => snapshot.id)).toEqual([own]);
    expect(backend.identify(clone).token).not.toBe(backend.identify(ref).token);
    await w.checkAll();
    await backend.removeWorkspace(clone);
    await w.checkAll();
  });

  check('a clone outlives the snapshot and the workspace that it came from', async (w) => {
    w.run(...rich);
    const id = await w.snapshot();
    const { backend, ref } = { backend: w.stage.backend(), ref: w.stage.ref };
    const clone = besideOf(w.stage);
    await backend.cloneWorkspace(clone, { ref, snapshot: id });
    const own = w.newId();
    await backend.createSnapshot(clone, own);
    backend.assertRemovable(ref);
    await backend.removeWorkspace(ref);
    expectTree(w, clone, id);
    await backend.applyInPlace(clone, own);
    expectTree(w, clone, id);
    await backend.removeWorkspace(clone);
  });

  check('cloneWorkspace() replaces nothing, and finds no snapshot that is not there', async (w) => {
    w.run(...rich);
    const id = await w.snapshot();
    const { backend, ref } = { backend: w.stage.backend(), ref: w.stage.ref };
    const scratch = { ...besideOf(w.stage), path: w.stage.makeScratch() };
    const cloning = backend.cloneWorkspace(scratch, { ref, snapshot: id });
    await expect(cloning).rejects.toMatchObject({ code: 'TARGET_EXISTS' });
    await backend.removeWorkspace(scratch);
    expect(w.stage.listDirectory(scratch.path)).toHaveLength(1);
    const missing = backend.cloneWorkspace(besideOf(w.stage), { ref, snapshot: w.newId() });
    await expect(missing).rejects.toMatchObject({ code: 'SNAPSHOT_NOT_FOUND' });
    await w.checkAll();
  });

  check('a clone that was cut off is taken back at every step', async (w) => {
    w.run(...rich);
    const id = await w.snapshot();
    const { ref } = w.stage;
    if (w.stage.kind === 'memory') return;
    for (let cut = 0; ; cut += 1) {
      const clone = besideOf(w.stage);
      const from = { ref, snapshot: id };
      const cloning = w.stage.backend().cloneWorkspace(clone, from, { onStep: cutAt(cut) });
      const done = await reachedTheEnd(cloning);
      const later = await w.stage.reopen();
      await later.removeWorkspace(clone);
      expectNothingOf(w.stage, clone);
      if (done) break;
      expect(cut).toBeLessThan(20);
    }
    await w.checkAll();
  });

  check('a removal that was cut off is finished from every step', async (w) => {
    w.run(...rich);
    const id = await w.snapshot();
    const { ref } = w.stage;
    if (w.stage.kind === 'memory') return;
    for (let cut = 0; ; cut += 1) {
      const clone = besideOf(w.stage);
      await w.stage.backend().cloneWorkspace(clone, { ref, snapshot: id });
      await w.stage.backend().createSnapshot(clone, w.newId());
      const removing = w.stage.backend().removeWorkspace(clone, { onStep: cutAt(cut) });
      const done = await reachedTheEnd(removing);
      const later = await w.stage.reopen();
      await later.removeWorkspace(clone);
      expectNothingOf(w.stage, clone);
      if (done) break;
      expect(cut).toBeLessThan(40);
    }
    await w.checkAll();
  });

  check('removeWorkspace() leaves alone what stands in the place of the workspace', async (w) => {
    if (w.stage.kind === 'memory') return;
    w.run(...rich);
    await w.snapshot();
    w.stage.removeLive();
    mkdirSync(w.stage.ref.path);
    writeFileSync(`${w.stage.ref.path}/theirs`, 'x');
    await w.stage.backend().removeWorkspace(w.stage.ref);
    expect(readdirSync(w.stage.ref.path)).toEqual(['theirs']);
    expect(w.stage.backend().listSnapshots(w.stage.ref)).toEqual([]);
  });
}

function besideOf({ ref }: Stage): WorkspaceRef {
  const clone = newWorkspaceRef('', ref.poolRoot);
  return { ...clone, path: `${dirname(ref.path)}/${clone.id}` };
}

function expectTree(world: World, ref: WorkspaceRef, id: SnapshotId): void {
  const found = world.stage.listDirectory(ref.path);
  expect(describeDifference(listModel(world.model(id)), found)).toBe('');
}

/** Neither a tree nor anything under a name that carries its id, beside the path or in the pool. */
function expectNothingOf({ ref }: Stage, { id }: WorkspaceRef): void {
  const places = [dirname(ref.path), `${ref.poolRoot}/.ghostsnap`];
  const left = places.flatMap((place) => readdirSync(place).filter((name) => name.includes(id)));
  expect(left).toEqual([]);
}

function cutAt(step: number): (label: string) => void {
  let passed = 0;
  return () => {
    if (passed === step) throw new CutOff();
    passed += 1;
  };
}

async function reachedTheEnd(work: Promise<void>): Promise<boolean> {
  try {
    await work;
    return true;
  } catch (error) {
    if (causes(error).some((cause) => cause instanceof CutOff)) return false;
    throw error;
  }
}

function causes(error: unknown): readonly unknown[] {
  const { cause } = error instanceof Error ? error : { cause: undefined };
  return cause === undefined ? [error] : [error, ...causes(cause)];
}
