/**
 * Pool images: made with the right options, mounted, taken down whole, and what stops that.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { probeFilesystem } from '../../src/backend/probe.ts';
import {
  createImagePool,
  destroyImagePool,
  type ImagePoolPaths,
  imagePoolStatus,
  isImagePoolMounted,
  mountImagePool,
  unmountImagePool,
} from '../../src/pool/image-pool.ts';
import { assertRsyncSame } from '../checker/tree-digest.ts';
import { fillRichly, makeStage, newSnapshotId, PLAIN_UID } from './btrfs-workspace.ts';
import { makeLoopImage } from './loop-image.ts';
import { runBtrfsChild } from './run-btrfs-child.ts';

const SIZE = 200 * 2 ** 20;
let base: string;
let pool: ImagePoolPaths;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'ghostsnap-pool-'));
  pool = { imagePath: join(base, 'a pool', 'image'), mountPath: join(base, 'a pool', 'mnt') };
});

afterEach(() => {
  takeDown(pool);
  rmSync(base, { recursive: true, force: true });
});

function takeDown({ imagePath, mountPath }: ImagePoolPaths): void {
  spawnSync('umount', [mountPath], { stdio: 'ignore' });
  for (const device of devicesOf(imagePath)) spawnSync('losetup', ['-d', device]);
}

function devicesOf(imagePath: string): string[] {
  const { stdout } = spawnSync('losetup', ['-n', '-O', 'NAME', '-j', imagePath], {
    encoding: 'utf8',
  });
  return stdout.split('\n').filter((line) => line !== '');
}

describe('createImagePool()', () => {
  test('makes a sparse image with 4 KiB nodes, direct I/O, and options for plain users', async () => {
    const made = await createImagePool({ ...pool, sizeBytes: SIZE });
    expect(made).toEqual({ device: expect.stringMatching(/^\/dev\/loop\d+$/), io: 'direct' });
    const super_ = execFileSync('btrfs', ['inspect-internal', 'dump-super', made.device], {
      encoding: 'utf8',
    });
    expect(super_).toMatch(/nodesize\s+4096\n/);
    // The end of a file that grows meanwhile would be zeros in some snapshots.
    expect(super_).not.toMatch(/NO_HOLES/);
    const df = execFileSync('btrfs', ['filesystem', 'df', pool.mountPath], { encoding: 'utf8' });
    expect(df).toMatch(/Metadata, single/);
    const { mountOptions } = probeFilesystem(pool.mountPath);
    expect(mountOptions).toEqual(
      expect.arrayContaining(['noatime', 'user_subvol_rm_allowed', 'discard=async']),
    );
    const status = await imagePoolStatus(pool);
    expect(status).toMatchObject({ mounted: true, io: 'direct', totalBytes: SIZE });
    expect(status.hostBytes).toBeLessThan(SIZE / 10);
    expect(statSync(pool.imagePath).mode & 0o777).toBe(0o600);
  });

  test('a plain user uses it: init, snapshot, roll back, delete', async () => {
    await createImagePool({ ...pool, sizeBytes: SIZE });
    for (const path of [base, join(base, 'a pool')]) chmodSync(path, 0o755);
    const home = join(base, 'home');
    mkdirSync(home);
    const stage = makeStage({
      on: pool.mountPath,
      fill: fillRichly,
      uid: PLAIN_UID,
      workspaceAt: home,
    });
    chmodSync(stage.base, 0o755);
    const ref = { ...stage.ref, poolRoot: pool.mountPath };
    const id = newSnapshotId();
    const calls = [
      { method: 'moveIntoPool' },
      { method: 'createSnapshot', args: [id] },
      { method: 'applyInPlace', args: [id] },
      { method: 'deleteSnapshots', args: [[id]] },
      { method: 'releaseWorkspace' },
    ];
    expect(runBtrfsChild({ ref, calls }, PLAIN_UID).error).toBeNull();
    assertRsyncSame(stage.original, ref.path);
    await stage[Symbol.asyncDispose]();
  });

  test('refuses an image that exists, and one that is too small', async () => {
    mkdirSync(join(base, 'a pool'));
    writeFileSync(pool.imagePath, 'precious');
    await expect(createImagePool({ ...pool, sizeBytes: SIZE })).rejects.toMatchObject({
      code: 'POOL_EXISTS',
    });
    rmSync(pool.imagePath);
    await expect(createImagePool({ ...pool, sizeBytes: 2 ** 20 })).rejects.toMatchObject({
      code: 'BAD_ARGUMENT',
    });
    expect(existsSync(pool.imagePath)).toBe(false);
  });

  test('falls back to buffered I/O where the host has no direct I/O, and says so', async () => {
    const own = mkdtempSync('/dev/shm/ghostsnap-pool-');
    const shared = { imagePath: join(own, 'image'), mountPath: join(own, 'mnt') };
    try {
      const { io } = await createImagePool({ ...shared, sizeBytes: SIZE });
      const status = await imagePoolStatus(shared);
      expect(status).toMatchObject({ mounted: true, io });
      writeFileSync(join(shared.mountPath, 'file'), 'works');
      await destroyImagePool(shared);
    } finally {
      takeDown(shared);
      rmSync(own, { recursive: true, force: true });
    }
  });

  test('without the tools says MISSING_TOOL and what to install', async () => {
    const failed = createImagePool({ ...pool, sizeBytes: SIZE, toolPath: '/nonexistent' });
    await expect(failed).rejects.toMatchObject({
      code: 'MISSING_TOOL',
      hint: expect.stringMatching(/apt-get install btrfs-progs/),
    });
    expect(existsSync(pool.imagePath)).toBe(false);
    expect(existsSync(`${pool.imagePath}.unfinished`)).toBe(false);
  });

  test('as a plain user says NEEDS_ROOT', () => {
    chmodSync(base, 0o777);
    const module = join(import.meta.dirname, '../../src/pool/image-pool.ts');
    const script = [
      `const { createImagePool } = await import(${JSON.stringify(module)});`,
      `const making = createImagePool(${JSON.stringify({ ...pool, sizeBytes: SIZE })});`,
      'await making.catch((error) => console.log(error.code));',
    ].join('\n');
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
      uid: PLAIN_UID,
      gid: PLAIN_UID,
    });
    expect(child.stdout).toBe('NEEDS_ROOT\n');
    expect(existsSync(join(base, 'a pool'))).toBe(false);
  });
});

describe('mountImagePool()', () => {
  test('mounts again with everything in it, and a second time changes nothing', async () => {
    const made = await createImagePool({ ...pool, sizeBytes: SIZE });
    expect(await mountImagePool(pool)).toEqual(made);
    writeFileSync(join(pool.mountPath, 'file'), 'kept');
    await unmountImagePool(pool);
    expect([isImagePoolMounted(pool.mountPath), devicesOf(pool.imagePath)]).toEqual([false, []]);
    expect(await imagePoolStatus(pool)).toMatchObject({ mounted: false, device: null });
    await mountImagePool(pool);
    expect(existsSync(join(pool.mountPath, 'file'))).toBe(true);
    expect(devicesOf(pool.imagePath)).toHaveLength(1);
  });

  test('detaches a device that a killed run left, and never attaches an image twice', async () => {
    await createImagePool({ ...pool, sizeBytes: SIZE });
    await unmountImagePool(pool);
    execFileSync('losetup', ['--find', pool.imagePath]);
    await mountImagePool(pool);
    expect(devicesOf(pool.imagePath)).toHaveLength(1);
    const elsewhere = { ...pool, mountPath: join(base, 'elsewhere') };
    await mountImagePool(elsewhere);
    writeFileSync(join(elsewhere.mountPath, 'file'), '');
    expect(existsSync(join(pool.mountPath, 'file'))).toBe(true);
    expect(devicesOf(pool.imagePath)).toHaveLength(1);
    execFileSync('umount', [elsewhere.mountPath]);
  });

  test('comes back while a tree in it is still shown somewhere', async () => {
    const { device } = await createImagePool({ ...pool, sizeBytes: SIZE });
    const shown = join(base, 'shown');
    mkdirSync(join(pool.mountPath, 'tree'));
    mkdirSync(shown);
    execFileSync('mount', ['--bind', join(pool.mountPath, 'tree'), shown]);
    try {
      execFileSync('umount', [pool.mountPath]);
      expect((await mountImagePool(pool)).device).toBe(device);
      writeFileSync(join(shown, 'file'), '');
      expect(existsSync(join(pool.mountPath, 'tree', 'file'))).toBe(true);
    } finally {
      execFileSync('umount', [shown]);
    }
  });

  test('refuses a mount point with something in it, and an image that is gone', async () => {
    await createImagePool({ ...pool, sizeBytes: SIZE });
    await unmountImagePool(pool);
    writeFileSync(join(pool.mountPath, 'precious'), '');
    await expect(mountImagePool(pool)).rejects.toMatchObject({ code: 'POOL_IN_USE' });
    rmSync(join(pool.mountPath, 'precious'));
    rmSync(pool.imagePath);
    await expect(mountImagePool(pool)).rejects.toMatchObject({ code: 'POOL_NOT_FOUND' });
  });
});

describe('destroyImagePool()', () => {
  test('takes everything down, and may be called again', async () => {
    await createImagePool({ ...pool, sizeBytes: SIZE });
    await destroyImagePool(pool);
    expect([existsSync(pool.imagePath), existsSync(pool.mountPath)]).toEqual([false, false]);
    expect(devicesOf(pool.imagePath)).toEqual([]);
    await destroyImagePool(pool);
  });

  test('leaves a file alone that is no pool image', async () => {
    mkdirSync(join(base, 'a pool'));
    writeFileSync(pool.imagePath, 'precious');
    await expect(destroyImagePool(pool)).rejects.toMatchObject({ code: 'IO' });
    expect(readFileSync(pool.imagePath, 'utf8')).toBe('precious');
  });

  test('refuses while workspaces live in it, unless forced, and while something is open', async () => {
    await createImagePool({ ...pool, sizeBytes: SIZE });
    mkdirSync(join(pool.mountPath, '.ghostsnap/ws_01J9Z3K4M5N6P7Q8R9S0T1V2W3'), {
      recursive: true,
    });
    await expect(destroyImagePool(pool)).rejects.toMatchObject({
      code: 'POOL_IN_USE',
      data: { workspaces: ['ws_01J9Z3K4M5N6P7Q8R9S0T1V2W3'] },
    });
    await unmountImagePool(pool);
    await expect(destroyImagePool(pool)).rejects.toMatchObject({ code: 'POOL_IN_USE' });
    expect(isImagePoolMounted(pool.mountPath)).toBe(false);
    await mountImagePool(pool);
    const held = openSync(pool.mountPath, 'r');
    await expect(destroyImagePool({ ...pool, force: 'yes' })).rejects.toMatchObject({
      code: 'POOL_IN_USE',
    });
    closeSync(held);
    expect(isImagePoolMounted(pool.mountPath)).toBe(true);
    await destroyImagePool({ ...pool, force: 'yes' });
    expect(existsSync(pool.imagePath)).toBe(false);
  });
});

describe('probeFilesystem()', () => {
  test.each([
    ['btrfs', true, true, 200],
    ['xfs', false, true, 320],
    ['ext4', false, false, 64],
  ] as const)('on %s', async (fs, isBtrfs, canReflink, sizeMiB) => {
    await using image = await makeLoopImage({ fs, sizeMiB });
    mkdirSync(join(image.mountPath, 'inside'));
    const root = probeFilesystem(image.mountPath);
    const inside = probeFilesystem(join(image.mountPath, 'inside'));
    expect(inside).toMatchObject({ type: fs, isBtrfs, canReflink, canWrite: true, isRoot: true });
    expect(inside.id).toBe(root.id);
    expect(inside.mountPoint).toBe(image.mountPath);
    expect([root.isSubvolume, inside.isSubvolume]).toEqual([isBtrfs, false]);
    expect(inside.freeBytes).toBeLessThanOrEqual(inside.totalBytes);
    expect(
      execFileSync('find', [image.mountPath, '-name', '.ghostsnap*'], { encoding: 'utf8' }),
    ).toBe('');
  });

  test('says of every subvolume of one btrfs that it is the same filesystem', async () => {
    await using image = await makeLoopImage({ fs: 'btrfs', sizeMiB: 200 });
    const sub = join(image.mountPath, 'sub');
    execFileSync('btrfs', ['-q', 'subvolume', 'create', sub]);
    expect(probeFilesystem(sub)).toMatchObject({
      id: probeFilesystem(image.mountPath).id,
      isSubvolume: true,
    });
  });

  test('of a path that is not there says so', () => {
    expect(() => probeFilesystem(join(base, 'nowhere'))).toThrow(/nowhere/);
  });
});
