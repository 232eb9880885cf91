/**
 * kill -9 at every labelled step of init, move, swap, delete and release, then recovery: the path holds
 * one whole tree, nothing of ours is left lying about, and the same call finishes the work.
 *
 * As root, and as a plain user on a btrfs without user_subvol_rm_allowed.
 */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BTRFS_STEPS } from '../../src/backend/btrfs/btrfs-backend.ts';
import { assertRsyncSame } from '../checker/tree-digest.ts';
import {
  type BtrfsStage,
  fillRichly,
  makeStage,
  newSnapshotId,
  PLAIN_UID,
} from './btrfs-workspace.ts';
import { type LoopImage, makeLoopImage } from './loop-image.ts';
import { type ChildCall, type ChildOutcome, runBtrfsChild } from './run-btrfs-child.ts';

let image: LoopImage;

beforeAll(async () => {
  image = await makeLoopImage({ fs: 'btrfs', sizeMiB: 600 });
});
afterAll(async () => {
  await image.dispose();
});

/** Given only where a snapshot can't be removed by one call. */
const BY_EMPTYING: ReadonlySet<string> = new Set(['delete:renamed', 'delete:emptying']);

const USERS = [
  { who: 'root', uid: undefined },
  { who: 'a plain user', uid: PLAIN_UID },
] as const;

function newStage(uid: number | undefined): BtrfsStage {
  const owner = uid === undefined ? {} : { uid };
  return makeStage({ on: image.mountPath, fill: fillRichly, ...owner });
}

/** Names beside the workspace: whatever is there was left lying about. */
function beside(stage: BtrfsStage): string[] {
  return readdirSync(dirname(stage.ref.path)).filter((name) => name !== 'ws');
}

function workingNames(stage: BtrfsStage): string[] {
  return readdirSync(stage.ghosts).filter(
    (name) => !/^(ghost_\w+|workspace.json|pins)$/.test(name),
  );
}

function isSubvolume(path: string): boolean {
  return statSync(path).ino === 256;
}

function call(
  stage: BtrfsStage,
  uid: number | undefined,
  calls: readonly ChildCall[],
  killAt?: string,
): ChildOutcome {
  const request = { ref: stage.ref, calls };
  const outcome = runBtrfsChild(killAt === undefined ? request : { ...request, killAt }, uid);
  if (killAt === undefined) expect(outcome.error).toBeNull();
  else expect(outcome).toMatchObject({ killed: true });
  return outcome;
}

