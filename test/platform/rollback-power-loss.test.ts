/**
 * A rollback that was acknowledged is on disk: the power goes right after it, and the tree is the target.
 *
 * The store's workspace lies on the host itself, the btrfs one in an image on it.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Backend, WorkspaceRef } from '../../src/backend/backend.ts';
import { createBtrfsBackend } from '../../src/backend/btrfs/btrfs-backend.ts';
import { createStoreBackend } from '../../src/backend/store/store-backend.ts';
import type { SnapshotId } from '../../src/core/ids.ts';
import { IMAGE_FORMAT } from '../../src/pool/image-pool.ts';
import { assertRsyncSame } from '../checker/tree-digest.ts';
import { newWorkspaceRef } from '../conformance/stage.ts';
import { fillRichly, newSnapshotId } from './btrfs-workspace.ts';
import { makeLoopImage } from './loop-image.ts';
import { losePower } from './lose-power.ts';

function run(tool: string, commandArguments: readonly string[]): void {
  execFileSync(tool, commandArguments, { stdio: ['ignore', 'ignore', 'pipe'] });
}

interface Place {
  readonly ref: WorkspaceRef;
  /** What the workspace held when its snapshot was taken; on another filesystem. */
  readonly original: string;
}

type GoBack = (
  backend: Backend,
  ref: WorkspaceRef,
  ids: { readonly target: SnapshotId; readonly since: SnapshotId },
) => Promise<void>;

const inPlace: GoBack = async (backend, ref, { target, since }) => {
  const { changes } = await backend.applyInPlace(ref, target, { since });
  expect(changes).toBeGreaterThan(60);
};

const bySwap: GoBack = async (backend, ref, { target, since }) => {
  await backend.swapIn(ref, target, backend.prepareSwap(ref, target, since));
};

/** A workspace on `base` is wrecked and rolled back; the backend is closed right afterwards. */
async function wreckAndRollBack(
  base: string,
  aside: string,
  backend: Backend,
  goBack: GoBack = inPlace,
): Promise<Place> {
  const path = join(base, 'work');
  const poolRoot = join(base, 'pool');
  const original = join(aside, 'original');
  for (const directory of [path, poolRoot]) mkdirSync(directory);
  fillRichly(path);
  run('cp', ['-a', path, original]);
  const ref = newWorkspaceRef(path, poolRoot);
  await backend.initWorkspace(ref, {});
  const target = newSnapshotId();
  await backend.createSnapshot(ref, target);
  run('bash', ['-euc', `cd ${path} && rm -rf src && : >big && mkdir more && date >more/late`]);
  const since = newSnapshotId();
  await backend.createSnapshot(ref, since);
  await goBack(backend, ref, { target, since });
  await backend[Symbol.asyncDispose]();
  return { ref, original };
}

test('a rollback in the store outlasts a power loss right after it', async () => {
  await using host = await makeLoopImage({ fs: 'ext4', sizeMiB: 200 });
  const { ref, original } = await wreckAndRollBack(
    host.mountPath,
    host.directory,
    createStoreBackend({ watch: 'off' }),
  );
  losePower(host, { down: () => {}, up: () => {} });
  assertRsyncSame(original, ref.path);
});

test.each([
  { how: 'in place', goBack: inPlace },
  { how: 'by swap', goBack: bySwap },
])('a rollback on btrfs $how outlasts a power loss right after it', async ({ goBack }) => {
  await using host = await makeLoopImage({ fs: 'ext4', sizeMiB: 600 });
  const image = join(host.mountPath, 'pool.btrfs');
  const mountPath = join(host.directory, 'pool');
  const up = (): void => run('mount', ['-t', 'btrfs', '-o', 'loop,noatime', image, mountPath]);
  const down = (): void => run('umount', [mountPath]);
  mkdirSync(mountPath);
  run('truncate', ['-s', '400M', image]);
  run('mkfs.btrfs', ['-q', ...IMAGE_FORMAT, image]);
  up();
  try {
    const backend = createBtrfsBackend();
    const { ref, original } = await wreckAndRollBack(mountPath, host.directory, backend, goBack);
    losePower(host, { down, up });
    assertRsyncSame(original, ref.path);
  } finally {
    down();
  }
});

test('a snapshot of a few files in the store outlasts a power loss right after it', async () => {
  await using host = await makeLoopImage({
    fs: 'ext4',
    sizeMiB: 64,
    mountOptions: 'commit=600',
  });
  const [path, poolRoot] = [join(host.directory, 'work'), join(host.mountPath, 'pool')];
  for (const directory of [path, poolRoot]) mkdirSync(directory);
  writeFileSync(join(path, 'file'), 'content');
  const ref = newWorkspaceRef(path, poolRoot);
  const target = newSnapshotId();
  {
    await using backend = createStoreBackend({ watch: 'off' });
    await backend.initWorkspace(ref, {});
    backend.createSnapshotSync(ref, target);
  }
  losePower(host, { down: () => {}, up: () => {} });
  writeFileSync(join(path, 'file'), 'ruined');
  await using backend = createStoreBackend({ watch: 'off' });
  await backend.applyInPlace(ref, target);
  expect(readFileSync(join(path, 'file'), 'utf8')).toBe('content');
});
