/** What leaves the public API has a code, a hint and a path, also where nobody thought of the failure. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadRetentionPolicy } from '../../src/daemon/config.ts';
import { type Environment, resolveHome } from '../../src/daemon/home.ts';
import { initWorkspace } from '../../src/daemon/init-workspace.ts';
import { openWorkspace } from '../../src/daemon/open-workspace.ts';
import { listPools } from '../../src/daemon/pools.ts';
import type { Ended } from './few-descriptors-child.ts';

const CHILD = join(import.meta.dirname, 'few-descriptors-child.ts');

let base: string;
let path: string;
let environment: Environment;

beforeEach(() => {
  base = mkdtempSync(join(realpathSync(tmpdir()), 'ghostsnap-edge-'));
  path = join(base, 'project');
  mkdirSync(path);
  writeFileSync(join(path, 'a'), 'first\n');
  const env = { GHOSTSNAP_HOME: join(base, 'home') };
  environment = { env, cwd: path, homeDir: base, uid: process.getuid?.() ?? 0 };
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

test('every operation without descriptors succeeds or says so with a code and a hint', async () => {
  await initWorkspace({ path, environment, backend: 'store' });
  const text = execFileSync(process.execPath, [CHILD, JSON.stringify(environment)], {
    encoding: 'utf8',
  });
  const ended = JSON.parse(text) as Ended[];
  const strange = ended.filter(({ code, hasHint }) => code === 'none' || !hasHint);
  expect(strange).toEqual([]);
  expect(ended.filter(({ code }) => code === 'LIMIT_EXCEEDED').length).toBeGreaterThan(20);
  expect(ended.filter(({ code }) => code === null).length).toBeGreaterThan(20);
  await using workspace = await openWorkspace({ environment });
  // A snapshot that could not be looked at was not taken for one that is gone, which loses its label.
  const roles = new Set(workspace.list().map(({ role }) => role));
  expect([...roles].sort()).toEqual(['ordinary', 'precautionary']);
  await workspace.rollback('@');
  expect(readFileSync(join(path, 'a'), 'utf8')).toBe('first\n');
});

test('whatever is asked of a workspace that was closed is refused with a code', async () => {
  await initWorkspace({ path, environment, backend: 'store' });
  const workspace = await openWorkspace({ environment });
  const id = String(workspace.list()[0]?.id);
  await workspace.close();
  const closed = { code: 'BAD_ARGUMENT', hint: 'Open it again.' };
  const reads = [() => workspace.list(), () => workspace.show(id), () => workspace.listCalls()];
  for (const read of reads) expect(read).toThrow(expect.objectContaining(closed));
  await expect(workspace.status()).rejects.toMatchObject(closed);
  await expect(workspace.snapshot()).rejects.toMatchObject(closed);
  await expect(workspace.pin(id)).rejects.toMatchObject(closed);
});

test('a register that is no directory is an error that names it', async () => {
  mkdirSync(join(base, 'home'));
  writeFileSync(join(base, 'home/pools'), '');
  const pools = join(base, 'home/pools');
  await expect(listPools({ environment })).rejects.toMatchObject({
    code: 'IO',
    data: { path: pools, errno: 'ENOTDIR' },
  });
});

test('a configuration that cannot be read is no missing one: its retention may keep more', () => {
  const home = resolveHome(environment);
  mkdirSync(join(home.config, 'config.json'), { recursive: true });
  expect(() => loadRetentionPolicy(home, {} as never)).toThrowError(
    expect.objectContaining({
      code: 'BAD_CONFIG',
      data: expect.objectContaining({ errno: 'EISDIR' }),
    }),
  );
});
