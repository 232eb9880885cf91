/**
 * Deleted means committed, also where the room may come back later: what the image holds at the moment of the
 * acknowledgement, mounted elsewhere, is without what was deleted, and has everything else.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { assertRsyncSame } from '../checker/tree-digest.ts';
import { fillRichly, makeStage, newSnapshotId, PLAIN_UID } from './btrfs-workspace.ts';
import { type LoopImage, makeLoopImage } from './loop-image.ts';
import { runBtrfsChild } from './run-btrfs-child.ts';

/** Mounts a copy of the image as it is now; `work` gets where. */
function onCopy(image: LoopImage, work: (mountPath: string) => void): void {
  const copy = join(image.directory, 'copy');
  const mountPath = join(image.directory, 'copied');
  copyFileSync(image.imagePath, copy);
  // The kernel knows a filesystem by its id, and the original is mounted.
  execFileSync('btrfstune', ['-f', '-u', copy], { stdio: 'ignore' });
  mkdirSync(mountPath);
  execFileSync('mount', ['-o', 'loop', copy, mountPath]);
  try {
    work(mountPath);
  } finally {
    execFileSync('umount', [mountPath]);
  }
}

test.each([
  { who: 'root', uid: undefined, option: '' },
  { who: 'a plain user by one call', uid: PLAIN_UID, option: 'user_subvol_rm_allowed' },
  { who: 'a plain user path by path', uid: PLAIN_UID, option: '' },
])('what $who deleted is gone from the disk on return', async ({ uid, option }) => {
  const mountOptions = option === '' ? {} : { mountOptions: option };
  await using image = await makeLoopImage({ fs: 'btrfs', sizeMiB: 200, ...mountOptions });
  const owner = uid === undefined ? {} : { uid };
  await using stage = makeStage({ on: image.mountPath, fill: fillRichly, ...owner });
  const [kept, ...deleted] = [newSnapshotId(), newSnapshotId(), newSnapshotId(), newSnapshotId()];
  const outcome = runBtrfsChild(
    {
      ref: stage.ref,
      calls: [
        { method: 'initWorkspace' },
        ...[kept, ...deleted].map((id) => ({ method: 'createSnapshot', args: [id] })),
        { method: 'deleteSnapshots', args: [deleted, { room: 'later' }] },
      ],
    },
    uid,
  );
  expect(outcome.error).toBeNull();
  onCopy(image, (mountPath) => {
    const ghosts = stage.ghosts.replace(image.mountPath, mountPath);
    const names = readdirSync(ghosts);
    expect(names).toContain(kept);
    for (const id of deleted) expect(names).not.toContain(id);
    assertRsyncSame(stage.original, join(ghosts, kept));
  });
});
