/**
 * Making and ending a workspace on a real btrfs: what is kept, what is refused, and what a process that
 * writes all the while loses: nothing.
 */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
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

beforeAll(async () => {
  image = await makeLoopImage({ fs: 'btrfs', sizeMiB: 500 });
});
afterAll(async () => {
  await image.dispose();
});

function newStage(fill: (path: string) => void = fillRichly): BtrfsStage {
  return makeStage({ on: image.mountPath, fill });
}

/** Nothing was made: the directory is what it was, beside it and in the pool nothing is left. */
function expectUntouched(stage: BtrfsStage): void {
  assertRsyncSame(stage.original, stage.ref.path);
  expect(readdirSync(dirname(stage.ref.path))).toEqual(['ws']);
  expect(existsSync(stage.ghosts)).toBe(false);
}

describe('initWorkspace()', () => {
  test('turns a directory into a subvolume that shares every block and keeps its own attributes', async () => {
    await using stage = newStage((path) => {
      fillRichly(path);
      execFileSync(
        'bash',
        ['-euc', 'setfattr -n user.k -v v .; setfacl -m u:12345:rx .; chmod 2751 .'],
        {
          cwd: path,
        },
      );
    });
    const used = usedBytes();
    await stage.backend.initWorkspace(stage.ref, {});
    assertRsyncSame(stage.original, stage.ref.path);
    expect(statSync(stage.ref.path).ino).toBe(256);
    expect(usedBytes() - used).toBeLessThan(1 << 20);
    expect(statSync(stage.ghosts).mode & 0o777).toBe(0o700);
  });

  test('records a directory that is a subvolume already, and release leaves it one', async () => {
    await using stage = newStage(() => undefined);
    execFileSync('bash', ['-euc', 'rmdir "$0"; btrfs -q subvolume create "$0"', stage.ref.path]);
    fillRichly(stage.ref.path);
    const { ino, dev } = statSync(stage.ref.path);
    await stage.backend.initWorkspace(stage.ref, {});
    await stage.backend.createSnapshot(stage.ref, newSnapshotId());
    expect(statSync(stage.ref.path)).toMatchObject({ ino, dev });
    await stage.backend.releaseWorkspace(stage.ref, {});
    expect(statSync(stage.ref.path)).toMatchObject({ ino, dev });
    expect(existsSync(stage.ghosts)).toBe(false);
  });

  test('called again it changes nothing', async () => {
    await using stage = newStage();
    await stage.backend.initWorkspace(stage.ref, {});
    const token = stage.backend.identify(stage.ref);
    await stage.backend.createSnapshot(stage.ref, newSnapshotId());
    await stage.backend.initWorkspace(stage.ref, {});
    expect(stage.backend.identify(stage.ref)).toEqual(token);
    expect(stage.backend.listSnapshots(stage.ref)).toHaveLength(1);
  });

  test('what a process writes through a descriptor it held is carried over', async () => {
    await using stage = newStage();
    const held = openSync(join(stage.ref.path, 'src/f9'), 'a');
    try {
      await stage.backend.initWorkspace(stage.ref, {
        onStep: (label) => {
          if (label === 'init:copied') writeSync(held, ' before the exchange');
          if (label === 'init:exchanged') writeSync(held, ' after it');
        },
      });
    } finally {
      closeSync(held);
    }
    const text = readFileSync(join(stage.ref.path, 'src/f9'), 'utf8');
    expect(text).toBe('content 9 before the exchange after it');
  });

  test('what is written to the new tree meanwhile is not turned back', async () => {
    await using stage = newStage();
    await stage.backend.initWorkspace(stage.ref, {
      onStep: (label) => {
        if (label !== 'init:exchanged') return;
        writeFileSync(join(stage.ref.path, 'src/f9'), 'mine');
        writeFileSync(join(stage.ref.path, 'added'), 'mine as well');
      },
    });
    expect(readFileSync(join(stage.ref.path, 'src/f9'), 'utf8')).toBe('mine');
    expect(readFileSync(join(stage.ref.path, 'added'), 'utf8')).toBe('mine as well');
  });

  test('refuses a tree with a subvolume or a mount in it, and leaves it as it was', async () => {
    await using stage = newStage();
    const inner = join(stage.ref.path, 'inner');
    execFileSync('btrfs', ['-q', 'subvolume', 'create', inner]);
    writeFileSync(join(inner, 'precious'), 'mine');
    await expect(stage.backend.initWorkspace(stage.ref, {})).rejects.toMatchObject({
      code: 'WORKSPACE_NESTED',
      data: { inner: 'inner', reason: 'subvolume' },
    });
    expect(readFileSync(join(inner, 'precious'), 'utf8')).toBe('mine');
    execFileSync('btrfs', ['-q', 'subvolume', 'delete', inner]);
    mkdirSync(inner);
    execFileSync('mount', ['-t', 'tmpfs', 'none', inner]);
    try {
      await expect(stage.backend.initWorkspace(stage.ref, {})).rejects.toMatchObject({
        code: 'WORKSPACE_NESTED',
        data: { reason: 'mount' },
      });
    } finally {
      execFileSync('umount', [inner]);
    }
    expect(existsSync(stage.ghosts)).toBe(false);
  });

  test('refuses a pool inside the workspace, another filesystem, and a missing directory', async () => {
    await using stage = newStage();
    const { backend, ref } = stage;
    const refused = async (change: object): Promise<unknown> =>
      backend
        .initWorkspace({ ...ref, ...change }, {})
        .catch((error: { code?: unknown }) => error.code);
    expect(await refused({ poolRoot: join(ref.path, 'src') })).toBe('POOL_INSIDE_WORKSPACE');
    expect(await refused({ poolRoot: '/dev/shm' })).toBe('UNSUPPORTED_FILESYSTEM');
    expect(await refused({ path: image.directory })).toBe('POOL_INSIDE_WORKSPACE');
    expect(await refused({ path: '/dev/shm' })).toBe('UNSUPPORTED_FILESYSTEM');
    expect(await refused({ path: join(stage.base, 'nowhere') })).toBe('WORKSPACE_GONE');
    expect(await refused({ poolRoot: join(stage.base, 'nowhere') })).toBe('POOL_NOT_FOUND');
    expectUntouched(stage);
  });

  test('as a plain user refuses what it could not give back exactly', async () => {
    await using stage = makeStage({ on: image.mountPath, fill: fillRichly, uid: PLAIN_UID });
    const run = (): unknown =>
      runBtrfsChild({ ref: stage.ref, calls: [{ method: 'initWorkspace' }] }, PLAIN_UID).error;
    execFileSync('chown', ['0:0', join(stage.ref.path, 'src/f1'), join(stage.original, 'src/f1')]);
    expect(run()).toMatchObject({ code: 'VERIFY_FAILED' });
    expectUntouched(stage);
    execFileSync('chmod', ['0', join(stage.ref.path, 'src/f1'), join(stage.original, 'src/f1')]);
    expect(run()).toMatchObject({ code: expect.stringMatching(/CAPTURE_FAILED|NOT_PERMITTED/) });
    expectUntouched(stage);
    const parent = dirname(stage.ref.path);
    execFileSync('chown', ['0:0', parent]);
    expect(run()).toMatchObject({ code: expect.stringMatching(/NOT_PERMITTED|CAPTURE_FAILED/) });
    expectUntouched(stage);
  });

  test('stopped by a signal it is taken back', async () => {
    await using stage = newStage();
    const stop = new AbortController();
    const work = stage.backend.initWorkspace(stage.ref, {
      signal: stop.signal,
      onStep: (label) => {
        if (label === 'init:subvolume-created') stop.abort();
      },
    });
    await expect(work).rejects.toMatchObject({ code: 'INTERRUPTED' });
    expectUntouched(stage);
  });
});

