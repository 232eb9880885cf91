/**
 * A workspace that lives in a pool is shown at its directory by a mount. A reboot or a person takes the mount
 * away: recovery mounts the tree again, also where the directory was moved meanwhile, and never over files.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Environment } from '../../src/daemon/home.ts';
import { initWorkspace } from '../../src/daemon/init-workspace.ts';
import { openWorkspace } from '../../src/daemon/open-workspace.ts';
import { REGISTER_STEPS, recoverWorkspace } from '../../src/daemon/recover-workspace.ts';
import { REBIND_STEPS, SHOWN_STEP } from '../../src/engine/rebind.ts';
import { PLAIN_UID } from '../platform/btrfs-workspace.ts';
import { type LoopImage, makeLoopImage, mountsWithin } from '../platform/loop-image.ts';

const CHILD = join(import.meta.dirname, 'rebind-child.ts');
const RUNS_MAX = 20;

let image: LoopImage;
let base: string;
let environment: Environment;
let project: string;
let shop: string;

beforeAll(async () => {
  image = await makeLoopImage({ fs: 'btrfs', sizeMiB: 256 });
});
afterAll(async () => {
  await image.dispose();
});

beforeEach(async () => {
  base = mkdtempSync(join(realpathSync(tmpdir()), 'ghostsnap-lost-mount-'));
  const pool = mkdtempSync(join(image.mountPath, 'pool-'));
  const env = { GHOSTSNAP_HOME: join(base, 'home'), PATH: process.env.PATH };
  environment = { env, cwd: base, homeDir: base, uid: process.getuid?.() ?? 0 };
  project = join(base, 'a/project');
  shop = join(base, 'b/shop');
  mkdirSync(join(project, 'src'), { recursive: true });
  mkdirSync(join(base, 'b'));
  writeFileSync(join(project, 'src/work'), 'of a week\n');
  await initWorkspace({ path: project, environment, pool });
  expect(mountsWithin(base)).toEqual([project]);
});

afterEach(() => {
  for (const mount of mountsWithin(base)) execFileSync('umount', [mount]);
  rmSync(base, { recursive: true, force: true });
});

const umount = (path: string): void => void execFileSync('umount', [path]);
const recover = (workspace: string): ReturnType<typeof recoverWorkspace> =>
  recoverWorkspace({ workspace, environment });

async function expectWhole(path: string): Promise<void> {
  expect(mountsWithin(base)).toEqual([path]);
  expect(readFileSync(join(path, 'src/work'), 'utf8')).toBe('of a week\n');
  await using workspace = await openWorkspace({ workspace: path, environment });
  const { id } = await workspace.snapshot();
  writeFileSync(join(path, 'src/work'), 'spoilt\n');
  await workspace.rollback(id);
  expect(readFileSync(join(path, 'src/work'), 'utf8')).toBe('of a week\n');
}

test('recover() mounts the tree where it belongs', async () => {
  umount(project);
  expect(await recover(project)).toMatchObject({ rebound: null, isThere: true });
  await expectWhole(project);
  umount(project);
  rmSync(project, { recursive: true });
  expect(await recover(project)).toMatchObject({ rebound: null, isThere: true });
  await expectWhole(project);
});

test('recover() mounts it where its emptied directory was moved to', async () => {
  umount(project);
  renameSync(project, shop);
  expect(await recover(shop)).toMatchObject({ rebound: { from: project, to: shop } });
  await expectWhole(shop);
  // With the directory around it, and back.
  umount(shop);
  renameSync(join(base, 'b'), join(base, 'c'));
  await recover(join(base, 'c/shop'));
  await expectWhole(join(base, 'c/shop'));
  expect(existsSync(project)).toBe(false);
});

test('another empty directory is not taken for it, and nothing is mounted over files', async () => {
  umount(project);
  mkdirSync(shop);
  await expect(recover(shop)).rejects.toMatchObject({ code: 'WORKSPACE_NOT_FOUND' });
  writeFileSync(join(project, 'precious'), 'mine');
  await expect(recover(project)).rejects.toMatchObject({
    code: 'WORKSPACE_REPLACED',
    hint: expect.stringContaining('Move them away') as string,
  });
  renameSync(project, join(shop, 'moved'));
  await expect(recover(join(shop, 'moved'))).rejects.toMatchObject({
    code: 'WORKSPACE_NOT_FOUND',
  });
  expect(readdirSync(join(shop, 'moved'))).toEqual(['precious']);
  expect(mountsWithin(base)).toEqual([]);
  expect(await recover(project)).toMatchObject({ isThere: true });
  await expectWhole(project);
});

test('a person who may not mount is told what to do, and nothing changes', () => {
  umount(project);
  renameSync(project, shop);
  chmodSync(base, 0o777);
  // Snapshots stay as they are.
  spawnSync('chown', ['-R', String(PLAIN_UID), base, image.mountPath]);
  const run = child({ workspace: shop, nth: 0 }, PLAIN_UID);
  expect(run.stderr).toContain('NEEDS_ROOT');
  expect(run.stderr).toContain('Run the command with sudo.');
  expect(readdirSync(shop)).toEqual([]);
});

test('killed at every step, the next recover() ends it', async () => {
  const labels: (string | null)[] = [];
  let [from, to] = [project, shop];
  for (let nth = 1; labels.at(-1) !== null && nth < RUNS_MAX; nth += 1) {
    umount(from);
    renameSync(from, to);
    const run = child({ workspace: to, nth });
    if (run.status !== 0 && run.signal !== 'SIGKILL') throw new Error(run.stderr);
    labels.push(run.signal === 'SIGKILL' ? run.stdout : null);
    const report = await recover(to);
    expect(report.isThere, `killed at ${labels.at(-1)}`).toBe(true);
    await expectWhole(to);
    [from, to] = [to, from];
  }
  expect(labels).toEqual([SHOWN_STEP, ...REBIND_STEPS, ...REGISTER_STEPS, null]);
});

function child(
  { workspace, nth }: { readonly workspace: string; readonly nth: number },
  uid?: number,
): ReturnType<typeof spawnSync> & { readonly stdout: string; readonly stderr: string } {
  const who = uid === undefined ? environment : { ...environment, uid };
  const request = JSON.stringify({ what: 'rebind', workspace, nth, environment: who });
  return spawnSync(process.execPath, [CHILD, request], {
    encoding: 'utf8',
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
}
