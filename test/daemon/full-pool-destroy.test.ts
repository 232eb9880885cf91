/** A pool without any room: what is in it can still be brought out of it. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { GhostsnapError } from '../../src/core/errors.ts';
import type { Environment } from '../../src/daemon/home.ts';
import { initWorkspace } from '../../src/daemon/init-workspace.ts';
import { openWorkspace } from '../../src/daemon/open-workspace.ts';
import { createPool, destroyPool } from '../../src/daemon/pools.ts';
import { IMAGE_BYTES_MIN } from '../../src/pool/image-pool.ts';
import { mountsWithin } from '../platform/loop-image.ts';

let base = '';
let environment: Environment;

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'ghostsnap-full-pool-'));
  const env = { GHOSTSNAP_HOME: join(base, 'home'), PATH: process.env.PATH };
  environment = { env, cwd: '/', homeDir: base, uid: 0 };
});

afterEach(() => {
  // Nothing is left unless the test has failed half-way.
  for (const mount of mountsWithin(base)) execFileSync('umount', [mount]);
  rmSync(base, { recursive: true, force: true });
});

/** To the last byte, large writes first. */
function fill(path: string): void {
  for (const size of ['1M', '4k', '1']) {
    const args = ['if=/dev/urandom', `of=${path}`, `bs=${size}`, 'oflag=append', 'conv=notrunc'];
    spawnSync('dd', [...args, 'count=100000']);
    spawnSync('sync', ['-f', path]);
  }
}

/** What `ghostsnap recover` does; done once the workspace is not known any more. */
async function finishDestroy(path: string): Promise<void> {
  const opening = openWorkspace({ workspace: path, environment }).then((one) => one.close());
  const outcome = await opening.then(
    () => 'open',
    (error: unknown) => (error instanceof GhostsnapError ? error.code : 'unknown'),
  );
  expect(['WORKSPACE_DESTROYED', 'WORKSPACE_NOT_FOUND']).toContain(outcome);
}

test('destroy() in a full pool brings the tree out, and the snapshots, which go anyway, make the room', async () => {
  const path = join(base, 'project');
  mkdirSync(path);
  writeFileSync(join(path, 'work'), 'of a week');
  const directory = join(base, 'pool');
  await createPool({ name: 'fast', environment, directory, sizeBytes: IMAGE_BYTES_MIN });
  await initWorkspace({ path, pool: 'fast', environment });
  fill(join(path, 'fill'));
  {
    await using workspace = await openWorkspace({ workspace: path, environment });
    await workspace.snapshot();
    rmSync(join(path, 'fill'));
    // The room comes back when btrfs's cleaner has been there, at once or a moment later.
    await workspace.destroy().catch((error: unknown) => {
      expect(error).toMatchObject({ code: 'POOL_FULL', hint: expect.stringContaining('recover') });
    });
  }
  await vi.waitFor(() => finishDestroy(path), { timeout: 60_000, interval: 200 });
  expect(readFileSync(join(path, 'work'), 'utf8')).toBe('of a week');
  await destroyPool({ name: 'fast', environment });
});
