/** kill -9 at every labelled step of every operation: both states survive, and nothing is left over. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  createStoreBackend,
  DELETE_STEPS,
  SNAPSHOT_STEPS,
} from '../../src/backend/store/store-backend.ts';
import { INIT_STEPS, RELEASE_STEPS } from '../../src/backend/store/store-workspace.ts';
import type { SnapshotId } from '../../src/core/ids.ts';
import { assertSameDigest, digestTree, type TreeDigest } from '../checker/tree-digest.ts';
import { auditStore, SOUND } from './store-audit.ts';
import { StoreStage } from './store-stage.ts';

const SCENARIO = join(import.meta.dirname, 'store-scenario.ts');
const RUNS_MAX = 80;

let stage: StoreStage;
let first: SnapshotId;
let firstTree: TreeDigest;
let secondTree: TreeDigest;

beforeEach(async () => {
  stage = new StoreStage();
  for (const name of ['a/x', 'b', 'c']) mkdirSync(join(stage.live, name), { recursive: true });
  for (const name of ['a/x/1', 'b/2', 'c/3', '4']) writeFileSync(join(stage.live, name), name);
});
afterEach(() => stage?.[Symbol.dispose]());

/** One snapshot of one tree, and a live tree that is another. */
async function prepare(): Promise<void> {
  await using backend = await stage.open();
  first = stage.take(backend);
  firstTree = digestTree(stage.live);
  rmSync(join(stage.live, 'b'), { recursive: true });
  writeFileSync(join(stage.live, 'a/x/1'), 'changed');
  writeFileSync(join(stage.live, 'a/new'), 'new');
  secondTree = digestTree(stage.live);
}

/** The label at which the process killed itself; null when it came to its end. */
function runKilledAt(step: number, what: string, ids: readonly SnapshotId[] = []): string | null {
  const { id, path, poolRoot } = stage.ref;
  const run = spawnSync(process.execPath, [SCENARIO, id, path, poolRoot, `${step}`, what, ...ids], {
    encoding: 'utf8',
  });
  if (run.status !== 0 && run.signal !== 'SIGKILL') throw new Error(run.stderr);
  return run.signal === 'SIGKILL' ? run.stdout : null;
}

async function assertGoesBack(id: SnapshotId, tree: TreeDigest, subject: string): Promise<void> {
  await using backend = createStoreBackend();
  await backend.applyInPlace(stage.ref, id);
  assertSameDigest(tree, digestTree(stage.live), subject);
}

test('init killed anywhere leaves the tree alone, and runs again', async () => {
  const before = digestTree(stage.live);
  const killed: (string | null)[] = [];
  for (let step = 1; killed.at(-1) !== null && step < RUNS_MAX; step += 1) {
    killed.push(runKilledAt(step, 'init'));
    assertSameDigest(before, digestTree(stage.live), `killed at ${killed.at(-1)}`);
    await using backend = createStoreBackend();
    await backend.recoverWorkspace(stage.ref);
    await backend.initWorkspace(stage.ref, {});
    stage.take(backend);
    await backend.releaseWorkspace(stage.ref, {});
  }
  expect(killed).toEqual([...INIT_STEPS, null]);
});

test.each(['snapshot', 'background-snapshot'])('%s killed anywhere', async (what) => {
  await prepare();
  const killed: (string | null)[] = [];
  for (let step = 1; killed.at(-1) !== null && step < RUNS_MAX; step += 1) {
    const id = stage.nextId();
    killed.push(runKilledAt(step, what, [id]));
    const label = killed.at(-1);
    assertSameDigest(secondTree, digestTree(stage.live), `killed at ${label}`);
    {
      await using backend = createStoreBackend();
      await backend.recoverWorkspace(stage.ref);
      const isThere = label === null || label === 'snapshot:published';
      const listed = backend.listSnapshots(stage.ref);
      expect(listed.map((s) => [s.id, s.isWhole])).toEqual(
        isThere
          ? [
              [first, true],
              [id, true],
            ]
          : [[first, true]],
      );
      if (isThere) await assertGoesBack(first, firstTree, 'the first');
      if (isThere) await assertGoesBack(id, secondTree, `killed at ${label}`);
      if (isThere) await backend.deleteSnapshots(stage.ref, [id]);
    }
    expect(auditStore(stage.pool, [stage.ref]), `killed at ${label}`).toEqual(SOUND);
  }
  expect(killed).toEqual([...SNAPSHOT_STEPS, null]);
});

test('delete killed anywhere is finished by recovery, and the other snapshot stays whole', async () => {
  const killed: (string | null)[] = [];
  await prepare();
  for (let step = 1; killed.at(-1) !== null && step < RUNS_MAX; step += 1) {
    let second: SnapshotId;
    {
      await using backend = await stage.open();
      second = stage.take(backend);
    }
    killed.push(runKilledAt(step, 'delete', [second]));
    const label = killed.at(-1);
    await using backend = createStoreBackend();
    await backend.recoverWorkspace(stage.ref);
    const isThere = label === 'delete:before-manifest';
    if (isThere) await backend.deleteSnapshots(stage.ref, [second]);
    await backend.deleteSnapshots(stage.ref, [second]);
    expect(backend.listSnapshots(stage.ref).map((s) => s.id)).toEqual([first]);
    expect(auditStore(stage.pool, [stage.ref]), `killed at ${label}`).toEqual(SOUND);
    assertSameDigest(secondTree, digestTree(stage.live), `killed at ${label}`);
  }
  expect(killed).toEqual([...DELETE_STEPS, null]);
  await assertGoesBack(first, firstTree, 'the one that was kept');
});

test('rollback killed anywhere is finished by running it again', async () => {
  await prepare();
  let killed: string | null = '';
  let steps = 0;
  for (let step = 1; killed !== null && step < RUNS_MAX; step += 1) {
    let second: SnapshotId;
    {
      await using backend = await stage.open();
      second = stage.take(backend);
    }
    killed = runKilledAt(step, 'rollback', [first]);
    steps += killed === null ? 0 : 1;
    await assertGoesBack(first, firstTree, `after ${killed}`);
    await assertGoesBack(second, secondTree, `back after ${killed}`);
  }
  expect(killed).toBe(null);
  expect(steps).toBeGreaterThan(4);
});

test('release killed anywhere leaves the tree alone and is finished by recovery', async () => {
  const before = digestTree(stage.live);
  const labels = new Set<string>();
  for (let step = 1, killed: string | null = ''; killed !== null && step < RUNS_MAX; step += 1) {
    {
      await using backend = await stage.open();
      stage.take(backend);
    }
    killed = runKilledAt(step, 'release');
    if (killed !== null) labels.add(killed);
    assertSameDigest(before, digestTree(stage.live), `killed at ${killed}`);
    await using backend = createStoreBackend();
    await backend.recoverWorkspace(stage.ref);
    expect(existsSync(stage.own), `killed at ${killed}`).toBe(false);
    const left = readdirSync(stage.objects, { recursive: true }).map(String);
    expect(left.filter((name) => name.includes('.'))).toEqual([]);
  }
  expect([...labels]).toEqual(expect.arrayContaining([...RELEASE_STEPS]));
});
