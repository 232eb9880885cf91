/**
 * What was armed in vain and can't be removed: nothing more is armed in its workspace until it is gone, and
 * it is tried again after so many refusals. A subvolume that is the filesystem's default can't be removed by
 * anybody, in any way.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { REFUSALS_PER_TRY, VainRemovals } from '../../src/backend/btrfs/vain-removals.ts';
import { type Ulid, workspaceId } from '../../src/core/ids.ts';
import { type LoopImage, makeLoopImage } from './loop-image.ts';

let image: LoopImage;

beforeAll(async () => {
  image = await makeLoopImage({ fs: 'btrfs', sizeMiB: 200 });
});
afterAll(async () => {
  await image.dispose();
});

const NAME = 'armed_01M89B0KJ3N9R61WZ0N94N186P';

function btrfs(...args: readonly string[]): string {
  return execFileSync('btrfs', [...args], { encoding: 'utf8' });
}

test('is tried again after so many refusals, and then nothing is against arming', async () => {
  const id = workspaceId('01M89B0KJ3N9R61WZ0N94N186Q' as Ulid);
  const ref = { id, path: join(image.mountPath, 'ws'), poolRoot: image.mountPath };
  const other = { ...ref, id: workspaceId('01M89B0KJ3N9R61WZ0N94N186R' as Ulid) };
  const ghosts = join(image.mountPath, '.ghostsnap', id);
  mkdirSync(ghosts, { recursive: true });
  const armed = join(ghosts, NAME);
  btrfs('subvolume', 'create', armed);
  writeFileSync(join(armed, 'file'), 'armed');
  btrfs('subvolume', 'set-default', armed);

  const removals = new VainRemovals();
  removals.begin(ref, NAME);
  await removals.settled();
  // It has lost its name by now, so that a half of it is never taken for a snapshot.
  expect(readdirSync(ghosts)).toEqual([`doomed_${NAME}`]);
  const refuse = async (times: number): Promise<void> => {
    for (let i = 0; i < times; i += 1) {
      expect(removals.refusal(ref)).toContain('what was armed before cannot be removed');
      expect(removals.refusal(other)).toBeNull();
    }
    await removals.settled();
  };
  // Tried again in vain.
  await refuse(REFUSALS_PER_TRY);
  expect(readdirSync(ghosts)).toHaveLength(1);
  btrfs('subvolume', 'set-default', '5', image.mountPath);
  await refuse(REFUSALS_PER_TRY - 1);
  expect(readdirSync(ghosts)).toHaveLength(1);
  await refuse(1);
  expect(readdirSync(ghosts)).toEqual([]);
  expect(removals.refusal(ref)).toBeNull();
});
