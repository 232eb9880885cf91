/**
 * Snapshots on a real btrfs: taken, listed, pinned, deleted, and refused with a code where they must be.
 */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SnapshotId } from '../../src/core/ids.ts';
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

beforeAll(async () => {
  image = await makeLoopImage({ fs: 'btrfs', sizeMiB: 400 });
});
afterAll(async () => {
  await image.dispose();
});

async function initStage(fill: (path: string) => void = fillRichly): Promise<BtrfsStage> {
  const stage = makeStage({ on: image.mountPath, fill });
  await stage.backend.initWorkspace(stage.ref, {});
  return stage;
}

function errorOf(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return null;
}

describe('createSnapshot()', () => {
  test('holds the whole tree, read-only, on both paths', async () => {
    await using stage = await initStage();
    const [sync, threaded] = [newSnapshotId(), newSnapshotId()];
    const before = stage.backend.snapshotsStamp(stage.ref);
    const created = stage.backend.createSnapshotSync(stage.ref, sync);
    const after = stage.backend.snapshotsStamp(stage.ref);
    expect(created).toMatchObject({ uncovered: [], stamps: { before, after } });
    const { stamps } = await stage.backend.createSnapshot(stage.ref, threaded);
    expect(stamps).toEqual({ before: after, after: stage.backend.snapshotsStamp(stage.ref) });
    for (const id of [sync, threaded]) {
      assertRsyncSame(stage.original, join(stage.ghosts, id));
      expect(() => writeFileSync(join(stage.ghosts, id, 'new'), '')).toThrow(/EROFS/);
    }
    expect(stage.backend.listSnapshots(stage.ref)).toMatchObject([
      { id: sync, isWhole: true },
      { id: threaded, isWhole: true },
    ]);
  });

  test('takes many workspaces at once, each on its own', async () => {
    const stages = await Promise.all(Array.from({ length: 8 }, () => initStage(() => undefined)));
    const taken = stages.flatMap((stage) =>
      Array.from({ length: 8 }, () => ({ stage, id: newSnapshotId() })),
    );
    await Promise.all(taken.map(({ stage, id }) => stage.backend.createSnapshot(stage.ref, id)));
    for (const stage of stages) expect(stage.backend.listSnapshots(stage.ref)).toHaveLength(8);
    for (const stage of stages) await stage[Symbol.asyncDispose]();
  });

  test('refuses an id that exists, and leaves the first snapshot alone', async () => {
    await using stage = await initStage();
    const id = newSnapshotId();
    stage.backend.createSnapshotSync(stage.ref, id);
    writeFileSync(join(stage.ref.path, 'later'), '');
    const refused = errorOf(() => stage.backend.createSnapshotSync(stage.ref, id));
    expect(refused).toMatchObject({ code: 'BAD_ARGUMENT' });
    assertRsyncSame(stage.original, join(stage.ghosts, id));
  });

  test('says SWAP_FILE_ACTIVE while a swap file is in use, and works again afterwards', async () => {
    await using stage = await initStage();
    const file = join(stage.ref.path, 'swap');
    execFileSync('bash', [
      '-euc',
      'truncate -s 0 "$0"; chattr +C "$0"; fallocate -l 16M "$0"; chmod 600 "$0"; mkswap -q "$0"',
      file,
    ]);
    execFileSync('swapon', [file]);
    try {
      const refused = errorOf(() => stage.backend.createSnapshotSync(stage.ref, newSnapshotId()));
      expect(refused).toMatchObject({ code: 'SWAP_FILE_ACTIVE' });
      await expect(stage.backend.createSnapshot(stage.ref, newSnapshotId())).rejects.toMatchObject({
        code: 'SWAP_FILE_ACTIVE',
      });
    } finally {
      execFileSync('swapoff', [file]);
    }
    expect(stage.backend.listSnapshots(stage.ref)).toEqual([]);
    stage.backend.createSnapshotSync(stage.ref, newSnapshotId());
  });

  test('captures a NOCOW file, and brings it back', async () => {
    await using stage = await initStage();
    const file = join(stage.ref.path, 'nocow');
    execFileSync('bash', [
      '-euc',
      'touch "$0"; chattr +C "$0"; head -c 200000 /dev/urandom > "$0"',
      file,
    ]);
    const id = newSnapshotId();
    stage.backend.createSnapshotSync(stage.ref, id);
    const before = readFileSync(file);
    writeFileSync(file, 'overwritten');
    await stage.backend.applyInPlace(stage.ref, id);
    expect(readFileSync(file)).toEqual(before);
    unlinkSync(file);
    await stage.backend.applyInPlace(stage.ref, id);
    expect(readFileSync(file)).toEqual(before);
    assertRsyncSame(join(stage.ghosts, id), stage.ref.path);
  });
});

