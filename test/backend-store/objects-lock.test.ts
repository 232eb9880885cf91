/**
 * What a snapshot found is not swept before its manifest refers to it: whoever looks from outside, by flock(1),
 * meets the shared lock throughout a snapshot and the exclusive one while objects are removed.
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { StoreStage } from './store-stage.ts';

let stage: StoreStage;

beforeEach(() => {
  stage = new StoreStage();
  writeFileSync(join(stage.live, 'f'), 'content');
});
afterEach(() => stage?.[Symbol.dispose]());

/** Which lock another process could not get right now. */
function refused(): 'none' | 'exclusive' | 'both' {
  const lock = join(stage.pool, '.ghostsnap', 'locks', 'objects');
  const gets = (mode: string): boolean =>
    spawnSync('flock', ['--nonblock', mode, lock, 'true']).status === 0;
  if (!gets('--shared')) return 'both';
  return gets('--exclusive') ? 'none' : 'exclusive';
}

test('a snapshot holds the lock shared until its manifest is there, a sweep alone', async () => {
  const seen: (readonly [string, string])[] = [];
  const onStep = (label: string): void => void seen.push([label, refused()]);
  await using backend = await stage.open({ onStep });
  seen.length = 0;
  const first = stage.take(backend);
  expect(seen).toEqual([
    ['snapshot:scanned', 'exclusive'],
    ['snapshot:objects-durable', 'exclusive'],
    ['snapshot:published', 'exclusive'],
  ]);
  const blocking = seen.splice(0);
  writeFileSync(join(stage.live, 'f'), 'other content');
  await stage.takeInBackground(backend);
  expect(seen).toEqual(blocking);
  seen.length = 0;
  await backend.deleteSnapshots(stage.ref, [first]);
  expect(seen.filter(([label]) => /objects?$/.test(label))).toEqual([
    ['delete:before-objects', 'both'],
    ['delete:first-object', 'both'],
  ]);
  expect(refused()).toBe('none');
});
