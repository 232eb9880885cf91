/**
 * A workspace that was moved into a pool: after a reboot, after its symlink was removed, and what is
 * never hidden or replaced.
 */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmdirSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { assertRsyncSame } from '../checker/tree-digest.ts';
import {
  type BtrfsStage,
  fillRichly,
  makeStage,
  newSnapshotId,
  PLAIN_UID,
} from './btrfs-workspace.ts';
import { type LoopImage, makeLoopImage } from './loop-image.ts';
import { runBtrfsChild } from './run-btrfs-child.ts';

let image: LoopImage;
let other: LoopImage;

beforeAll(async () => {
  image = await makeLoopImage({ fs: 'btrfs', sizeMiB: 400 });
  other = await makeLoopImage({ fs: 'ext4', sizeMiB: 128 });
});
afterAll(async () => {
  await other.dispose();
  await image.dispose();
});

function newStage(uid?: number): BtrfsStage {
  const home = mkdtempSync(join(other.mountPath, 'home-'));
  const owner = uid === undefined ? {} : { uid };
  return makeStage({ on: image.mountPath, fill: fillRichly, workspaceAt: home, ...owner });
}

function errorOf(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return null;
}

describe('by a bind mount', () => {
  test('empties the original only below the mount, and release fills it again', async () => {
    await using stage = newStage();
    const { backend, ref } = stage;
    const { ino } = statSync(ref.path);
    await backend.moveIntoPool(ref, {});
    assertRsyncSame(stage.original, ref.path);
    expect(statSync(ref.path).ino).toBe(256);
    expect(backend.checkSwap(ref)).toMatchObject({ allowed: false });
    await backend.createSnapshot(ref, newSnapshotId());
    writeFileSync(join(ref.path, 'new'), 'in the pool');
    await backend.releaseWorkspace(ref, {});
    expect(statSync(ref.path).ino).toBe(ino);
    expect(readFileSync(join(ref.path, 'new'), 'utf8')).toBe('in the pool');
    unlinkSync(join(ref.path, 'new'));
    assertRsyncSame(stage.original, ref.path, ['--omit-dir-times']);
    expect(readdirSync(stage.ref.poolRoot)).toEqual(expect.not.arrayContaining([ref.id]));
  });

  test('is mounted again by recovery after a reboot, but never over a file', async () => {
    await using stage = newStage();
    const { backend, ref } = stage;
    await backend.moveIntoPool(ref, {});
    execFileSync('umount', [ref.path]);
    const snap = (): unknown => errorOf(() => backend.createSnapshotSync(ref, newSnapshotId()));
    expect(snap()).toMatchObject({ code: 'WORKSPACE_REPLACED' });
    writeFileSync(join(ref.path, 'precious'), 'mine');
    await backend.recoverWorkspace(ref);
    expect(readFileSync(join(ref.path, 'precious'), 'utf8')).toBe('mine');
    rmSync(join(ref.path, 'precious'));
    await backend.recoverWorkspace(ref);
    await backend.recoverWorkspace(ref);
    assertRsyncSame(stage.original, ref.path);
    expect(snap()).toBeNull();
    execFileSync('umount', [ref.path]);
    rmdirSync(ref.path);
    await backend.recoverWorkspace(ref);
    assertRsyncSame(stage.original, ref.path);
    await backend.releaseWorkspace(ref, {});
    assertRsyncSame(stage.original, ref.path);
  });

  test('what is written to the tree that is about to go is carried over, both ways', async () => {
    await using stage = newStage();
    const { backend, ref } = stage;
    const append = (file: string): number => openSync(join(file, 'src/f9'), 'a');
    const original = append(ref.path);
    await backend.moveIntoPool(ref, {
      onStep: (label) => {
        if (label === 'move:switched') writeSync(original, ' and on');
      },
    });
    closeSync(original);
    expect(readFileSync(join(ref.path, 'src/f9'), 'utf8')).toBe('content 9 and on');
    // Beside the mount, which could not be taken away while a file of it is open.
    const inPool = append(join(ref.poolRoot, 'work', ref.id));
    await backend.releaseWorkspace(ref, {
      onStep: (label) => {
        if (label === 'release:exchanged') writeSync(inPool, ' and back');
      },
    });
    closeSync(inPool);
    expect(statSync(ref.path).ino).not.toBe(256);
    expect(readFileSync(join(ref.path, 'src/f9'), 'utf8')).toBe('content 9 and on and back');
  });

  test('never takes what a mount hides for the original', async () => {
    await using stage = newStage();
    const { backend, ref } = stage;
    execFileSync('mount', ['-t', 'tmpfs', 'none', ref.path]);
    try {
      writeFileSync(join(ref.path, 'shown'), 'mine');
      await expect(backend.moveIntoPool(ref, {})).rejects.toMatchObject({ code: 'BAD_ARGUMENT' });
      expect(readdirSync(ref.path)).toEqual(['shown']);
    } finally {
      execFileSync('umount', [ref.path]);
    }
    assertRsyncSame(stage.original, ref.path);
    expect(existsSync(stage.ghosts)).toBe(false);
  });

  test('what somebody made below the mount is not deleted by release', async () => {
    await using stage = newStage();
    const { backend, ref } = stage;
    const before = process.cwd();
    process.chdir(ref.path);
    try {
      await backend.moveIntoPool(ref, {});
      writeFileSync('precious', 'mine');
      await expect(backend.releaseWorkspace(ref, {})).rejects.toMatchObject({
        code: 'TARGET_EXISTS',
        data: { hidden: ['precious'] },
      });
      expect(readFileSync('precious', 'utf8')).toBe('mine');
      assertRsyncSame(stage.original, ref.path);
      await backend.createSnapshot(ref, newSnapshotId());
      rmSync('precious');
    } finally {
      process.chdir(before);
    }
    await backend.releaseWorkspace(ref, {});
    assertRsyncSame(stage.original, ref.path);
  });

  test('stays a workspace when somebody stands in it at release', async () => {
    await using stage = newStage();
    const { backend, ref } = stage;
    await backend.moveIntoPool(ref, {});
    const { cwd, chdir } = process;
    const before = cwd();
    chdir(ref.path);
    try {
      await expect(backend.releaseWorkspace(ref, {})).rejects.toMatchObject({
        code: 'WORKSPACE_BUSY',
      });
    } finally {
      chdir(before);
    }
    assertRsyncSame(stage.original, ref.path);
    await backend.createSnapshot(ref, newSnapshotId());
    await backend.releaseWorkspace(ref, {});
    assertRsyncSame(stage.original, ref.path);
  });
});

