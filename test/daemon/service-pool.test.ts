/**
 * A pool as a service opens it, on a real btrfs: grouped commits and the service's own locks under the
 * engine that commands use.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { verifyCatalog } from '../../src/catalog/verify-catalog.ts';
import { resolveHome } from '../../src/daemon/home.ts';
import { closePool, openServicePool, requirePool } from '../../src/daemon/open-pool.ts';
import {
  createPool,
  destroyPool,
  type Environment,
  initWorkspace,
  openWorkspace,
  type Workspace,
} from '../../src/index.ts';

const CHILD = join(import.meta.dirname, 'service-pool-child.ts');
const POOL = 'served';
const WORKSPACES = 3;

let base = '';
let environment: Environment;
let paths: string[] = [];
const children: ChildProcess[] = [];

beforeEach(async () => {
  base = mkdtempSync(join(tmpdir(), 'ghostsnap-service-pool-'));
  const home = join(base, 'home');
  mkdirSync(home);
  environment = { env: { ...process.env, GHOSTSNAP_HOME: home }, cwd: base, homeDir: base, uid: 0 };
  const directory = join(base, 'pool');
  mkdirSync(directory);
  const { root } = await createPool({
    name: POOL,
    environment,
    directory,
    sizeBytes: 512 * 2 ** 20,
  });
  paths = [];
  for (let index = 0; index < WORKSPACES; index += 1) {
    const path = join(root, `w${index}`);
    mkdirSync(path);
    writeFileSync(join(path, 'file'), 'first');
    await initWorkspace({ path, pool: POOL, environment });
    paths.push(path);
  }
});

afterEach(async () => {
  for (const child of children.splice(0)) await kill(child);
  rmSync(join(base, 'home', 'workspaces'), { recursive: true, force: true });
  await destroyPool({ name: POOL, environment, force: 'yes' });
  rmSync(base, { recursive: true, force: true });
});

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

const CALL = { session: 's', harness: 'test', tool: 'Bash' } as const;

async function callOnce(workspace: Workspace, key: string): Promise<string | null> {
  const begun = await workspace.beginCall({ ...CALL, key });
  writeFileSync(join(workspace.info.path, 'file'), key);
  await workspace.endCall({ call: begun.call, outcome: 'ok' });
  return begun.snapshot;
}

describe('a pool that a service has opened', () => {
  it('serves calls on many workspaces, and commands find all of it afterwards', async () => {
    const home = resolveHome(environment);
    const parts = await openServicePool({ home, pool: requirePool(home, POOL), waitMs: 0 });
    // They join the service's opening.
    const opened = await Promise.all(
      paths.map((workspace) => openWorkspace({ workspace, environment })),
    );
    const taken = await Promise.all(
      opened.map(async (workspace) => [
        await callOnce(workspace, 'one'),
        await callOnce(workspace, 'two'),
      ]),
    );
    await Promise.all(opened.map((workspace) => workspace.close()));
    await closePool(parts);
    expect(verifyCatalog({ file: join(home.data, 'pools', POOL, 'catalog.db') })).toEqual([]);
    for (const [index, workspace] of paths.entries()) {
      const again = await openWorkspace({ workspace, environment });
      expect(again.openReport).toMatchObject({ adopted: [], lost: [] });
      const ids: (string | null)[] = again.list().map(({ id }) => id);
      expect(ids).toEqual(expect.arrayContaining(taken[index] ?? []));
      expect(again.listCalls().map(({ outcome }) => outcome)).toEqual(['ok', 'ok']);
      await again.close();
    }
  });

  it('has everything that it acknowledged after it was killed, and nothing twice', async () => {
    const child = spawn(process.execPath, [CHILD, base, POOL, '20', ...paths], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    const snapshots = new Map<string, string[]>(paths.map((path) => [path, []]));
    const calls = new Map<string, string[]>(paths.map((path) => [path, []]));
    for await (const line of createInterface({ input: child.stdout! })) {
      const [path = '', snapshot = '', call = ''] = line.split(' ');
      snapshots.get(path)?.push(snapshot);
      calls.get(path)?.push(call);
    }
    for (const path of paths) {
      const workspace = await openWorkspace({ workspace: path, environment });
      const ids: string[] = workspace.list().map(({ id }) => id);
      const found = workspace.listCalls();
      expect(ids).toEqual(expect.arrayContaining(snapshots.get(path) ?? []));
      expect(found.map(({ call }) => call)).toEqual(expect.arrayContaining(calls.get(path) ?? []));
      expect(new Set(found.map(({ key }) => key)).size).toBe(found.length);
      // At most the one that was under way, found on disk.
      expect(workspace.openReport.adopted.length).toBeLessThanOrEqual(1);
      expect(workspace.openReport.lost).toEqual([]);
      const { id } = await workspace.snapshot();
      expect(ids.every((other) => other < id)).toBe(true);
      await workspace.close();
    }
  });
});
