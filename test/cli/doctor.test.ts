/** What doctor says of a machine is what the other commands then find. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findTool } from '../../src/cli/machine-checks.ts';
import { makeLoopImage } from '../platform/loop-image.ts';
import { runCli } from './run-cli.ts';

interface Doctor {
  readonly ok: boolean;
  readonly checks: readonly { name: string; state: string; mend: string | null }[];
  readonly filesystems: readonly { mountPoint: string; backend: string | null; reason: string }[];
}

let base = '';
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'ghostsnap-doctor-'));
});
afterEach(() => {
  rmSync(base, { recursive: true });
});

async function doctor(uid?: number): Promise<Doctor> {
  const options = { env: { GHOSTSNAP_HOME: join(base, 'home') }, ...(uid ? { uid } : {}) };
  const { status, stdout, stderr } = await runCli(['doctor', '--json'], options);
  expect(stderr).toBe('');
  expect(status).toBe(0);
  return JSON.parse(stdout) as Doctor;
}

describe('doctor', () => {
  it.each(['btrfs', 'ext4', 'xfs'] as const)('names the backend init takes on %s', async (fs) => {
    await using image = await makeLoopImage({ fs, sizeMiB: fs === 'xfs' ? 320 : 256 });
    const { filesystems } = await doctor();
    const found = filesystems.find(({ mountPoint }) => mountPoint === image.mountPath);
    const path = join(image.mountPath, 'work');
    mkdirSync(path);
    const env = { GHOSTSNAP_HOME: join(image.mountPath, 'home') };
    const made = await runCli(['init', path, '--json'], { env });
    expect(made.stderr).toBe('');
    expect(found?.backend).toBe((JSON.parse(made.stdout) as { backend: string }).backend);
  });

  it('says of a filesystem that is mounted read-only that it gets none', async () => {
    await using image = await makeLoopImage({ fs: 'ext4', sizeMiB: 64 });
    execFileSync('mount', ['-o', 'remount,ro', image.mountPath]);
    const { filesystems } = await doctor();
    const found = filesystems.find(({ mountPoint }) => mountPoint === image.mountPath);
    expect(found).toMatchObject({ backend: null, reason: 'mounted read-only' });
  });

  it('tells a plain user what takes root, and does not call it broken', async () => {
    const plain = await doctor(65534);
    expect(plain.ok).toBe(true);
    expect(plain.checks.find(({ name }) => name === 'root')).toMatchObject({
      state: 'limited',
      mend: expect.stringContaining('sudo ghostsnap pool create'),
    });
    expect((await doctor()).checks.every(({ state }) => state === 'ok')).toBe(true);
  });

  it('looks for tools where administrators have them, whatever PATH says', () => {
    expect(findTool({ env: { PATH: '/nowhere' } }, 'mkfs.btrfs')).toMatch(/\/s?bin\/mkfs\.btrfs$/);
    expect(findTool({ env: { PATH: '' } }, 'no-such-tool')).toBeNull();
  });
});
