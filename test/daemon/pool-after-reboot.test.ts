/** A reboot takes every mount: mounting the pool again brings back the workspaces that live in it. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Environment } from '../../src/daemon/home.ts';
import { initWorkspace } from '../../src/daemon/init-workspace.ts';
import { openWorkspace } from '../../src/daemon/open-workspace.ts';
import { createPool, destroyPool, mountPool } from '../../src/daemon/pools.ts';
import { IMAGE_BYTES_MIN, unmountImagePool } from '../../src/pool/image-pool.ts';
import { mountsWithin } from '../platform/loop-image.ts';

let base = '';
let environment: Environment;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'ghostsnap-reboot-'));
  const env = { GHOSTSNAP_HOME: join(base, 'home'), PATH: process.env.PATH };
  environment = { env, cwd: '/', homeDir: base, uid: 0 };
});

afterEach(() => {
  // Nothing is left unless the test has failed half-way.
  for (const mount of mountsWithin(base)) execFileSync('umount', [mount]);
  rmSync(base, { recursive: true, force: true });
});

test('mountPool() shows a workspace at its path again, with the tree it had', async () => {
  const path = join(base, 'project');
  const directory = join(base, 'pool');
  mkdirSync(path);
  writeFileSync(join(path, 'work'), 'of a week');
  await createPool({ name: 'fast', environment, directory, sizeBytes: IMAGE_BYTES_MIN });
  try {
    await initWorkspace({ path, pool: 'fast', environment });
    execFileSync('umount', [path]);
    await unmountImagePool({
      imagePath: join(directory, 'pool.btrfs'),
      mountPath: join(directory, 'mount'),
    });
    expect(readdirSync(path)).toEqual([]);
    await mountPool({ name: 'fast', environment });
    expect(readFileSync(join(path, 'work'), 'utf8')).toBe('of a week');
    await using workspace = await openWorkspace({ workspace: path, environment });
    await workspace.snapshot();
    await workspace.destroy();
  } finally {
    await destroyPool({ name: 'fast', environment });
  }
});
