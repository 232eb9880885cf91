/** An abort takes effect between two paths, also in the middle of removing a large directory. */
import { chmodSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { assertSameTree } from '../checker/tree-digest.ts';
import { type LoopImage, makeLoopImage } from '../platform/loop-image.ts';
import { turn } from './run-apply.ts';

const FILES = 3000;
let image: LoopImage;
let source: string;
let live: string;

beforeAll(async () => {
  image = await makeLoopImage({ fs: 'btrfs', sizeMiB: 256 });
  source = join(image.mountPath, 'source');
  live = join(image.mountPath, 'live');
});
afterAll(() => image?.dispose());
beforeEach(() => {
  for (const path of [source, live]) {
    rmSync(path, { recursive: true, force: true });
    mkdirSync(join(path, 'kept'), { recursive: true });
    writeFileSync(join(path, 'kept/f'), 'f');
    chmodSync(join(path, 'kept'), 0o555);
  }
});

function fill(directory: string): void {
  mkdirSync(directory);
  for (let i = 0; i < FILES; i += 1) writeFileSync(join(directory, `${i}`), '');
}

test('removing a large directory stops when it is aborted, and a second run finishes', async () => {
  fill(join(live, 'large'));
  const controller = new AbortController();
  let removals = 0;
  const onStep = (label: string): void => {
    if (label.endsWith(':remove')) removals += 1;
    if (removals === 10) controller.abort();
  };
  const work = turn(live, source, { signal: controller.signal, onStep });
  await expect(work).rejects.toMatchObject({ code: 'INTERRUPTED' });
  expect(readdirSync(join(live, 'large')).length).toBeGreaterThan(FILES / 2);
  await turn(live, source);
  assertSameTree(source, live);
});

test('directories that were being filled have their own modes when the work is aborted', async () => {
  chmodSync(join(source, 'kept'), 0o755);
  fill(join(source, 'kept/large'));
  chmodSync(join(source, 'kept/large'), 0o711);
  chmodSync(join(source, 'kept'), 0o555);
  const controller = new AbortController();
  let created = 0;
  const onStep = (label: string): void => {
    if (label.endsWith(':create file')) created += 1;
    if (created === 10) controller.abort();
  };
  const work = turn(live, source, { signal: controller.signal, onStep });
  await expect(work).rejects.toMatchObject({ code: 'INTERRUPTED' });
  expect(readdirSync(join(live, 'kept/large')).length).toBeLessThan(FILES / 2);
  expect(statSync(join(live, 'kept')).mode & 0o7777).toBe(0o555);
  expect(statSync(join(live, 'kept/large')).mode & 0o7777).toBe(0o711);
  await turn(live, source);
  assertSameTree(source, live);
});
