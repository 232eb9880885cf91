/** With the catalog's file deleted, a reading command shows what is on disk, and the way back is there. */
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
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Environment } from '../../src/daemon/home.ts';
import { initWorkspace } from '../../src/daemon/init-workspace.ts';
import { openWorkspace } from '../../src/daemon/open-workspace.ts';

let base: string;
let path: string;
let environment: Environment;

beforeEach(async () => {
  base = mkdtempSync(join(realpathSync(tmpdir()), 'ghostsnap-lost-'));
  path = join(base, 'project');
  mkdirSync(path);
  writeFileSync(join(path, 'a'), 'first');
  const env = { GHOSTSNAP_HOME: join(base, 'home') };
  environment = { env, cwd: path, homeDir: base, uid: process.getuid?.() ?? 0 };
  await initWorkspace({ path, environment, backend: 'store' });
  const pools = join(base, 'home/pools');
  for (const pool of readdirSync(pools)) {
    for (const name of readdirSync(join(pools, pool))) {
      if (name.startsWith('catalog.db')) rmSync(join(pools, pool, name));
    }
  }
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

test('a reader learns first what is on disk', async () => {
  await using workspace = await openWorkspace({ environment, readOnly: 'yes' });
  expect(workspace.list().map(({ role }) => role)).toEqual(['adopted']);
  expect(workspace.openReport.adopted).toHaveLength(1);
});

test('a workspace whose directory went with the catalog is listed and comes back', async () => {
  rmSync(path, { recursive: true });
  const there = { ...environment, cwd: base };
  await using workspace = await openWorkspace({ workspace: path, environment: there });
  expect(workspace.list()).toHaveLength(1);
  await workspace.rollback('@');
  expect(readFileSync(join(path, 'a'), 'utf8')).toBe('first');
});
