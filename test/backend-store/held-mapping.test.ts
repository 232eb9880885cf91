/**
 * A program that keeps a file mapped and stores to it moves no time stamp after the first store, and
 * makes no event: the next snapshot must hold what it stored all the same, also once it let go. On tmpfs
 * there is nothing to flush; elsewhere a flush before each capture makes the next store move them again.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Backend } from '../../src/backend/backend.ts';
import type { RawPath } from '../../src/core/raw-path.ts';
import { MappingHolder } from './mapping-holder.ts';
import { StoreStage } from './store-stage.ts';

const SYNCED_ROUNDS = 25;

let stage: StoreStage;

beforeEach(() => {
  stage = new StoreStage('/dev/shm');
});
afterEach(() => stage?.[Symbol.dispose]());

async function captured(backend: Backend): Promise<string> {
  using reader = await backend.openTree(stage.ref, stage.take(backend));
  return Buffer.from(reader.readFile('f' as RawPath, 0, 100)).toString();
}

test.each(['on', 'off'] as const)('a snapshot holds it, watching %s', async (watch) => {
  // As if a while had passed since the store: what is just changed is read again in any case.
  await using backend = await stage.open({ watch, nowMs: () => Date.now() + 60_000 });
  const path = join(stage.live, 'f');
  writeFileSync(path, 'nothing');
  await captured(backend);
  {
    await using holder = new MappingHolder(path);
    for (const text of ['first--', 'second-', 'third--']) {
      await holder.store(text);
      expect(await captured(backend)).toBe(text);
    }
    await holder.store('last---');
  }
  expect(readFileSync(path, 'utf8')).toBe('last---');
  expect(await captured(backend)).toBe('last---');
});

test('a snapshot holds each store, however often the filesystem is synced meanwhile', async () => {
  // What is written back is write-protected, at any instant between two stores and two captures.
  using disk = new StoreStage();
  await using backend = await disk.open({ nowMs: () => Date.now() + 60_000 });
  const path = join(disk.live, 'f');
  writeFileSync(path, 'nothing');
  const syncing = spawn('sh', ['-c', 'while :; do sync -f "$0"; done', disk.live]);
  const ended = once(syncing, 'exit');
  try {
    await using holder = new MappingHolder(path);
    for (let round = 0; round < SYNCED_ROUNDS; round += 1) {
      const text = `${round}`.padStart(7, '0');
      await holder.store(text);
      using reader = await backend.openTree(disk.ref, disk.take(backend));
      const held = Buffer.from(reader.readFile('f' as RawPath, 0, 7)).toString();
      expect(held).toBe(text);
    }
  } finally {
    syncing.kill('SIGKILL');
    await ended;
  }
});
