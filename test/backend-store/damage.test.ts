/** Torn, flipped, foreign and later files in the store: a clear error, nothing changed, nothing lost. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createStoreBackend } from '../../src/backend/store/store-backend.ts';
import { nextUlid, workspaceId } from '../../src/core/ids.ts';
import type { RawPath } from '../../src/core/raw-path.ts';
import { assertSameDigest, digestTree } from '../checker/tree-digest.ts';
import { makeLoopImage } from '../platform/loop-image.ts';
import { auditStore, SOUND } from './store-audit.ts';
import { StoreStage } from './store-stage.ts';

let stage: StoreStage;

beforeEach(() => {
  stage = new StoreStage();
  mkdirSync(join(stage.live, 'd'));
  writeFileSync(join(stage.live, 'd/a'), 'content of a');
  writeFileSync(join(stage.live, 'b'), 'content of b');
});
afterEach(() => stage?.[Symbol.dispose]());

const manifest = (id: string): string => join(stage.own, 'snapshots', id);

function replaceBySymlink(path: string): void {
  rmSync(path);
  symlinkSync('/dev/null', path);
}

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at]! ^= 0x40;
  writeFileSync(path, bytes);
}

test('a torn manifest is listed as not whole, cannot be used and can be deleted', async () => {
  await using backend = await stage.open();
  const torn = stage.take(backend);
  writeFileSync(join(stage.live, 'c'), 'later');
  const whole = stage.take(backend);
  truncateSync(manifest(torn), 40);
  expect(backend.listSnapshots(stage.ref)).toMatchObject([
    { id: torn, isWhole: false },
    { id: whole, isWhole: true },
  ]);
  const failure = { code: 'SNAPSHOT_CORRUPT', data: { path: manifest(torn) } };
  await expect(backend.applyInPlace(stage.ref, torn)).rejects.toMatchObject(failure);
  await backend.deleteSnapshots(stage.ref, [torn]);
  const before = digestTree(stage.live);
  rmSync(join(stage.live, 'd'), { recursive: true });
  await backend.applyInPlace(stage.ref, whole);
  assertSameDigest(before, digestTree(stage.live), 'the whole one');
});

test('a FIFO or a directory with the name of a snapshot is not whole, and nobody waits for it', async () => {
  await using backend = await stage.open();
  const whole = stage.take(backend);
  const [fifo, directory] = [5, 6].map((ms) => `ghost_${nextUlid('', ms, new Uint8Array(10))}`);
  execFileSync('mkfifo', [manifest(fifo!)]);
  mkdirSync(manifest(directory!));
  expect(backend.listSnapshots(stage.ref)).toMatchObject([
    { id: fifo, isWhole: false },
    { id: directory, isWhole: false },
    { id: whole, isWhole: true },
  ]);
});

test('a manifest from a later version is FORMAT_TOO_NEW, and nothing is swept beside it', async () => {
  await using backend = await stage.open();
  const later = stage.take(backend);
  writeFileSync(join(stage.live, 'b'), 'changed');
  const other = stage.take(backend);
  const bytes = readFileSync(manifest(later));
  bytes[6] = 2;
  writeFileSync(manifest(later), bytes);
  await expect(backend.openTree(stage.ref, later)).rejects.toMatchObject({
    code: 'FORMAT_TOO_NEW',
  });
  const before = stage.objectsEnding('').length;
  await backend.deleteSnapshots(stage.ref, [other]);
  expect(stage.objectsEnding('').length).toBe(before);
});

test('a flipped bit in a blob stops the rollback of that file and names the object', async () => {
  await using backend = await stage.open();
  const id = stage.take(backend);
  for (const path of stage.objectsEnding('.b')) flip(path, 45);
  writeFileSync(join(stage.live, 'b'), 'the work of today');
  const rollback = backend.applyInPlace(stage.ref, id);
  await expect(rollback).rejects.toMatchObject({ kind: 'corrupt', code: 'SNAPSHOT_CORRUPT' });
  expect(readFileSync(join(stage.live, 'b'), 'utf8')).toBe('the work of today');
});

test('a flipped bit in a directory object is found before anything is changed', async () => {
  await using backend = await stage.open();
  const id = stage.take(backend);
  for (const path of stage.objectsEnding('.d')) flip(path, 20);
  rmSync(join(stage.own, 'index'));
  const before = digestTree(stage.live);
  const rollback = backend.applyInPlace(stage.ref, id);
  await expect(rollback).rejects.toMatchObject({ code: 'SNAPSHOT_CORRUPT' });
  assertSameDigest(before, digestTree(stage.live), 'untouched');
});

test('a damaged object behind the index costs a full read, not the snapshot', async () => {
  await using backend = await stage.open();
  stage.take(backend);
  for (const path of stage.objectsEnding('.d')) rmSync(path);
  writeFileSync(join(stage.live, 'd/new'), 'new');
  const id = stage.take(backend);
  const before = digestTree(stage.live);
  rmSync(join(stage.live, 'd'), { recursive: true });
  await backend.applyInPlace(stage.ref, id);
  assertSameDigest(before, digestTree(stage.live), 'after the full read');
});

test.each([
  ['emptied', (path: string) => truncateSync(path, 0)],
  ['torn', (path: string) => truncateSync(path, 30)],
  ['flipped', (path: string) => flip(path, 45)],
  ['replaced by a symlink', replaceBySymlink],
])(
  'an object that is %s is written again when its content is captured again',
  async (_, damage) => {
    await using backend = await stage.open();
    const damaged = stage.take(backend);
    for (const path of [...stage.objectsEnding('.b'), ...stage.objectsEnding('.d')]) damage(path);
    const other = { ...stage.ref, id: workspaceId(nextUlid('', Date.now(), randomBytes(10))) };
    await backend.initWorkspace(other, {});
    await backend.createSnapshot(other, stage.nextId());
    const before = digestTree(stage.live);
    rmSync(join(stage.live, 'd'), { recursive: true });
    rmSync(join(stage.live, 'b'));
    // What was damaged is whole again, also for the snapshot that was taken before.
    await backend.applyInPlace(stage.ref, damaged);
    assertSameDigest(before, digestTree(stage.live), 'healed');
  },
);

test('a snapshot that fails after its objects were published leaves none of them for long', async () => {
  let fails = false;
  await using backend = await stage.open({
    onStep: (label) => {
      if (fails && label === 'snapshot:objects-durable') throw new Error('failed by the test');
    },
  });
  const kept = stage.take(backend);
  const gone = stage.take(backend);
  writeFileSync(join(stage.live, 'd/new'), 'published in vain');
  fails = true;
  expect(() => stage.take(backend)).toThrow('failed by the test');
  expect(auditStore(stage.pool, [stage.ref]).garbage).toHaveLength(3);
  await backend.deleteSnapshots(stage.ref, [gone]);
  expect(auditStore(stage.pool, [stage.ref])).toEqual(SOUND);
  expect(backend.listSnapshots(stage.ref)).toMatchObject([{ id: kept, isWhole: true }]);
});

test.each([
  ['missing', (path: string) => rmSync(path)],
  ['empty', (path: string) => writeFileSync(path, '')],
  ['torn', (path: string) => truncateSync(path, 200)],
  ['flipped', (path: string) => flip(path, 150)],
  ['of a later version', (path: string) => flip(path, 7)],
])('an index that is %s is no error', async (_, damage) => {
  await using backend = await stage.open();
  stage.take(backend);
  damage(join(stage.own, 'index'));
  const id = stage.take(backend);
  using tree = await backend.openTree(stage.ref, id);
  expect(Buffer.from(tree.readFile('d/a' as RawPath, 0, 99)).toString()).toBe('content of a');
});

test('an index whose snapshot was deleted refers to nothing', async () => {
  await using backend = await stage.open();
  const only = stage.take(backend);
  await backend.deleteSnapshots(stage.ref, [only]);
  expect(stage.objectsEnding('')).toEqual(
    stage.objectsEnding('').filter((path) => !/\.[dbc]$/.test(path)),
  );
  const id = stage.take(backend);
  const before = digestTree(stage.live);
  rmSync(join(stage.live, 'd'), { recursive: true });
  await backend.applyInPlace(stage.ref, id);
  assertSameDigest(before, digestTree(stage.live), 'from nothing');
});

test('foreign files in the pool are left alone', async () => {
  await using backend = await stage.open();
  const foreign = [
    join(stage.own, 'snapshots/notes.txt'),
    join(stage.objects, 'README'),
    join(stage.pool, '.ghostsnap/other'),
  ];
  for (const path of foreign) writeFileSync(path, 'mine');
  const id = stage.take(backend);
  expect(backend.listSnapshots(stage.ref).map((s) => s.id)).toEqual([id]);
  await backend.deleteSnapshots(stage.ref, [id]);
  await backend.recoverWorkspace(stage.ref);
  for (const path of foreign) expect(existsSync(path), path).toBe(true);
});

test('a pool inside its workspace, and a workspace inside its pool, are refused', async () => {
  await using backend = createStoreBackend();
  const inside = { ...stage.ref, poolRoot: join(stage.live, 'd') };
  const around = { ...stage.ref, path: join(stage.pool, '.ghostsnap/x') };
  const refused = { code: 'POOL_INSIDE_WORKSPACE' };
  await expect(backend.initWorkspace(inside, {})).rejects.toMatchObject(refused);
  await expect(backend.initWorkspace(around, {})).rejects.toMatchObject(refused);
});

test('a workspace that is gone or replaced is never captured as if it were empty', async () => {
  await using backend = await stage.open();
  const id = stage.take(backend);
  const before = digestTree(stage.live);
  renameSync(stage.live, `${stage.live}-aside`);
  expect(() => stage.take(backend)).toThrow(expect.objectContaining({ code: 'WORKSPACE_GONE' }));
  mkdirSync(stage.live);
  expect(() => stage.take(backend)).toThrow(
    expect.objectContaining({ code: 'WORKSPACE_REPLACED' }),
  );
  await expect(backend.recreateWorkspace(stage.ref, id)).rejects.toMatchObject({
    code: 'WORKSPACE_REPLACED',
  });
  rmSync(stage.live, { recursive: true });
  await expect(backend.recreateWorkspace(stage.ref, id)).rejects.toMatchObject({
    code: 'WORKSPACE_GONE',
    data: { movedTo: `${stage.live}-aside` },
  });
  rmSync(`${stage.live}-aside`, { recursive: true });
  await backend.recreateWorkspace(stage.ref, id);
  await backend.applyInPlace(stage.ref, id);
  assertSameDigest(before, digestTree(stage.live), 'brought back');
  stage.take(backend);
});

test('a full pool is POOL_FULL: nothing is listed, and deleting and rolling back still work', async () => {
  await using image = await makeLoopImage({ fs: 'ext4', sizeMiB: 24 });
  const ref = { ...stage.ref, poolRoot: image.mountPath };
  await using backend = createStoreBackend();
  await backend.initWorkspace(ref, {});
  const good = stage.nextId();
  await backend.createSnapshot(ref, good);
  const before = digestTree(stage.live);
  writeFileSync(join(stage.live, 'big'), incompressible(40_000_000));
  for (let i = 0; i < 2; i += 1) {
    const attempt = backend.createSnapshot(ref, stage.nextId());
    await expect(attempt).rejects.toMatchObject({ code: 'POOL_FULL' });
  }
  expect(backend.listSnapshots(ref)).toMatchObject([{ id: good, isWhole: true }]);
  await backend.applyInPlace(ref, good);
  assertSameDigest(before, digestTree(stage.live), 'rolled back in a full pool');
  await backend.deleteSnapshots(ref, [good]);
  await backend.createSnapshot(ref, stage.nextId());
  expect(auditStore(image.mountPath, [ref])).toEqual(SOUND);
});

function incompressible(length: number): Buffer {
  const { randomFillSync } = process.getBuiltinModule('node:crypto');
  return randomFillSync(Buffer.alloc(length));
}
