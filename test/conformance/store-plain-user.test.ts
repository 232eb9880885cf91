/** The store as a plain user. This process gives up root for good, so that nothing can lean on it. */
import { chmodSync, chownSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { createStoreBackend } from '../../src/backend/store/store-backend.ts';
import { describeBackend } from './backend-suite.ts';
import { becomePlainUser, type Janitor, startJanitor } from './janitor.ts';
import { makeDirectoryStage } from './stage.ts';

const PLAIN_UID = 65_534;

let base: string;
let janitor: Janitor | null = null;

beforeAll(() => {
  base = mkdtempSync(join(tmpdir(), 'ghostsnap-conformance-'));
  chmodSync(base, 0o755);
  if (process.getuid?.() !== 0) return;
  chownSync(base, PLAIN_UID, PLAIN_UID);
  janitor = startJanitor(`rm -rf '${base}'`);
  becomePlainUser(PLAIN_UID);
});

afterAll(async () => {
  if (janitor === null) rmSync(base, { recursive: true, force: true });
  else await janitor[Symbol.asyncDispose]();
});

describeBackend({
  name: 'store as a plain user',
  make: () =>
    makeDirectoryStage({
      base,
      pool: 'own',
      makeBackend: () => createStoreBackend({ watch: 'off' }),
    }),
  runs: 8,
  stepsMax: 40,
});
