/**
 * The check that spares a snapshot the directories that are as they were: nothing that moved may pass it.
 */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Backend } from '../../src/backend/backend.ts';
import { openDirectoryTree } from '../../src/backend/directory-tree.ts';
import { loadIndex } from '../../src/backend/store/stat-index.ts';
import { directoriesToLookAt } from '../../src/backend/store/unmoved-directories.ts';
import type { SnapshotId } from '../../src/core/ids.ts';
import { assertSameDigest, digestTree } from '../checker/tree-digest.ts';
import { StoreStage } from './store-stage.ts';

let stage: StoreStage;

beforeEach(() => {
  stage = new StoreStage();
});
afterEach(() => stage?.[Symbol.dispose]());

/** Waits, without a clock of the test's own, until a file that is made now is no longer racy. */
function settle(): void {
  const probe = join(stage.base, 'probe');
  writeFileSync(probe, '');
  const madeAtMs = statSync(probe).ctimeMs;
  while (Date.now() < madeAtMs + 30) statSync(probe);
}

function makeTree(directories: number, files: number): void {
  for (let d = 0; d < directories; d += 1) {
    mkdirSync(stage.inLive(`d${d}`));
    for (let f = 0; f < files; f += 1) writeFileSync(stage.inLive(`d${d}/f${f}`), `${d} ${f}`);
  }
}

/** Directories that a snapshot would look at now. */
function suspects(): readonly string[] {
  const index = loadIndex(join(stage.own, 'index'));
  if (index === null) throw new Error('There is no index.');
  using tree = openDirectoryTree(stage.live, 'live');
  const steps = directoriesToLookAt(tree, index);
  for (let step = steps.next(); ; step = steps.next()) {
    if (step.done !== true) continue;
    if (step.value === null) throw new Error('The index was of no use.');
    return [...step.value];
  }
}

/** A second snapshot, so that nothing in the index is younger than the look at it. */
async function takeSettled(backend: Backend): Promise<void> {
  settle();
  stage.take(backend);
  settle();
  stage.take(backend);
}

/** Everything goes, and comes back exactly as it was captured. */
async function expectCaptured(backend: Backend): Promise<void> {
  const id = await stage.takeInBackground(backend);
  const before = digestTree(stage.live);
  for (const name of execFileSync('ls', ['-A', stage.live], { encoding: 'utf8' }).split('\n')) {
    if (name !== '') rmSync(stage.inLive(name), { recursive: true });
  }
  await backend.applyInPlace(stage.ref, id);
  assertSameDigest(before, digestTree(stage.live), 'after the check');
}

async function changesSince(
  backend: Backend,
  from: SnapshotId,
  to: SnapshotId | 'live' = 'live',
): Promise<readonly string[]> {
  const changes: string[] = [];
  for await (const { path, kind } of backend.compare(stage.ref, from, to)) {
    changes.push(`${kind} ${path}`);
  }
  return changes;
}

test('a tree in which nothing moved has nothing to be looked at', async () => {
  makeTree(5, 4);
  symlinkSync('d0', stage.inLive('link'));
  await using backend = await stage.open();
  await takeSettled(backend);
  expect(suspects()).toEqual([]);
});

test('what was captured in the moment it was made is looked at again', async () => {
  makeTree(2, 2);
  // The clock of the look is behind the files: everything may have changed after it.
  await using backend = await stage.open({ nowMs: () => Date.now() - 1000 });
  stage.take(backend);
  expect(suspects()).toEqual(['d0', 'd1']);
});

const CHANGES: readonly (readonly [string, readonly string[], () => void])[] = [
  ['content of the same size and mtime', ['d1'], sameSizeAndMtime],
  ['a mode', ['d1'], () => chmodSync(stage.inLive('d1/f1'), 0o600)],
  ['the mode of a directory', ['d1'], () => chmodSync(stage.inLive('d1'), 0o700)],
  ['a name added', ['d1'], () => writeFileSync(stage.inLive('d1/new'), '')],
  ['a name removed', ['d1'], () => rmSync(stage.inLive('d1/f1'))],
  ['a rename within', ['d1'], () => renameSync(stage.inLive('d1/f1'), stage.inLive('d1/g1'))],
  ['a rename over', ['d1', 'd2'], () => renameSync(stage.inLive('d1/f1'), stage.inLive('d2/f1'))],
  [
    'a hard link made elsewhere',
    ['', 'd1'],
    () => linkSync(stage.inLive('d1/f1'), stage.inLive('other')),
  ],
  ['two names exchanged', ['d1', 'd2'], exchangeNames],
  ['a directory put in the place of another', ['', 'd1', 'd2'], replaceDirectory],
  ['a directory replaced by a symlink to what it was', ['d1'], symlinkInstead],
  ['a directory replaced by a file', ['d1'], fileInstead],
  ['a directory added', [''], () => mkdirSync(stage.inLive('d9'))],
  ['a directory gone', ['d1'], () => rmSync(stage.inLive('d1'), { recursive: true })],
];

