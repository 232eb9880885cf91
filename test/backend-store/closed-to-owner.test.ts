/**
 * What a plain user has closed to themselves (`chmod -R 000`) is captured all the same, with the modes it
 * has, and the modes are given back whatever happens in between.
 */
import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { OPENED_MODES_STEPS } from '../../src/backend/opened-modes.ts';
import { SNAPSHOT_STEPS } from '../../src/backend/store/store-backend.ts';
import type { SnapshotId } from '../../src/core/ids.ts';
import { assertSameDigest, digestTree, type TreeDigest } from '../checker/tree-digest.ts';
import { StoreStage } from './store-stage.ts';

const SCENARIO = join(import.meta.dirname, 'store-scenario.ts');
const PLAIN_UID = 65_534;
const RUNS_MAX = 80;

let stage: StoreStage;
let first: SnapshotId;
let whole: TreeDigest;
let damaged: TreeDigest;

beforeEach(() => {
  stage = new StoreStage();
  const { base, live, pool } = stage;
  mkdirSync(join(live, 'src/deep'), { recursive: true });
  mkdirSync(join(live, 'empty'));
  for (const name of ['src/deep/b', 'd']) writeFileSync(join(live, name), name);
  setUserXattr(join(live, 'src'), 'of a directory');
  setUserXattr(join(live, 'd'), 'of a file');
  for (const path of [live, pool]) ownAll(path);
  // The checker is root, so only the user is kept out.
  chmodSync(base, 0o755);
  run('init');
  first = stage.nextId();
  run('snapshot', [first]);
  whole = digestTree(live);
  closeAll();
  damaged = digestTree(live);
});
afterEach(() => stage?.[Symbol.dispose]());

/** From below, as `find -depth -exec chmod 000` does, and the root itself. */
function closeAll(): void {
  for (const path of ['src/deep/b', 'src/deep', 'src', 'd', ''])
    chmodSync(join(stage.live, path), 0o000);
}

function ownAll(path: string): void {
  lchownSync(path, PLAIN_UID, PLAIN_UID);
  for (const name of readdirSync(path, { recursive: true, encoding: 'utf8' }))
    lchownSync(join(path, name), PLAIN_UID, PLAIN_UID);
}

function setUserXattr(path: string, value: string): void {
  const set = spawnSync('setfattr', ['-n', 'user.note', '-v', value, path], { encoding: 'utf8' });
  expect(set.stderr).toBe('');
}

interface Run {
  /** The label at which the process killed itself; null when it came to its end. */
  readonly killedAt: string | null;
  readonly failure: string;
}

function tryRun(what: string, ids: readonly SnapshotId[] = [], step = 0): Run {
  const { id, path, poolRoot } = stage.ref;
  const args = [SCENARIO, id, path, poolRoot, `${step}`, what, ...ids];
  const env = { ...process.env, GHOSTSNAP_TEST_UID: `${PLAIN_UID}` };
  const done = spawnSync(process.execPath, args, { encoding: 'utf8', env });
  const isKilled = done.signal === 'SIGKILL';
  const failure = done.status === 0 || isKilled ? '' : done.stderr;
  return { killedAt: isKilled ? done.stdout : null, failure };
}

function run(what: string, ids: readonly SnapshotId[] = [], step = 0): string | null {
  const { killedAt, failure } = tryRun(what, ids, step);
  if (failure !== '') throw new Error(failure);
  return killedAt;
}

const announcement = (): string => join(stage.own, 'opened-modes');

test.each(['snapshot', 'background-snapshot'])('%s of a closed tree holds it', (what) => {
  const second = stage.nextId();
  run(what, [second]);
  assertSameDigest(damaged, digestTree(stage.live), 'modes are given back');
  expect(existsSync(announcement())).toBe(false);
  run('rollback', [first]);
  assertSameDigest(whole, digestTree(stage.live), 'back from the damage');
  run('rollback', [second]);
  assertSameDigest(damaged, digestTree(stage.live), 'the damage as it was');
});

test('a snapshot killed at every step gives the modes back, by recovery or the next snapshot', () => {
  const labels = new Set<string>();
  for (let step = 1, killed: string | null = ''; killed !== null && step < RUNS_MAX; step += 1) {
    killed = run('snapshot', [stage.nextId()], step);
    if (killed !== null) labels.add(killed);
    const next = stage.nextId();
    if (step % 2 === 0) run('recover');
    else run('snapshot', [next]);
    assertSameDigest(damaged, digestTree(stage.live), `killed at ${killed}`);
    expect(existsSync(announcement()), `killed at ${killed}`).toBe(false);
    if (step % 2 === 0) continue;
    run('rollback', [next]);
    assertSameDigest(damaged, digestTree(stage.live), `taken after a kill at ${killed}`);
  }
  expect([...labels].sort()).toEqual([...OPENED_MODES_STEPS, ...SNAPSHOT_STEPS].sort());
});

test('a rollback to the damage that is killed at every step ends there', () => {
  const second = stage.nextId();
  run('snapshot', [second]);
  for (let step = 1, killed: string | null = ''; killed !== null && step < RUNS_MAX; step += 1) {
    run('rollback', [first]);
    killed = run('rollback', [second], step);
    run('rollback', [second]);
    assertSameDigest(damaged, digestTree(stage.live), `killed at ${killed}`);
  }
});

test('a mode that somebody set after the crash is left alone', () => {
  let step = 1;
  while (run('snapshot', [stage.nextId()], step) !== 'snapshot:scanned') step += 1;
  expect(readFileSync(announcement(), 'utf8')).toContain('src/deep');
  chmodSync(join(stage.live, 'src'), 0o711);
  run('recover');
  expect(statSync(join(stage.live, 'src')).mode & 0o7777).toBe(0o711);
  expect(statSync(join(stage.live, 'src/deep')).mode & 0o7777).toBe(0);
});

test('a torn line of the announcement is no announcement', () => {
  chmodSync(stage.live, 0o755);
  chmodSync(join(stage.live, 'd'), 0o400);
  const { ino } = statSync(join(stage.live, 'd'));
  writeFileSync(announcement(), 'not a line\n');
  appendFileSync(announcement(), `0 ${ino} d`);
  chownSync(announcement(), PLAIN_UID, PLAIN_UID);
  run('recover');
  expect(statSync(join(stage.live, 'd')).mode & 0o7777).toBe(0o400);
  expect(existsSync(announcement())).toBe(false);
});

test("somebody else's file still fails the snapshot, and the modes are given back", () => {
  chownSync(join(stage.live, 'src/deep/b'), 0, 0);
  const before = digestTree(stage.live);
  const { failure } = tryRun('snapshot', [stage.nextId()]);
  expect(failure).toContain('src/deep/b');
  expect(failure).toContain('CAPTURE_FAILED');
  assertSameDigest(before, digestTree(stage.live), 'after the failure');
});

test('a set-group-id bit that chmod would clear is not risked', () => {
  chownSync(join(stage.live, 'd'), PLAIN_UID, 0);
  chmodSync(join(stage.live, 'd'), 0o2000);
  const { failure } = tryRun('snapshot', [stage.nextId()]);
  expect(failure).toContain('CAPTURE_FAILED');
  expect(statSync(join(stage.live, 'd')).mode & 0o7777).toBe(0o2000);
});
