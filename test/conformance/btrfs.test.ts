/** The btrfs backend as root, on an image with the pool's options. */
import { afterAll, beforeAll } from 'vitest';
import { createBtrfsBackend } from '../../src/backend/btrfs/btrfs-backend.ts';
import { type LoopImage, makeLoopImage } from '../platform/loop-image.ts';
import { describeBackend } from './backend-suite.ts';
import { makeDirectoryStage } from './stage.ts';

let image: LoopImage;

beforeAll(async () => {
  image = await makeLoopImage({
    fs: 'btrfs',
    sizeMiB: 1024,
    mountOptions: 'noatime,user_subvol_rm_allowed',
  });
});

afterAll(() => image?.dispose());

describeBackend({
  name: 'btrfs as root',
  make: () =>
    makeDirectoryStage({ base: image.mountPath, pool: 'base', makeBackend: createBtrfsBackend }),
  runs: 15,
  stepsMax: 40,
});
