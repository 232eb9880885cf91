/** A process that lives on prunes by itself, when nothing has asked for a while, and starts no process for it. */
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Environment } from '../../src/daemon/home.ts';
import { initWorkspace } from '../../src/daemon/init-workspace.ts';
import { openWorkspace } from '../../src/daemon/open-workspace.ts';
import type { Workspace } from '../../src/index.ts';

const KEPT = 4;
/** Retention is due with the 32nd snapshot; the first is that of init. */
const UNTIL_DUE = 31;

let base: string;
let path: string;
let environment: Environment;

beforeEach(async () => {
  base = mkdtempSync(join(realpathSync(tmpdir()), 'ghostsnap-retention-'));
  path = join(base, 'project');
  mkdirSync(path);
  mkdirSync(join(base, 'home'));
  const none = { keepWithinMs: 0, hourlyForMs: 0, dailyForMs: 0, weeklyForMs: 0 };
  const config = JSON.stringify({ retention: { ...none, keepLast: KEPT } });
  const env = { GHOSTSNAP_HOME: join(base, 'home') };
  environment = { env, cwd: path, homeDir: base, uid: process.getuid?.() ?? 0 };
  writeFileSync(join(base, 'home/config.json'), config);
  await initWorkspace({ path, environment, backend: 'store' });
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(base, { recursive: true, force: true });
});

function children(): string[] {
  return readdirSync('/proc/self/task').flatMap((task) =>
    readFileSync(`/proc/self/task/${task}/children`, 'utf8').split(' ').filter(Boolean),
  );
}

async function snapshots(workspace: Workspace, count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) {
    writeFileSync(join(path, 'a'), `${i}`);
    await workspace.snapshot();
  }
}

/** Turns of the queue, of which each may be one lot's. Many more than there are lots. */
const TURNS_MAX = 100;

/** Until `count` are left, or for as many turns of the workspace's queue as retention could ever need. */
async function queueUntil(workspace: Workspace, count: number): Promise<void> {
  for (let turn = 0; turn < TURNS_MAX && workspace.list().length > count; turn += 1) {
    await workspace.arm();
  }
}

test('retention runs in the process itself, a second after the snapshot that made it due', async () => {
  const before = children();
  await using workspace = await openWorkspace({ environment });
  await snapshots(workspace, UNTIL_DUE);
  expect(workspace.list()).toHaveLength(UNTIL_DUE + 1);
  vi.advanceTimersByTime(999);
  await queueUntil(workspace, KEPT);
  expect(workspace.list()).toHaveLength(UNTIL_DUE + 1);
  vi.advanceTimersByTime(1);
  // What it waits for from here on is real.
  vi.useRealTimers();
  await queueUntil(workspace, KEPT);
  expect(workspace.list()).toHaveLength(KEPT);
  expect(children()).toEqual(before);
});

test('a workspace that was ended before its turn is not pruned any more', async () => {
  const warned = vi.spyOn(process, 'emitWarning');
  const workspace = await openWorkspace({ environment });
  await snapshots(workspace, UNTIL_DUE);
  await workspace.destroy();
  vi.advanceTimersByTime(5000);
  await initWorkspace({ path, environment, backend: 'store' });
  expect(warned).not.toHaveBeenCalled();
  expect(readFileSync(join(path, 'a'), 'utf8')).toBe(`${UNTIL_DUE - 1}`);
});