describe('identify()', () => {
  test('gives one token for life, across in-place rollbacks and swaps', async () => {
    await using stage = await initStage();
    const { backend, ref } = stage;
    const token = backend.identify(ref);
    const id = newSnapshotId();
    await backend.createSnapshot(ref, id);
    for (const operation of ['one', 'two']) {
      await backend.swapIn(ref, id, backend.prepareSwap(ref, id, operation));
      expect(backend.identify(ref)).toEqual(token);
      await backend.createSnapshot(ref, newSnapshotId());
    }
    await backend.removeReplaced(ref);
    expect(backend.identify(ref)).toEqual(token);
  });

  type Damage = readonly [string, string, (path: string) => void];
  const DAMAGES: readonly Damage[] = [
    ['nothing is there', 'WORKSPACE_GONE', () => undefined],
    ['a file is there', 'WORKSPACE_GONE', (path) => writeFileSync(path, '')],
    ['a plain directory is there', 'WORKSPACE_REPLACED', (path) => mkdirSync(path)],
    [
      'another subvolume is there',
      'WORKSPACE_REPLACED',
      (path) => execFileSync('btrfs', ['-q', 'subvolume', 'create', path]),
    ],
    [
      'a snapshot of the workspace is there',
      'WORKSPACE_REPLACED',
      (path) => execFileSync('btrfs', ['-q', 'subvolume', 'snapshot', `${path}-moved`, path]),
    ],
    [
      'a symlink to another filesystem is there',
      'WORKSPACE_REPLACED',
      (path) => symlinkSync('/', path),
    ],
    [
      'a symlink into the moved workspace is there',
      'WORKSPACE_REPLACED',
      (path) => symlinkSync(`${path}-moved/src`, path),
    ],
  ];

  test.each(DAMAGES)('when %s, every snapshot fails with %s', async (_, code, damage) => {
    await using stage = await initStage();
    const { backend, ref } = stage;
    backend.createSnapshotSync(ref, newSnapshotId());
    renameSync(ref.path, `${ref.path}-moved`);
    damage(ref.path);
    expect(errorOf(() => backend.identify(ref))).toMatchObject({ code });
    expect(errorOf(() => backend.createSnapshotSync(ref, newSnapshotId()))).toMatchObject({ code });
    await expect(backend.createSnapshot(ref, newSnapshotId())).rejects.toMatchObject({ code });
    expect(backend.listSnapshots(ref)).toHaveLength(1);
    execFileSync('bash', ['-c', 'btrfs -q subvolume delete "$0" || rm -rf "$0"', ref.path], {
      stdio: 'ignore',
    });
    renameSync(`${ref.path}-moved`, ref.path);
    expect(backend.identify(ref).token).not.toBe('');
  });

  test('a symlink that leads to the workspace is the workspace', async () => {
    await using stage = await initStage();
    renameSync(stage.ref.path, `${stage.ref.path}-moved`);
    symlinkSync(`${stage.ref.path}-moved`, stage.ref.path);
    stage.backend.createSnapshotSync(stage.ref, newSnapshotId());
    expect(stage.backend.listSnapshots(stage.ref)).toHaveLength(1);
  });
});

describe('listSnapshots()', () => {
  test('ignores foreign names, and says of a snapshot made writable that it is not whole', async () => {
    await using stage = await initStage();
    const [good, touched] = [newSnapshotId(), newSnapshotId()];
    for (const id of [good, touched]) stage.backend.createSnapshotSync(stage.ref, id);
    mkdirSync(join(stage.ghosts, newSnapshotId()));
    writeFileSync(join(stage.ghosts, 'notes.txt'), 'mine');
    execFileSync('btrfs', ['property', 'set', join(stage.ghosts, touched), 'ro', 'false']);
    expect(stage.backend.listSnapshots(stage.ref)).toMatchObject([
      { id: good, isWhole: true },
      { id: touched, isWhole: false },
    ]);
    await stage.backend.recoverWorkspace(stage.ref);
    expect(readFileSync(join(stage.ghosts, 'notes.txt'), 'utf8')).toBe('mine');
  });

  test('the stamp changes with every snapshot that comes or goes, and with nothing else', async () => {
    await using stage = await initStage();
    const { backend, ref } = stage;
    const seen = new Set([backend.snapshotsStamp(ref)]);
    const ids = [newSnapshotId(), newSnapshotId()];
    for (const id of ids) {
      backend.createSnapshotSync(ref, id);
      seen.add(backend.snapshotsStamp(ref));
    }
    writeFileSync(join(ref.path, 'file'), '');
    backend.setPinned(ref, ids[0] as SnapshotId, 'pinned');
    const before = backend.snapshotsStamp(ref);
    backend.setPinned(ref, ids[1] as SnapshotId, 'pinned');
    writeFileSync(join(ref.path, 'file'), 'more');
    expect(backend.snapshotsStamp(ref)).toBe(before);
    await backend.deleteSnapshots(ref, [ids[0] as SnapshotId]);
    seen.add(backend.snapshotsStamp(ref));
    expect(seen.size).toBe(4);
  });

  test('a pool that is not mounted is an error, never an empty list', async () => {
    await using stage = await initStage();
    const nowhere = { ...stage.ref, poolRoot: join(stage.base, 'home') };
    expect(errorOf(() => stage.backend.listSnapshots(nowhere))).toMatchObject({
      code: 'POOL_NOT_MOUNTED',
    });
  });
});

