/**
 * `destroy` killed at each of its steps: whoever opens the workspace next ends it, its registration goes
 * with it, and the directory can be protected again.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Environment, GhostsnapError, initWorkspace, openWorkspace } from '../../src/index.ts';
import { digestTree } from '../checker/tree-digest.ts';

const CHILD = join(import.meta.dirname, '..', 'prove', 'operation-child.ts');

let folder: string;
let path: string;
let environment: Environment;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'ghostsnap-destroy-'));
  path = join(folder, 'work');
  mkdirSync(path);
  writeFileSync(join(path, 'f'), 'content');
  environment = {
    env: { GHOSTSNAP_HOME: join(folder, 'home'), PATH: process.env.PATH },
    cwd: folder,
    homeDir: folder,
    uid: process.getuid?.() ?? 0,
  };
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function destroyKilledAt(killAtStep: number): NodeJS.Signals | null {
  const request = { environment, path, call: { op: 'destroy' }, killAtStep };
  return spawnSync(process.execPath, [CHILD, JSON.stringify(request)]).signal;
}

/** What whoever opens it next finds. */
async function found(): Promise<string> {
  try {
    await using workspace = await openWorkspace({ workspace: path, environment });
    return workspace.list().length > 0 ? 'whole' : 'without snapshots';
  } catch (error) {
    return error instanceof GhostsnapError ? error.code : String(error);
  }
}

test('the next one to open it ends it, and init begins anew', async () => {
  const before = digestTree(path).lines;
  const states: string[] = [];
  for (let step = 1; ; step += 1) {
    await initWorkspace({ path, backend: 'store', environment });
    if (destroyKilledAt(step) === null) break;
    const state = await found();
    states.push(state);
    // Before its intent is written nothing has happened yet.
    const isWhole = state === 'whole';
    expect(await found()).toBe(isWhole ? 'whole' : 'WORKSPACE_NOT_FOUND');
    // Without anybody opening it in between as well.
    await initWorkspace({ path, backend: 'store', environment });
    expect(destroyKilledAt(step)).toBe('SIGKILL');
    const { already } = await initWorkspace({ path, backend: 'store', environment });
    expect(already).toBe(isWhole);
    expect(digestTree(path).lines).toEqual(before);
  }
  const inOrder = ['whole', 'WORKSPACE_DESTROYED', 'WORKSPACE_NOT_FOUND'];
  expect([...new Set(states)]).toEqual(inOrder.filter((state) => states.includes(state)));
  expect(states).toContain('WORKSPACE_DESTROYED');
}, 300_000);