describe('every change is noticed, shown and captured', () => {
  test.each(CHANGES)('%s', async (_, atLeast, change) => {
    makeTree(4, 3);
    await using backend = await stage.open();
    await takeSettled(backend);
    const before = stage.take(backend);
    expect(await changesSince(backend, before)).toEqual([]);
    change();
    expect(suspects()).toEqual(expect.arrayContaining([...atLeast]));
    const shown = await changesSince(backend, before);
    await expectCaptured(backend);
    // What two snapshots differ in comes from what they hold, so the two answers are independent.
    const after = backend.listSnapshots(stage.ref).at(-1)?.id ?? before;
    expect(shown).toEqual(await changesSince(backend, before, after));
    expect(shown.length).toBeGreaterThan(0);
  });
});

function sameSizeAndMtime(): void {
  const { atimeMs, mtimeMs } = statSync(stage.inLive('d1/f1'));
  writeFileSync(stage.inLive('d1/f1'), 'X X');
  utimesSync(stage.inLive('d1/f1'), atimeMs / 1000, mtimeMs / 1000);
}

function exchangeNames(): void {
  renameSync(stage.inLive('d1/f1'), stage.inLive('aside'));
  renameSync(stage.inLive('d2/f1'), stage.inLive('d1/f1'));
  renameSync(stage.inLive('aside'), stage.inLive('d2/f1'));
}

function replaceDirectory(): void {
  rmSync(stage.inLive('d1'), { recursive: true });
  renameSync(stage.inLive('d2'), stage.inLive('d1'));
}

function symlinkInstead(): void {
  renameSync(stage.inLive('d1'), join(stage.base, 'moved'));
  symlinkSync(join(stage.base, 'moved'), stage.inLive('d1'));
}

function fileInstead(): void {
  rmSync(stage.inLive('d1'), { recursive: true });
  writeFileSync(stage.inLive('d1'), 'a file');
}

test('a socket is reported by every snapshot', async () => {
  makeTree(2, 1);
  const server = createServer().listen(stage.inLive('d1/socket'));
  await new Promise((resolve) => server.once('listening', resolve));
  try {
    await using backend = await stage.open();
    await takeSettled(backend);
    const { uncovered } = backend.createSnapshotSync(stage.ref, stage.nextId());
    expect(uncovered).toEqual([{ path: 'd1/socket', reason: 'socket' }]);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
});

test('a mount over a directory and one over a file are reported by every snapshot', async () => {
  makeTree(3, 1);
  const tmpfs = stage.inLive('d1');
  const file = stage.inLive('d2/f0');
  await using backend = await stage.open();
  await takeSettled(backend);
  execFileSync('mount', ['-t', 'tmpfs', 'none', tmpfs]);
  execFileSync('mount', ['--bind', stage.inLive('d0/f0'), file]);
  try {
    for (let i = 0; i < 2; i += 1) {
      settle();
      const { uncovered } = backend.createSnapshotSync(stage.ref, stage.nextId());
      expect(uncovered).toEqual([
        { path: 'd1', reason: 'mount' },
        { path: 'd2/f0', reason: 'mount' },
      ]);
    }
  } finally {
    execFileSync('umount', [tmpfs]);
    execFileSync('umount', [file]);
  }
  await expectCaptured(backend);
});

test('helper threads and this one together find what one would', async () => {
  for (let d = 0; d < 160; d += 1) {
    mkdirSync(stage.inLive(`d${d}`));
    for (let f = 0; f < 100; f += 1) symlinkSync('x', stage.inLive(`d${d}/f${f}`));
  }
  await using backend = await stage.open();
  await takeSettled(backend);
  expect(suspects()).toEqual([]);
  const changed = Array.from({ length: 7 }, (_, i) => `d${(i * 23) % 160}`);
  for (const name of changed) rmSync(stage.inLive(`${name}/f50`));
  expect(suspects()).toEqual(changed.sort());
});

test('an index of another tree is of no use and costs a full look', async () => {
  makeTree(3, 2);
  await using backend = await stage.open();
  await takeSettled(backend);
  const path = join(stage.own, 'index');
  expect(readFileSync(path).length).toBeGreaterThan(100);
  truncateSync(path, 90);
  expect(loadIndex(path)).toBeNull();
  await expectCaptured(backend);
});
