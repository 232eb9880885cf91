/**
 * The btrfs backend as a plain user, on a btrfs that grants nothing: no user_subvol_rm_allowed, so that
 * deleting a snapshot has to do without the ioctl. This process gives up root for good.
 */
import { chownSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { createBtrfsBackend } from '../../src/backend/btrfs/btrfs-backend.ts';
import { makeLoopImage } from '../platform/loop-image.ts';
import { describeBackend } from './backend-suite.ts';
import { becomePlainUser, type Janitor, startJanitor } from './janitor.ts';
import { makeDirectoryStage } from './stage.ts';

const PLAIN_UID = 65_534;

let base: string;
let janitor: Janitor;

beforeAll(async () => {
  const image = await makeLoopImage({ fs: 'btrfs', sizeMiB: 1024 });
  base = join(image.mountPath, 'mine');
  mkdirSync(base);
  chownSync(base, PLAIN_UID, PLAIN_UID);
  janitor = startJanitor(`umount -l '${image.mountPath}'; rm -rf '${image.directory}'`);
  becomePlainUser(PLAIN_UID);
});

afterAll(() => janitor?.[Symbol.asyncDispose]());

describeBackend({
  name: 'btrfs as a plain user',
  make: () => makeDirectoryStage({ base, pool: 'base', makeBackend: createBtrfsBackend }),
  runs: 8,
  stepsMax: 40,
});
