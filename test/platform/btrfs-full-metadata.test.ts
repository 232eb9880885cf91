/**
 * A btrfs without room for metadata, on a real image. Deleting snapshots and ending a workspace need none: the
 * kernel has a reserve for what gives room back. It refuses a new name, and going back needs one for each
 * file that it writes: then nothing is changed, and it goes on when there is room.
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Environment, initWorkspace, openWorkspace, type Workspace } from '../../src/index.ts';
import { fillMetadata } from './full-metadata.ts';
import { type LoopImage, makeLoopImage } from './loop-image.ts';

const FILES = 200;

let image: LoopImage;
let home: string;
let environment: Environment;
let workspace: Workspace;
let path: string;
/** The state of all files. */
let first: string;

beforeEach(async () => {
  image = await makeLoopImage({ fs: 'btrfs', sizeMiB: 128 });
  home = mkdtempSync(join(tmpdir(), 'ghostsnap-full-'));
  const env = { ...process.env, GHOSTSNAP_HOME: home };
  environment = { env, cwd: home, homeDir: home, uid: 0 };
  path = join(image.mountPath, 'w');
  mkdirSync(path);
  for (let n = 0; n < FILES; n += 1) writeFileSync(join(path, `f${n}`), 'first');
  await initWorkspace({ path, pool: join(image.mountPath, 'pool'), environment });
  workspace = await openWorkspace({ workspace: path, environment });
  first = (await workspace.snapshot()).id;
  for (let n = 0; n < FILES / 2; n += 1) writeFileSync(join(path, `f${n}`), 'second');
  for (let n = 0; n < 4; n += 1) await workspace.snapshot();
  fillMetadata(image.mountPath);
  expect(() => renameSync(join(path, 'f1'), join(path, 'renamed'))).toThrow(/ENOSPC/);
});
afterEach(async () => {
  await workspace?.close();
  await image?.dispose();
  rmSync(home, { recursive: true, force: true });
});

const contents = (): Set<string> =>
  new Set(Array.from({ length: FILES }, (_, n) => readFileSync(join(path, `f${n}`), 'utf8')));

describe('without room for metadata', () => {
  it('a workspace ends with its tree and its snapshots, and that makes room', async () => {
    const { removedSnapshots } = await workspace.destroy({ tree: 'removed' });
    expect(removedSnapshots).toBeGreaterThanOrEqual(5);
    expect(existsSync(path)).toBe(false);
    expect(readdirSync(join(image.mountPath, 'pool', '.ghostsnap'))).toEqual([]);
  });

  it('going back changes nothing, snapshots can be deleted, and with room it goes on', async () => {
    await expect(workspace.rollback(first)).rejects.toMatchObject({ code: 'POOL_FULL' });
    expect(contents()).toEqual(new Set(['first', 'second']));
    const { deleted } = await workspace.prune({ specs: ['@'] });
    expect(deleted).toHaveLength(1);
    rmSync(join(image.mountPath, 'filler'), { recursive: true });
    await workspace.rollback(first);
    expect(contents()).toEqual(new Set(['first']));
  });
});