describe('releaseWorkspace()', () => {
  test('what a process writes through a descriptor it held is carried over', async () => {
    await using stage = newStage();
    const { backend, ref } = stage;
    await backend.initWorkspace(ref, {});
    const held = openSync(join(ref.path, 'src/f9'), 'a');
    try {
      await backend.releaseWorkspace(ref, {
        onStep: (label) => {
          if (label === 'release:exchanged') writeSync(held, ' after it');
        },
      });
    } finally {
      closeSync(held);
    }
    expect(statSync(ref.path).ino).not.toBe(256);
    expect(readFileSync(join(ref.path, 'src/f9'), 'utf8')).toBe('content 9 after it');
  });

  test.each(['directory', 'subvolume'])(
    'takes no other tree for the workspace, which was a %s: its snapshots stay',
    async (kind) => {
      await using stage = newStage();
      const { backend, ref } = stage;
      const moved = `${ref.path}-moved`;
      if (kind === 'subvolume') {
        renameSync(ref.path, moved);
        execFileSync('btrfs', ['-q', 'subvolume', 'create', ref.path]);
        execFileSync('cp', ['-a', `${moved}/.`, ref.path]);
        rmSync(moved, { recursive: true });
      }
      await backend.initWorkspace(ref, {});
      const id = newSnapshotId();
      await backend.createSnapshot(ref, id);
      renameSync(ref.path, moved);
      execFileSync('btrfs', ['-q', 'subvolume', 'create', ref.path]);
      writeFileSync(join(ref.path, 'precious'), 'mine');
      await expect(backend.releaseWorkspace(ref, {})).rejects.toMatchObject({
        code: 'WORKSPACE_REPLACED',
      });
      expect(readFileSync(join(ref.path, 'precious'), 'utf8')).toBe('mine');
      expect(backend.listSnapshots(ref)).toMatchObject([{ id, isWhole: true }]);
      assertRsyncSame(stage.original, moved);
    },
  );
});

describe('workspace.json', () => {
  test('of a later format or broken stops everything, and is left as it is', async () => {
    await using stage = newStage();
    const { backend, ref, ghosts } = stage;
    await backend.initWorkspace(ref, {});
    const file = join(ghosts, 'workspace.json');
    const good = readFileSync(file, 'utf8');
    for (const [text, code] of [
      [JSON.stringify({ ...JSON.parse(good), format: 2 }), 'FORMAT_TOO_NEW'],
      [good.slice(0, 40), 'FORMAT_UNKNOWN'],
      ['', 'FORMAT_UNKNOWN'],
      [JSON.stringify({ ...JSON.parse(good), subvolumes: ['../..'] }), 'FORMAT_UNKNOWN'],
    ] as const) {
      writeFileSync(file, text);
      await expect(backend.recoverWorkspace(ref), text).rejects.toMatchObject({ code });
      await expect(backend.releaseWorkspace(ref, {}), text).rejects.toMatchObject({ code });
      expect(readFileSync(file, 'utf8')).toBe(text);
      expect(backend.listSnapshots(ref)).toEqual([]);
    }
    assertRsyncSame(stage.original, ref.path);
  });
});

function usedBytes(): number {
  execFileSync('sync', ['-f', image.mountPath]);
  const text = execFileSync('btrfs', ['filesystem', 'df', '-b', image.mountPath], {
    encoding: 'utf8',
  });
  return Number(/Data.*used=(\d+)/.exec(text)?.[1]);
}
