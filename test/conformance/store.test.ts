/**
 * The store on the filesystems people have: the temporary folder's own (ext4, mostly) with copies, XFS
 * and btrfs with reflinks; with and without a set of changed paths kept from file events.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe } from 'vitest';
import type { Backend } from '../../src/backend/backend.ts';
import { createStoreBackend } from '../../src/backend/store/store-backend.ts';
import { type LoopImage, makeLoopImage } from '../platform/loop-image.ts';
import { describeBackend } from './backend-suite.ts';
import { makeDirectoryStage } from './stage.ts';

const scanning = (): Backend => createStoreBackend({ watch: 'off' });
const watching = (): Backend => createStoreBackend({ watch: 'on' });

describe('on the temporary folder', () => {
  let base: string;

  beforeAll(() => {
    base = mkdtempSync(join(tmpdir(), 'ghostsnap-conformance-'));
  });

  afterAll(() => rmSync(base, { recursive: true, force: true }));

  describeBackend({
    name: 'store with copies',
    make: () => makeDirectoryStage({ base, pool: 'own', makeBackend: scanning }),
    runs: 15,
    stepsMax: 40,
  });

  describeBackend({
    name: 'watching store',
    make: () => makeDirectoryStage({ base, pool: 'own', makeBackend: watching }),
    runs: 15,
    stepsMax: 40,
  });
});

describe.each(['xfs', 'btrfs'] as const)('on %s', (fs) => {
  let image: LoopImage;

  beforeAll(async () => {
    image = await makeLoopImage({ fs, sizeMiB: 512 });
  });

  afterAll(() => image?.dispose());

  describeBackend({
    name: 'store with reflinks',
    make: () => makeDirectoryStage({ base: image.mountPath, pool: 'own', makeBackend: scanning }),
    runs: 8,
    stepsMax: 40,
  });
});