describe('deleteSnapshots()', () => {
  test('leaves the thread to others while the kernel waits for its transactions', async () => {
    await using stage = await initStage();
    const ids = [newSnapshotId(), newSnapshotId(), newSnapshotId()];
    for (const id of ids) stage.backend.createSnapshotSync(stage.ref, id);
    let turns = 0;
    const count = (): void => {
      turns += 1;
      next = setImmediate(count);
    };
    let next = setImmediate(count);
    await stage.backend.deleteSnapshots(stage.ref, ids);
    clearImmediate(next);
    // A promise that settles without the event loop would have let nothing run.
    expect(turns).toBeGreaterThan(0);
    expect(stage.backend.listSnapshots(stage.ref)).toEqual([]);
  });

  test.each(['user_subvol_rm_allowed', ''])(
    'a plain user deletes with the mount option %j',
    async (option) => {
      const mountOptions = option === '' ? {} : { mountOptions: option };
      await using own = await makeLoopImage({ fs: 'btrfs', sizeMiB: 200, ...mountOptions });
      await using stage = makeStage({ on: own.mountPath, fill: fillRichly, uid: PLAIN_UID });
      const ids = [newSnapshotId(), newSnapshotId()];
      const outcome = runBtrfsChild(
        {
          ref: stage.ref,
          calls: [
            { method: 'initWorkspace' },
            ...ids.map((id) => ({ method: 'createSnapshot', args: [id] })),
            { method: 'setPinned', args: [ids[0], 'pinned'] },
            { method: 'deleteSnapshots', args: [[ids[0]]] },
            { method: 'listSnapshots' },
            { method: 'listPinned' },
          ],
        },
        PLAIN_UID,
      );
      expect(outcome.error).toBeNull();
      expect(outcome.results.slice(-2)).toMatchObject([[{ id: ids[1], isWhole: true }], []]);
      expect(existsSync(join(stage.ghosts, ids[0] ?? ''))).toBe(false);
      assertRsyncSame(stage.original, join(stage.ghosts, ids[1] ?? ''));
    },
  );

  test('one that is already gone counts as removed; a foreign directory stays', async () => {
    await using stage = await initStage();
    const foreign = newSnapshotId();
    mkdirSync(join(stage.ghosts, foreign));
    writeFileSync(join(stage.ghosts, foreign, 'file'), '');
    await stage.backend.deleteSnapshots(stage.ref, [newSnapshotId(), foreign]);
    expect(existsSync(join(stage.ghosts, foreign, 'file'))).toBe(true);
  });
});

describe('a full pool', () => {
  test('says POOL_FULL, loses nothing, and going back and deleting still work', async () => {
    await using own = await makeLoopImage({ fs: 'btrfs', sizeMiB: 128 });
    await using stage = makeStage({ on: own.mountPath, fill: fillRichly });
    const { backend, ref } = stage;
    await backend.initWorkspace(ref, {});
    const id = newSnapshotId();
    await backend.createSnapshot(ref, id);
    rmSync(join(ref.path, 'src'), { recursive: true });
    const full = fillUp(join(ref.path, 'filler'));
    expect(full).toBe('ENOSPC');
    await backend.applyInPlace(ref, id);
    assertRsyncSame(stage.original, ref.path);
    await backend.deleteSnapshots(ref, [id]);
    expect(backend.listSnapshots(ref)).toEqual([]);
  });

  test('init of what does not fit is taken back', async () => {
    await using own = await makeLoopImage({ fs: 'btrfs', sizeMiB: 128 });
    await using other = await makeLoopImage({ fs: 'ext4', sizeMiB: 256 });
    const home = join(other.mountPath, 'home');
    mkdirSync(home);
    await using stage = makeStage({ on: own.mountPath, workspaceAt: home });
    execFileSync('bash', ['-euc', 'head -c 120M /dev/urandom > big; echo x > small'], {
      cwd: stage.ref.path,
    });
    await expect(stage.backend.moveIntoPool(stage.ref, {})).rejects.toMatchObject({
      code: 'POOL_FULL',
    });
    expect(statSync(join(stage.ref.path, 'big')).size).toBe(120 * 2 ** 20);
    expect(existsSync(stage.ghosts)).toBe(false);
    expect(existsSync(join(stage.ref.poolRoot, 'work', stage.ref.id))).toBe(false);
  });
});

/** Writes until nothing more fits; the errno that says so. */
function fillUp(path: string): string {
  const fd = openSync(path, 'w');
  const chunk = Buffer.alloc(1 << 20, 7);
  try {
    for (;;) writeFileSync(fd, chunk);
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  } finally {
    closeSync(fd);
  }
}