describe('by a mount, killed', () => {
  test('while a release that somebody stands in is taken back, the tree in the pool is the tree', async () => {
    await using stage = newStage();
    const { backend, ref } = stage;
    await backend.moveIntoPool(ref, {});
    const { cwd, chdir } = process;
    const before = cwd();
    chdir(ref.path);
    try {
      const release = { ref, calls: [{ method: 'releaseWorkspace' }] };
      const outcome = runBtrfsChild({ ...release, killAt: 'release:copy-removed' });
      expect(outcome.killed).toBe(true);
    } finally {
      chdir(before);
    }
    const recovery = { ref, calls: [{ method: 'recoverWorkspace' }] };
    expect(runBtrfsChild(recovery).error).toBeNull();
    assertRsyncSame(stage.original, ref.path);
    expect(runBtrfsChild({ ref, calls: [{ method: 'releaseWorkspace' }] }).error).toBeNull();
    assertRsyncSame(stage.original, ref.path);
  });
});

describe('by a symlink', () => {
  test('is made again by recovery when it was removed, and never replaces anything', async () => {
    await using stage = newStage(PLAIN_UID);
    const { ref } = stage;
    const run = (method: string, ...args: readonly unknown[]): unknown =>
      runBtrfsChild({ ref, calls: [{ method, args }] }, PLAIN_UID).error;
    expect(run('moveIntoPool')).toBeNull();
    expect(lstatSync(ref.path).isSymbolicLink()).toBe(true);
    unlinkSync(ref.path);
    expect(run('identify')).toMatchObject({ code: 'WORKSPACE_GONE' });
    expect(run('recoverWorkspace')).toBeNull();
    assertRsyncSame(stage.original, realpathSync(ref.path));
    unlinkSync(ref.path);
    mkdirSync(ref.path);
    writeFileSync(join(ref.path, 'precious'), 'mine');
    expect(run('recoverWorkspace')).toBeNull();
    expect(run('identify')).toMatchObject({ code: 'WORKSPACE_REPLACED' });
    expect(run('releaseWorkspace')).toMatchObject({ code: 'WORKSPACE_REPLACED' });
    expect(readFileSync(join(ref.path, 'precious'), 'utf8')).toBe('mine');
    rmSync(ref.path, { recursive: true });
    expect(run('recoverWorkspace')).toBeNull();
    expect(run('releaseWorkspace')).toBeNull();
    expect(lstatSync(ref.path).isDirectory()).toBe(true);
    assertRsyncSame(stage.original, ref.path);
    expect(existsSync(stage.ghosts)).toBe(false);
  });
});
