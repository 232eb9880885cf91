/**
 * A tree that moves between a pool and another filesystem is on the disk where it went before it is removed
 * where it was: the power goes at any step, and one whole tree is there.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { assertRsyncSame } from '../checker/tree-digest.ts';
import { type BtrfsStage, fillRichly, makeStage, PLAIN_UID } from './btrfs-workspace.ts';
import { type LoopImage, makeLoopImage } from './loop-image.ts';
import { losePower } from './lose-power.ts';
import { runBtrfsChild } from './run-btrfs-child.ts';

let pool: LoopImage;

beforeAll(async () => {
  pool = await makeLoopImage({ fs: 'btrfs', sizeMiB: 400 });
});
afterAll(async () => {
  await pool?.dispose();
});

const USERS = [
  { way: 'a bind mount', uid: undefined },
  { way: 'a symlink', uid: PLAIN_UID },
] as const;

const nothing = (): void => {};

async function newHost(): Promise<LoopImage & { readonly home: string }> {
  const host = await makeLoopImage({ fs: 'ext4', sizeMiB: 64, mountOptions: 'commit=600' });
  const home = join(host.mountPath, 'home');
  mkdirSync(home);
  chmodSync(home, 0o755);
  return { ...host, home };
}

/** What lies on the filesystem before anything of ours is done has long been on the disk. */
function newStage(host: { readonly home: string }, uid: number | undefined): BtrfsStage {
  const owner = uid === undefined ? {} : { uid };
  const stage = makeStage({
    ...{ on: pool.mountPath, fill: fillRichly, workspaceAt: host.home },
    ...owner,
  });
  execFileSync('sync', ['-f', host.home]);
  return stage;
}

test.each(USERS)('what was released from a pool by $way outlasts a power loss', async ({ uid }) => {
  await using host = await newHost();
  await using stage = newStage(host, uid);
  const calls = [{ method: 'moveIntoPool' }, { method: 'releaseWorkspace' }];
  expect(runBtrfsChild({ ref: stage.ref, calls }, uid).error).toBeNull();
  losePower(host, { down: nothing, up: nothing });
  assertRsyncSame(stage.original, stage.ref.path);
});

test('a switch to the pool that the power took back is not taken for one that happened', async () => {
  await using host = await newHost();
  await using stage = newStage(host, PLAIN_UID);
  const { ref } = stage;
  const calls = [{ method: 'moveIntoPool' }];
  const killAt = 'move:late-writes-carried';
  expect(runBtrfsChild({ ref, calls, killAt }, PLAIN_UID).killed).toBe(true);
  losePower(host, { down: nothing, up: nothing });
  const recovery = [{ method: 'recoverWorkspace' }, ...calls, { method: 'identify' }];
  expect(runBtrfsChild({ ref, calls: recovery }, PLAIN_UID).error).toBeNull();
  assertRsyncSame(stage.original, realpathSync(ref.path));
});
