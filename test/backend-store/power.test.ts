/** What a power loss may leave of snapshots that refer to each other's objects. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { copyFileSync, mkdirSync, readdirSync, renameSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createStoreBackend } from '../../src/backend/store/store-backend.ts';
import { nextUlid, workspaceId } from '../../src/core/ids.ts';
import { makeLoopImage } from '../platform/loop-image.ts';
import { auditStore } from './store-audit.ts';
import { StoreStage } from './store-stage.ts';

let stage: StoreStage;

beforeEach(() => {
  stage = new StoreStage();
});
afterEach(() => stage?.[Symbol.dispose]());

test('a snapshot does not stand on objects whose names another one has not synced yet', async () => {
  // btrfs: a sync of one file leaves other directories' renames in memory, as others may.
  await using image = await makeLoopImage({ fs: 'btrfs', sizeMiB: 128 });
  for (let i = 0; i < 40; i += 1) {
    mkdirSync(join(stage.live, `d${i}`));
    symlinkSync(`target ${i}`, join(stage.live, `d${i}/link`));
  }
  await using backend = createStoreBackend();
  const first = { ...stage.ref, poolRoot: image.mountPath };
  const second = { ...first, id: workspaceId(nextUlid('', Date.now(), randomBytes(10))) };
  await backend.initWorkspace(first, {});
  await backend.initWorkspace(second, {});
  await backend.createSnapshot(first, stage.nextId());
  const objects = join(image.mountPath, '.ghostsnap', 'objects');
  const aside = join(image.mountPath, 'aside');
  mkdirSync(aside);
  const names = readdirSync(objects, { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.d'));
  for (const name of names) renameSync(join(objects, name), join(aside, name.slice(3)));
  execFileSync('sync', ['-f', image.mountPath]);
  // The moment between the first snapshot's renames and its sync, as long as it takes.
  for (const name of names) renameSync(join(aside, name.slice(3)), join(objects, name));
  await backend.createSnapshot(second, stage.nextId());
  const cut = join(stage.base, 'cut');
  copyFileSync(image.imagePath, cut);
  await image.dispose();
  // What was on the disk at that moment is what is found after the power came back.
  const mountPath = join(stage.base, 'mnt');
  mkdirSync(mountPath);
  execFileSync('mount', ['-t', 'btrfs', '-o', 'loop', cut, mountPath]);
  try {
    const { missing } = auditStore(mountPath, [{ ...second, poolRoot: mountPath }]);
    expect(missing).toEqual([]);
  } finally {
    execFileSync('umount', [mountPath]);
  }
});
