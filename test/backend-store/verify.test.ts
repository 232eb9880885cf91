/** Everything that the snapshots hold is proven, what is damaged is named, and nothing is changed. */
import {
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
import type { SnapshotId } from '../../src/core/ids.ts';
import { auditStore, SOUND } from './store-audit.ts';
import { StoreStage } from './store-stage.ts';

let stage: StoreStage;
let ids: [SnapshotId, SnapshotId];

beforeEach(async () => {
  stage = new StoreStage();
  mkdirSync(join(stage.live, 'd'));
  writeFileSync(join(stage.live, 'd/a'), 'content of a, in both');
  writeFileSync(join(stage.live, 'b'), 'content of b');
  await using backend = await stage.open();
  const first = stage.take(backend);
  writeFileSync(join(stage.live, 'b'), 'b was changed');
  ids = [first, stage.take(backend)];
});
afterEach(() => stage?.[Symbol.dispose]());

/** The blob with these bytes: short contents are stored as they are. */
function blobOf(content: string): string {
  const found = stage.objectsEnding('.b').find((path) => readFileSync(path).includes(content));
  if (found === undefined) throw new Error(`no blob holds ${content}`);
  return found;
}

async function damaged(): Promise<string[] | null> {
  await using backend = await stage.open();
  const found = await backend.verifySnapshots(stage.ref);
  return found?.map(({ snapshot, path }) => `${ids.indexOf(snapshot)} ${path}`) ?? null;
}

test('a whole store has nothing damaged', async () => {
  expect(await damaged()).toEqual([]);
});

test.each([
  ['a flipped bit', (path: string) => flip(path)],
  ['a torn end', (path: string) => truncateSync(path, 30)],
  ['another content', (path: string) => writeFileSync(path, readFileSync(blobOf('of b')))],
  ['nothing', (path: string) => rmSync(path)],
  ['a symlink', replaceBySymlink],
])('%s in a blob is named in each snapshot that refers to it', async (_, damage) => {
  damage(blobOf('of a, in both'));
  expect(await damaged()).toEqual(['0 d/a', '1 d/a']);
});

test('what only one snapshot refers to is named there alone', async () => {
  flip(blobOf('content of b'));
  expect(await damaged()).toEqual(['0 b']);
});

test('a damaged directory stands for all below it, a torn manifest for its snapshot', async () => {
  const [torn] = ids;
  truncateSync(join(stage.own, 'snapshots', torn), 40);
  for (const path of stage.objectsEnding('.d')) flip(path);
  expect(await damaged()).toEqual(['0 ', '1 ']);
});

test('it changes nothing and can be interrupted', async () => {
  flip(blobOf('content of b'));
  const before = stage.objectsEnding('');
  await damaged();
  expect(stage.objectsEnding('')).toEqual(before);
  await using backend = await stage.open();
  const signal = AbortSignal.abort();
  await expect(backend.verifySnapshots(stage.ref, { signal })).rejects.toMatchObject({
    code: 'INTERRUPTED',
  });
});

test('what is deleted meanwhile is not called damaged', async () => {
  await using backend = await stage.open();
  const verifying = backend.verifySnapshots(stage.ref);
  await backend.deleteSnapshots(stage.ref, [ids[0]]);
  expect(await verifying).toEqual([]);
  expect(auditStore(stage.pool, [stage.ref])).toEqual(SOUND);
});

function replaceBySymlink(path: string): void {
  renameSync(path, `${path}.x`);
  symlinkSync(`${path}.x`, path);
}

function flip(path: string): void {
  const bytes = readFileSync(path);
  const at = bytes.length - 3;
  bytes[at] = (bytes[at] ?? 0) ^ 0x40;
  writeFileSync(path, bytes);
}