describe.each(USERS)('as $who', ({ uid }) => {
  test.each(BTRFS_STEPS.init)('init killed at %s leaves one whole tree', async (label) => {
    await using stage = newStage(uid);
    call(stage, uid, [{ method: 'initWorkspace' }], label);
    assertRsyncSame(stage.original, stage.ref.path);
    call(stage, uid, [{ method: 'recoverWorkspace' }]);
    assertRsyncSame(stage.original, stage.ref.path);
    expect(beside(stage)).toEqual([]);
    expect(isSubvolume(stage.ref.path)).toBe(existsSync(stage.ghosts));
    call(stage, uid, [{ method: 'initWorkspace' }, { method: 'identify' }]);
    assertRsyncSame(stage.original, stage.ref.path);
    expect(isSubvolume(stage.ref.path)).toBe(true);
    expect(beside(stage)).toEqual([]);
  });

  test.each(BTRFS_STEPS.swap)(
    'swap killed at %s is done or undone, never between',
    async (label) => {
      await using stage = newStage(uid);
      const [target, precautionary] = [newSnapshotId(), newSnapshotId()];
      call(stage, uid, [{ method: 'initWorkspace' }, { method: 'createSnapshot', args: [target] }]);
      rmSync(join(stage.ref.path, 'src'), { recursive: true });
      const prepared = call(stage, uid, [
        { method: 'createSnapshot', args: [precautionary] },
        { method: 'prepareSwap', args: [target, precautionary] },
      ]);
      const token = prepared.results[1];
      call(stage, uid, [{ method: 'swapIn', args: [target, token, {}] }], label);
      const ended = call(stage, uid, [
        { method: 'recoverWorkspace' },
        { method: 'identify' },
        { method: 'finishSwap', args: [target, token] },
        { method: 'finishSwap', args: [target, token] },
        { method: 'removeReplaced' },
        { method: 'identify' },
      ]);
      const happened = !['swap:begin', 'swap:cloned', 'swap:recorded'].includes(label);
      const expected = happened ? 'done' : 'undone';
      expect(ended.results.slice(2, 4)).toEqual([expected, expected]);
      assertRsyncSame(
        happened ? stage.original : join(stage.ghosts, precautionary),
        stage.ref.path,
      );
      expect(workingNames(stage)).toEqual([]);
    },
  );

  test.each(BTRFS_STEPS.delete)('deletion killed at %s leaves no half snapshot', async (label) => {
    await using stage = newStage(uid);
    const ids = [newSnapshotId(), newSnapshotId(), newSnapshotId()];
    const [first = '', second = '', kept = ''] = ids;
    call(stage, uid, [
      { method: 'initWorkspace' },
      ...ids.map((id) => ({ method: 'createSnapshot', args: [id] })),
      { method: 'setPinned', args: [first, 'pinned'] },
    ]);
    // Root removes a snapshot by one call, so the steps between do not exist for it.
    if (!BY_EMPTYING.has(label) || uid !== undefined) {
      call(stage, uid, [{ method: 'deleteSnapshots', args: [[first, second]] }], label);
    }
    const after = call(stage, uid, [{ method: 'recoverWorkspace' }, { method: 'listSnapshots' }]);
    const listed = after.results[1] as readonly { id: string; isWhole: boolean }[];
    for (const { id, isWhole } of listed) {
      expect(isWhole).toBe(true);
      assertRsyncSame(stage.original, join(stage.ghosts, id));
    }
    const finished = call(stage, uid, [
      { method: 'deleteSnapshots', args: [[first, second]] },
      { method: 'listSnapshots' },
      { method: 'listPinned' },
    ]);
    expect(finished.results.slice(1)).toMatchObject([[{ id: kept }], []]);
    expect(workingNames(stage)).toEqual([]);
  });

  test.each(BTRFS_STEPS.release)('release killed at %s leaves one whole tree', async (label) => {
    await using stage = newStage(uid);
    call(stage, uid, [
      { method: 'initWorkspace' },
      { method: 'createSnapshot', args: [newSnapshotId()] },
      { method: 'createSnapshot', args: [newSnapshotId()] },
    ]);
    call(stage, uid, [{ method: 'releaseWorkspace' }], label);
    assertRsyncSame(stage.original, stage.ref.path);
    call(stage, uid, [{ method: 'recoverWorkspace' }]);
    assertRsyncSame(stage.original, stage.ref.path);
    expect(beside(stage)).toEqual([]);
    call(stage, uid, [{ method: 'releaseWorkspace' }]);
    assertRsyncSame(stage.original, stage.ref.path);
    expect(isSubvolume(stage.ref.path)).toBe(false);
    expect(existsSync(stage.ghosts)).toBe(false);
    expect(beside(stage)).toEqual([]);
  });

  test.each(BTRFS_STEPS.move)(
    'a move into the pool killed at %s leaves one tree',
    async (label) => {
      const elsewhere = mkdtempSync(join(image.directory, 'elsewhere-'));
      chmodSync(elsewhere, 0o755);
      mkdirSync(join(elsewhere, 'home'));
      const workspaceAt = join(elsewhere, 'home');
      const owner = uid === undefined ? {} : { uid };
      await using stage = makeStage({
        on: image.mountPath,
        fill: fillRichly,
        workspaceAt,
        ...owner,
      });
      call(stage, uid, [{ method: 'moveIntoPool' }], label);
      assertRsyncSame(stage.original, realpathSync(stage.ref.path));
      call(stage, uid, [{ method: 'recoverWorkspace' }]);
      assertRsyncSame(stage.original, realpathSync(stage.ref.path));
      expect(beside(stage)).toEqual([]);
      const id = newSnapshotId();
      call(stage, uid, [
        { method: 'moveIntoPool' },
        { method: 'createSnapshot', args: [id] },
        { method: 'identify' },
      ]);
      assertRsyncSame(stage.original, realpathSync(stage.ref.path));
      assertRsyncSame(stage.original, join(stage.ghosts, id));
      call(stage, uid, [{ method: 'releaseWorkspace' }]);
      assertRsyncSame(stage.original, realpathSync(stage.ref.path));
      expect([beside(stage), existsSync(stage.ghosts)]).toEqual([[], false]);
      expect(existsSync(join(stage.ref.poolRoot, 'work', stage.ref.id))).toBe(false);
      rmSync(elsewhere, { recursive: true });
    },
  );
});

test('the labels that are given are the documented ones, in their order', async () => {
  await using stage = newStage(undefined);
  const id = newSnapshotId();
  const run = (calls: readonly ChildCall[]): readonly string[] => [
    ...new Set(call(stage, undefined, calls).labels),
  ];
  expect(run([{ method: 'initWorkspace' }])).toEqual(BTRFS_STEPS.init);
  run([{ method: 'createSnapshot', args: [id] }]);
  const { results } = call(stage, undefined, [{ method: 'prepareSwap', args: [id, 'op'] }]);
  expect(run([{ method: 'swapIn', args: [id, results[0], {}] }])).toEqual(BTRFS_STEPS.swap);
  expect(run([{ method: 'deleteSnapshots', args: [[id]] }])).toEqual(
    BTRFS_STEPS.delete.filter((label) => !BY_EMPTYING.has(label)),
  );
  run([{ method: 'createSnapshot', args: [newSnapshotId()] }]);
  expect(run([{ method: 'releaseWorkspace' }])).toEqual(BTRFS_STEPS.release);
});
