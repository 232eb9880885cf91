/** Workspaces of one pool share one opening of it in a process, and only as long as it is the same catalog. */
import { mkdirSync, mkdtempSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Environment, type Home, poolDirectory, resolveHome } from '../../src/daemon/home.ts';
import { initWorkspace } from '../../src/daemon/init-workspace.ts';
import { closePool, closePoolSync, openPool, requirePool } from '../../src/daemon/open-pool.ts';
import { openWorkspace } from '../../src/daemon/open-workspace.ts';
import type { PoolRecord } from '../../src/pool/pool.ts';

let base: string;
let environment: Environment;
let home: Home;
let pool: PoolRecord;
const at = (name: string): string => join(base, name);

beforeEach(async () => {
  base = mkdtempSync(join(realpathSync(tmpdir()), 'ghostsnap-joined-'));
  const env = { GHOSTSNAP_HOME: at('home') };
  environment = { env, cwd: base, homeDir: base, uid: process.getuid?.() ?? 0 };
  home = resolveHome(environment);
  for (const name of ['one', 'two']) {
    mkdirSync(at(name));
    writeFileSync(join(at(name), 'a'), name);
    const made = await initWorkspace({ path: at(name), environment, backend: 'store' });
    pool = requirePool(home, made.pool);
  }
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

test('two openings share the catalog, and the first to leave takes nothing from the other', async () => {
  const request = { home, pool, watch: 'off' } as const;
  const [first, second] = await Promise.all([openPool(request), openPool(request)]);
  expect(second.catalog).toBe(first.catalog);
  expect(second.backend).not.toBe(first.backend);
  await closePool(first);
  expect(second.catalog.listWorkspaces()).toHaveLength(2);
  closePoolSync(second);
  const third = await openPool(request);
  expect(third.catalog).not.toBe(first.catalog);
  expect(third.catalog.listWorkspaces()).toHaveLength(2);
  await closePool(third);
});

test('a catalog that was set aside meanwhile is not joined', async () => {
  const request = { home, pool, watch: 'off' } as const;
  const first = await openPool(request);
  const file = join(poolDirectory(home, pool.name), 'catalog.db');
  for (const suffix of ['', '-wal', '-shm']) renameSync(file + suffix, `${file}.aside${suffix}`);
  const second = await openPool(request);
  expect(second.catalog).not.toBe(first.catalog);
  expect(second.catalog.listWorkspaces()).toEqual([]);
  expect(first.catalog.listWorkspaces()).toHaveLength(2);
  await closePool(first);
  await closePool(second);
});

test('two workspaces of a pool work at once, and one closed leaves the other at work', async () => {
  const [one, two] = await Promise.all(
    ['one', 'two'].map((name) => openWorkspace({ workspace: at(name), environment })),
  );
  if (one === undefined || two === undefined) throw new Error('not opened');
  const taken = await Promise.all([one.snapshot(), two.snapshot(), one.snapshot()]);
  expect(new Set(taken.map(({ id }) => id)).size).toBe(3);
  await one.close();
  writeFileSync(join(at('two'), 'a'), 'changed');
  const { target } = await two.rollback('@');
  expect(target).toBe(taken[1]?.id);
  expect(two.list().length).toBeGreaterThan(2);
  await two.close();
});
